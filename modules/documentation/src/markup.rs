//! Ansible's markup as plain text: `O(state=present)` is `state=present`, `L(guide,https://…)` is `guide <https://…>`.

pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, macro_name, content, after)) = next_macro(rest) {
        plain.push_str(before);
        plain.push_str(&rendered(macro_name, &content));
        rest = after;
    }
    plain.push_str(rest);
    plain.replace("HORIZONTALLINE", "").trim().to_owned()
}

/// Splits at the first macro: what stands before it, its name, its content, what follows.
fn next_macro(text: &str) -> Option<(&str, &str, String, &str)> {
    for (open, _) in text.match_indices('(') {
        let before = &text[..open];
        let Some(name) = MACROS.into_iter().find(|name| is_word_end(before, name)) else { continue };
        let (content, after) = closed(&text[open + 1..], ESCAPING.contains(&name))?;
        return Some((&before[..open - name.len()], name, content, after));
    }
    None
}

fn is_word_end(before: &str, name: &str) -> bool {
    before.strip_suffix(name).is_some_and(|rest| !rest.ends_with(|character: char| character.is_alphanumeric()))
}

/// The text up to the closing parenthesis, and what follows it. The newer macros escape a parenthesis with a backslash.
fn closed(text: &str, escaping: bool) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut characters = text.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            '\\' if escaping => content.extend(characters.next().map(|(_, escaped)| escaped)),
            ')' => return Some((content, &text[position + 1..])),
            _ => content.push(character),
        }
    }
    None
}

fn rendered(name: &str, content: &str) -> String {
    match (name, content.split_once(',')) {
        ("L", Some((title, address))) => format!("{} <{}>", title.trim(), address.trim()),
        ("R", Some((title, _))) => title.trim().to_owned(),
        ("P", _) => content.split('#').next().unwrap_or(content).to_owned(),
        _ => content.to_owned(),
    }
}

/// The longer name first, as `RV(` ends in `V(`.
const MACROS: [&str; 12] = ["RV", "C", "O", "V", "E", "B", "I", "U", "L", "M", "P", "R"];
const ESCAPING: [&str; 5] = ["O", "V", "E", "RV", "P"];
