//! As much of Jinja as the injectors of a credential type need: whether a template's names and filters are known.

/// What a template may name.
pub(crate) struct Names {
    pub(crate) fields: Vec<String>,
    /// The files behind `tower.filename`; the one without a name is empty.
    pub(crate) files: Vec<String>,
}

/// Why a template is no good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Undefined(String),
    Syntax(String),
}

/// Looks into every `{{ … }}` and every condition.
pub(crate) fn check(text: &str, names: &Names) -> Result<(), Wrong> {
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let is_value = rest[start..].starts_with("{{");
        let end_mark = if is_value { "}}" } else { "%}" };
        let inner = &rest[start + 2..];
        let end = inner
            .find(end_mark)
            .ok_or_else(|| Wrong::Syntax(format!("unexpected end of template, expected '{end_mark}'.")))?;
        let inside = inner[..end].trim_matches(|character: char| character == '-' || character.is_whitespace());
        if is_value {
            expression(inside, names)?;
        } else {
            statement(inside, names)?;
        }
        rest = &inner[end + 2..];
    }
    Ok(())
}

fn statement(text: &str, names: &Names) -> Result<(), Wrong> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "if" | "elif" => expression(rest, names),
        "else" | "endif" => Ok(()),
        other => Err(Wrong::Syntax(format!("Encountered unknown tag '{other}'."))),
    }
}

/// `name | filter('x') | filter`.
fn expression(text: &str, names: &Names) -> Result<(), Wrong> {
    let mut parts = text.split('|').map(str::trim);
    let subject = parts.next().unwrap_or_default();
    let filters: Vec<_> = parts.map(|part| part.split(['(', ' ']).next().unwrap_or_default()).collect();
    if let Some(unknown) = filters.iter().find(|filter| !FILTERS.contains(filter)) {
        return Err(Wrong::Syntax(format!("No filter named '{unknown}'.")));
    }
    let has_default = filters.first().is_some_and(|filter| ["default", "d"].contains(filter));
    let words = subject.split(|character: char| !(character.is_ascii_alphanumeric() || "_.'\"".contains(character)));
    for word in words.filter(|word| !word.is_empty()) {
        let is_literal = word.starts_with(|first: char| first.is_ascii_digit() || "'\"".contains(first));
        if !is_literal && !OPERATORS.contains(&word) && !has_default {
            variable(word, names)?;
        }
    }
    Ok(())
}

fn variable(path: &str, names: &Names) -> Result<(), Wrong> {
    let mut segments = path.split('.');
    let first = segments.next().unwrap_or_default();
    if first == "tower" {
        let file = path.strip_prefix("tower.filename").map(|rest| rest.trim_start_matches('.'));
        return match file {
            Some(file) if names.files.iter().any(|known| known == file) => Ok(()),
            Some("") => {
                let sentence = "Must define unnamed file injector in order to reference `tower.filename`.";
                Err(Wrong::Undefined(sentence.to_owned()))
            }
            Some(file) => Err(Wrong::Undefined(format!("'EXAMPLE_FILENAME' has no attribute '{file}'"))),
            None => Err(Wrong::Undefined("'TowerNamespace object' has no attribute".to_owned())),
        };
    }
    if names.fields.iter().any(|known| known == first) {
        return Ok(());
    }
    Err(Wrong::Undefined(format!("'{first}' is undefined")))
}

const OPERATORS: &[&str] = &["and", "or", "not", "is", "in", "if", "else", "defined", "true", "false", "none"];
/// The core filters that a text can go through.
const FILTERS: &[&str] = &[
    "capitalize",
    "d",
    "default",
    "e",
    "escape",
    "first",
    "indent",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "safe",
    "string",
    "title",
    "tojson",
    "trim",
    "truncate",
    "upper",
    "urlencode",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_filters_are_known_or_refused() {
        let names = Names { fields: vec!["token".to_owned()], files: vec![String::new()] };
        let undefined = |name: &str| Err(Wrong::Undefined(format!("'{name}' is undefined")));
        let rows = [
            ("{{ token }}", Ok(())),
            ("{{token|upper|default('x')}}", Ok(())),
            ("plain", Ok(())),
            ("{% if token %}{{ token }}{% else %}none{% endif %}", Ok(())),
            ("{{ tower.filename }}", Ok(())),
            ("{{ other }}", undefined("other")),
            ("{% if other %}x{% endif %}", undefined("other")),
            ("{{ token | b64encode }}", Err(Wrong::Syntax("No filter named 'b64encode'.".to_owned()))),
            ("{{ token", Err(Wrong::Syntax("unexpected end of template, expected '}}'.".to_owned()))),
        ];
        for (text, expected) in rows {
            assert_eq!(check(text, &names), expected, "{text}");
        }
    }
}
