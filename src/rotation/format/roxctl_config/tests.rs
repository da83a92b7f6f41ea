use super::super::Format;
use super::*;

#[test]
fn the_entry_comes_into_the_file_and_everything_else_stays() {
    let entry = |central: &str| {
        format!(
            "    {central}:\n        access:\n            accessToken: 'T0KEN'\n            expiresAt: 2026-11-22T15:00:00Z\n"
        )
    };
    let new = entry("'central.example.com:443'");
    let other = "    other.example.com:8443:\n        access:\n            accessToken: old # mine\n            issuedAt: 2026-01-01T00:00:00.123456789+01:00\n";
    let cases = [
        // Nothing there.
        (String::new(), format!("centrals:\n{new}")),
        ("\u{feff}".to_owned(), format!("\u{feff}centrals:\n{new}")),
        ("# mine\n---\n".to_owned(), format!("# mine\n---\ncentrals:\n{new}")),
        ("centrals:\n".to_owned(), format!("centrals:\n{new}")),
        ("centrals: {}".to_owned(), format!("centrals: \n{new}")),
        ("centrals: # none\nother: 1\n".to_owned(), format!("centrals: # none\n{new}other: 1\n")),
        ("other: {}".to_owned(), format!("other: {{}}\ncentrals:\n{new}")),
        // Others beside it.
        (format!("centrals:\n{other}"), format!("centrals:\n{other}{new}")),
        (format!("centrals:\n{other}x: y # z\n"), format!("centrals:\n{other}{new}x: y # z\n")),
        (
            "centrals:\n  a:1:\n    access:\n      accessToken: x\n".to_owned(),
            "centrals:\n  a:1:\n    access:\n      accessToken: x\n  'central.example.com:443':\n    access:\n      accessToken: 'T0KEN'\n      \
             expiresAt: 2026-11-22T15:00:00Z\n"
                .to_owned(),
        ),
        // Not all of it there.
        (
            "centrals:\n    central.example.com:443:\n".to_owned(),
            format!("centrals:\n{}", entry("central.example.com:443")),
        ),
        (
            "centrals:\n    \"central.example.com:443\":\n        access: {}\n".to_owned(),
            format!("centrals:\n{}", entry("\"central.example.com:443\"").replace("access:", "access: ")),
        ),
        (
            "centrals:\n    central.example.com:443:\n        x: y\n".to_owned(),
            format!("centrals:\n{}", entry("central.example.com:443").replace("        access:", "        x: y\n        access:")),
        ),
        // Another token there. The refresh token of another login would bring that back.
        (
            format!("centrals:\n{}{other}", entry("central.example.com:443").replace("'T0KEN'", "old").replace("15:00", "14:00")),
            format!("centrals:\n{}{other}", entry("central.example.com:443")),
        ),
        (
            "centrals:\n    central.example.com:443:\n        access:\n            refreshToken: r\n            accessToken: \"old\" # of mine\n            \
             issuedAt: 2026-01-01T00:00:00Z\n            other: z\n\n# end\n"
                .to_owned(),
            "centrals:\n    central.example.com:443:\n        access:\n            accessToken: 'T0KEN' # of mine\n            other: z\n            \
             expiresAt: 2026-11-22T15:00:00Z\n\n# end\n"
                .to_owned(),
        ),
        ("centrals: {}\r\n".to_owned(), format!("centrals: \n{new}").replace('\n', "\r\n")),
        // Nothing is to be done.
        (
            "centrals:\n central.example.com:443:\n  access:\n   accessToken: T0KEN\n".to_owned(),
            "centrals:\n central.example.com:443:\n  access:\n   accessToken: T0KEN\n".to_owned(),
        ),
    ];
    for (before, after) in cases {
        let written = write("T0KEN", &before).unwrap_or_else(|error| panic!("{error}: {before:?}"));
        assert_eq!(written, after, "into {before:?}");
        assert_eq!(read(&written), Some(Secret::new("T0KEN")), "{written:?}");
        assert_eq!(write("T0KEN", &written).unwrap(), written, "{before:?}");
    }
}

#[test]
fn the_dates_are_those_of_the_token() {
    // {"iat":1795300839}
    let token = "e30.eyJpYXQiOjE3OTUzMDA4Mzl9.c2ln";
    let written = write(token, "").unwrap();
    assert!(
        written.ends_with("issuedAt: 2026-11-21T22:40:39Z\n            expiresAt: 2026-11-22T15:00:00Z\n"),
        "{written}"
    );
}

#[test]
fn what_is_not_surely_understood_is_refused() {
    let line = |line, why| FormatError::Line { line, why };
    let twice = |name: &str| FormatError::Twice(name.to_owned());
    let cases = [
        ("T0KEN\n", line(1, TOO_MUCH)),
        ("{\"centrals\": {}}", line(1, TOO_MUCH)),
        ("- centrals\n", line(1, TOO_MUCH)),
        ("centrals: {a: b}\n", line(1, TOO_MUCH)),
        ("centrals: &a\n", line(1, TOO_MUCH)),
        ("centrals: null\n", line(1, NO_MAPPING)),
        ("centrals: x\n", line(1, NO_MAPPING)),
        ("  centrals:\n", line(1, TOO_MUCH)),
        ("centrals:\n- a\n", line(2, TOO_MUCH)),
        ("centrals:\n    x\n", line(2, TOO_MUCH)),
        ("centrals:\n    a: x\n      y: z\n", line(3, TOO_MUCH)),
        ("centrals:\n    a:\n        b: x\n      c: y\n", line(4, TOO_MUCH)),
        ("centrals:\n    a: |\n", line(2, TOO_MUCH)),
        ("centrals:\n    ? a\n", line(2, TOO_MUCH)),
        ("centrals:\n    1:20: x\n", line(2, TOO_MUCH)),
        ("centrals:\n    \"a\\n\": x\n", line(2, TOO_MUCH)),
        ("a: 1\n---\nb: 2\n", line(2, TOO_MUCH)),
        ("centrals:\n    central.example.com:443: x\n", line(2, NO_MAPPING)),
        ("centrals:\n    central.example.com:443:\n        access: x\n", line(3, NO_MAPPING)),
        (
            "centrals:\n    central.example.com:443:\n        access:\n            accessToken:\n                x: y\n",
            line(4, TOO_MUCH),
        ),
        ("centrals:\ncentrals:\n", twice("centrals")),
        ("centrals:\n    'central.example.com:443':\n    central.example.com:443:\n", twice("central.example.com:443")),
        (
            "centrals:\n    central.example.com:443:\n        access:\n            accessToken: a\n            accessToken: b\n",
            twice("accessToken"),
        ),
    ];
    for (before, error) in cases {
        let given = Some(before.as_bytes());
        assert_eq!(Format::RoxctlConfig.check(given, ENTRY).unwrap_err(), error, "{before:?}");
        assert_eq!(write("T0KEN", before).unwrap_err(), error, "{before:?}");
        assert_eq!((read(before), Format::RoxctlConfig.without(before.as_bytes(), ENTRY)), (None, None), "{before:?}");
    }
    assert!(matches!(write("x", "a: \tb\n"), Err(FormatError::Line { line: 1, .. })));
    assert_eq!(Format::RoxctlConfig.check(Some(b"\xff"), ENTRY), Err(FormatError::NotText));
    assert_eq!(write("two\nlines", ""), Err(FormatError::Uncarried("token")));
}

#[test]
fn the_entry_is_taken_out_and_nothing_else() {
    let other = "    other:1:\n        access:\n            accessToken: old\n";
    let own = "    central.example.com:443: # mine\n        access:\n            accessToken: x\n            # c\n            y: z\n";
    for (before, after) in [
        (format!("centrals:\n{own}{other}"), Some(format!("centrals:\n{other}"))),
        (format!("centrals:\n{other}{own}\n# end\n"), Some(format!("centrals:\n{other}\n# end\n"))),
        (format!("centrals:\n{own}x: y\n"), Some("centrals:\nx: y\n".to_owned())),
        (format!("---\ncentrals:\n{own}"), Some("---\ncentrals:\n".to_owned())),
        (format!("centrals:\n{own}"), None),
        (format!("centrals:\n{other}"), Some(format!("centrals:\n{other}"))),
    ] {
        let rest = Format::RoxctlConfig.without(before.as_bytes(), ENTRY);
        assert_eq!(rest.map(|rest| String::from_utf8(rest.to_vec()).unwrap()), after, "{before:?}");
    }
}

#[test]
fn another_login_is_told_before_it_is_replaced() {
    let with = |more: &str| format!("centrals:\n  central.example.com:443:\n    access:\n      accessToken: x\n{more}");
    for (text, told) in [(with("      refreshToken: y\n"), true), (with(""), false), (String::new(), false)] {
        let remarks = Format::RoxctlConfig.remarks(Some(text.as_bytes()), ENTRY);
        assert_eq!(remarks.iter().any(|remark| remark.contains("interactive login")), told, "{remarks:?}");
        // It is not ours: neither used on nor taken out.
        assert_eq!(read(&text).is_some(), !told && !text.is_empty(), "{text:?}");
        let rest = Format::RoxctlConfig.without(text.as_bytes(), ENTRY);
        assert_eq!(rest.is_some_and(|rest| *rest == text.as_bytes()), told, "{text:?}");
    }
}

fn write(token: &str, existing: &str) -> Result<String, FormatError> {
    let token = Secret::new(token);
    let Entry { login, galaxy_server, central } = ENTRY;
    let expires_at = Some("2026-11-22T15:00:00Z".parse().unwrap());
    let what = HandedOver { token: &token, name: "token", token_type: None, expires_at, login, galaxy_server, central };
    let written = Format::RoxctlConfig.write(&what, Some(existing.as_bytes()))?;
    Ok(String::from_utf8(written.to_vec()).unwrap())
}

fn read(content: &str) -> Option<Secret> {
    Format::RoxctlConfig.read(content.as_bytes(), ENTRY)
}

const ENTRY: Entry<'_> = Entry { login: None, galaxy_server: None, central: Some("central.example.com:443") };
