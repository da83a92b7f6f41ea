//! What the surroundings of a task add to its arguments: environment variables and home folders.

use std::fs;

/// Where environment fall-backs and `~` and `$VAR` in paths are looked up.
pub trait Environment {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The home folder that the user database has for `user`, or for the user who runs this when `None`.
    fn home(&self, user: Option<&str>) -> Option<String>;
}

/// The environment of this process, and `/etc/passwd`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok()
    }

    fn home(&self, user: Option<&str>) -> Option<String> {
        let accounts = fs::read_to_string("/etc/passwd").ok()?;
        let own = rustix::process::getuid().as_raw().to_string();
        home_of(&accounts, user, &own)
    }
}

/// `os.path.expanduser(os.path.expandvars(path))`.
pub(super) fn expand_path(path: &str, environment: &dyn Environment) -> String {
    expand_user(expand_variables(path, environment), environment)
}

fn expand_variables(path: &str, environment: &dyn Environment) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(start) = rest.find('$') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let Some((name, length)) = variable_name(from) else {
            out.push('$');
            rest = &from[1..];
            continue;
        };
        match environment.variable(name) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&from[..length]),
        }
        rest = &from[length..];
    }
    out + rest
}

/// The name in `$NAME` or `${NAME}` at the start of `text`, and the length of the whole.
fn variable_name(text: &str) -> Option<(&str, usize)> {
    let after = text.strip_prefix('$')?;
    if let Some(braced) = after.strip_prefix('{') {
        let end = braced.find('}')?;
        return Some((&braced[..end], end + 3));
    }
    let end = after.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(after.len());
    (end > 0).then(|| (&after[..end], end + 1))
}

fn expand_user(path: String, environment: &dyn Environment) -> String {
    let Some(after) = path.strip_prefix('~') else {
        return path;
    };
    let (user, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    let home = match user {
        "" => environment.variable("HOME").or_else(|| environment.home(None)),
        user => environment.home(Some(user)),
    };
    let Some(home) = home else {
        return path;
    };
    let expanded = format!("{}{rest}", home.trim_end_matches('/'));
    if expanded.is_empty() { "/".to_owned() } else { expanded }
}

fn home_of(accounts: &str, user: Option<&str>, own: &str) -> Option<String> {
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let account = lines.find(|fields| match user {
        Some(user) => fields.first() == Some(&user),
        None => fields.get(2) == Some(&own),
    })?;
    account.get(5).map(|home| (*home).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Environment for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "HOME" => Some("/home/me/".to_owned()),
                "A" => Some("$B".to_owned()),
                "B" => Some("b".to_owned()),
                _ => None,
            }
        }

        fn home(&self, user: Option<&str>) -> Option<String> {
            (user == Some("alice")).then(|| "/srv/alice".to_owned())
        }
    }

    #[test]
    fn paths_are_expanded_as_the_shell_would() {
        for (path, expected) in [
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("~alice/x", "/srv/alice/x"),
            ("~bob/x", "~bob/x"),
            ("x/~", "x/~"),
            ("$A-${B}/$C/${C}", "$B-b/$C/${C}"),
            ("$B.é$", "b.é$"),
            ("${B$B", "${Bb"),
            ("$$B", "$b"),
        ] {
            assert_eq!(expand_path(path, &Fixed), expected, "{path}");
        }
    }

    #[test]
    fn homes_come_from_the_user_database() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/srv/alice:/bin/sh\nbroken\n";
        assert_eq!(home_of(accounts, Some("alice"), "0").as_deref(), Some("/srv/alice"));
        assert_eq!(home_of(accounts, None, "0").as_deref(), Some("/root"));
        assert_eq!(home_of(accounts, Some("broken"), "0"), None);
        assert_eq!(home_of(accounts, Some("bob"), "0"), None);
    }
}
