use super::super::Format;
use super::super::yaml::UNPRINTABLE;
use super::*;

#[test]
fn the_token_comes_into_the_file_and_everything_else_stays() {
    let cases = [
        // Nothing there.
        ("", "token: 'T0KEN'\n"),
        ("\n", "\ntoken: 'T0KEN'\n"),
        ("\u{feff}", "\u{feff}token: 'T0KEN'\n"),
        ("---\n", "---\ntoken: 'T0KEN'\n"),
        ("# mine\r\n", "# mine\r\ntoken: 'T0KEN'\r\n"),
        ("{}", "{\n  \"token\": \"T0KEN\"\n}"),
        // Another token, in all its forms.
        ("token: old\n", "token: 'T0KEN'\n"),
        ("token: 'o''ld'", "token: 'T0KEN'"),
        ("token:  \"old\"  # of mine\n", "token:  'T0KEN'  # of mine\n"),
        ("token:\n", "token: 'T0KEN'\n"),
        ("token: # none\n", "token: 'T0KEN' # none\n"),
        ("token:  \n", "token: 'T0KEN'  \n"),
        ("token: null\n", "token: 'T0KEN'\n"),
        ("token: 0123456789\n", "token: 'T0KEN'\n"),
        ("token: a-b_c.d # e\n", "token: 'T0KEN' # e\n"),
        ("'token' : old\n", "'token' : 'T0KEN'\n"),
        ("\"token\": old\r\n", "\"token\": 'T0KEN'\r\n"),
        // Others beside it.
        (
            "--- # mine\nurl: https://hub.example.com/\ntoken: old\nn: 1\n",
            "--- # mine\nurl: https://hub.example.com/\ntoken: 'T0KEN'\nn: 1\n",
        ),
        ("other: 'it''s: # one'\n\n  # indented\n", "other: 'it''s: # one'\n\n  # indented\ntoken: 'T0KEN'\n"),
        ("other: a b", "other: a b\ntoken: 'T0KEN'\n"),
        ("{\"a\":1,\"token\":\"old\"}", "{\"a\":1,\"token\":\"T0KEN\"}"),
        ("{\r\n  \"a\": 1\r\n}\r\n", "{\r\n  \"a\": 1,\r\n  \"token\": \"T0KEN\"\r\n}\r\n"),
        // Nothing is to be done.
        ("token: T0KEN # plain\n", "token: T0KEN # plain\n"),
        ("token: \"T0KEN\"", "token: \"T0KEN\""),
        ("{\"token\" : \"T\\u0030KEN\"}", "{\"token\" : \"T\\u0030KEN\"}"),
    ];
    for (before, after) in cases {
        let written = write("T0KEN", before).unwrap_or_else(|error| panic!("{error}: {before:?}"));
        assert_eq!(written, after, "into {before:?}");
        assert_eq!(read(&written), Some(Secret::new("T0KEN")), "{written:?}");
    }
}

#[test]
fn what_is_not_surely_understood_is_refused() {
    let line = |line, why| FormatError::Line { line, why };
    let cases = [
        ("0123456789abcdef\n", FormatError::NotAMapping),
        ("---\n0123456789abcdef\n", FormatError::NotAMapping),
        ("- token\n", FormatError::NotAMapping),
        ("'token'\n", FormatError::NotAMapping),
        ("[token]\n", FormatError::NotAMapping),
        ("token: a\ntoken: b\n", FormatError::Twice(TOKEN.to_owned())),
        ("token: a\n'token': b\n", FormatError::Twice(TOKEN.to_owned())),
        ("{\"token\": 1, \"t\\u006fken\": 2}", FormatError::Twice(TOKEN.to_owned())),
        ("token: a\n---\ntoken: b\n", line(2, TOO_MUCH)),
        ("token: a\n...\n", line(2, TOO_MUCH)),
        ("--- {token: a}\n", line(1, TOO_MUCH)),
        ("%YAML 1.1\n---\ntoken: a\n", line(1, TOO_MUCH)),
        ("token: a\n  b\n", line(2, TOO_MUCH)),
        ("  token: a\n", line(1, TOO_MUCH)),
        ("token: |\n  a\n", line(1, TOO_MUCH)),
        ("token: >-\n  a\n", line(1, TOO_MUCH)),
        ("token: &a b\n", line(1, TOO_MUCH)),
        ("token: *a\n", line(1, TOO_MUCH)),
        ("token: !!str a\n", line(1, TOO_MUCH)),
        ("token: {a: b}\n", line(1, TOO_MUCH)),
        ("token: [a]\n", line(1, TOO_MUCH)),
        ("token: 'a\n", line(1, TOO_MUCH)),
        ("token: 'a'b\n", line(1, TOO_MUCH)),
        ("token: 'a'#b\n", line(1, TOO_MUCH)),
        ("token: \"a\\n\"\n", line(1, TOO_MUCH)),
        ("token: a: b\n", line(1, TOO_MUCH)),
        ("token: a:\n", line(1, TOO_MUCH)),
        ("token:a\n", line(1, TOO_MUCH)),
        ("token: - a\n", line(1, TOO_MUCH)),
        ("token: @a\n", line(1, TOO_MUCH)),
        ("? token\n: a\n", line(1, TOO_MUCH)),
        ("<<: *a\n", line(1, TOO_MUCH)),
        ("other:\n- a\n", line(2, TOO_MUCH)),
        ("other:\n  token: a\n", line(2, TOO_MUCH)),
        ("other: 2020-13-45\ntoken: a\n", line(1, TOO_MUCH)),
        ("token:\ta\n", line(1, UNPRINTABLE)),
        ("a: b\rtoken: c\n", line(1, UNPRINTABLE)),
        ("a: 'b\u{85}token: c'\n", line(1, UNPRINTABLE)),
        ("a: b\n# \u{2028}token: c\n", line(2, UNPRINTABLE)),
        ("{token: a}", FormatError::NotJson { line: 1, column: 2 }),
        ("{\"a\": [1]}", line(1, TOO_MUCH)),
        ("{\"a\"\n: 1}", line(2, TOO_MUCH)),
        ("{\"a\": \"\\ud83d\\ude00\"}", line(1, TOO_MUCH)),
        ("{\n\t\"a\": 1}", line(2, UNPRINTABLE)),
    ];
    for (content, expected) in cases {
        let error = Format::GalaxyToken.check(Some(content.as_bytes()), None);
        assert_eq!(error, Err(expected.clone()), "{content:?}");
        assert_eq!(write("t", content), Err(expected), "{content:?}");
        assert_eq!(read(content), None, "{content:?}");
    }
    assert_eq!(Format::GalaxyToken.check(Some(b"token: \xff"), None), Err(FormatError::NotText));
}

#[test]
fn only_text_counts_as_a_token() {
    let cases = [
        ("a1b2", Some("a1b2")),
        ("0a1b2", Some("0a1b2")),
        ("1234e567", Some("1234e567")),
        ("0b2", Some("0b2")),
        ("eyJ.abc-d_e", Some("eyJ.abc-d_e")),
        ("'123'", Some("123")),
        ("\"yes\"", Some("yes")),
        ("''", None),
        ("", None),
        ("123", None),
        ("0b01", None),
        ("0x1f", None),
        ("1.5e+3", None),
        ("2020-02-02", None),
        ("12:34", None),
        (".inf", None),
        ("+1", None),
        ("~", None),
        ("Yes", None),
        ("null", None),
    ];
    for (value, expected) in cases {
        assert_eq!(read(&format!("token: {value}\n")), expected.map(Secret::new), "{value}");
    }
    for (content, expected) in
        [("{\"token\": \"a\\\"b\"}", Some("a\"b")), ("{\"token\": 1}", None), ("{\"token\": null}", None)]
    {
        assert_eq!(read(content), expected.map(Secret::new), "{content}");
    }
}

#[test]
fn a_token_that_yaml_would_read_as_something_else_is_refused_and_never_shown() {
    for token in ["t0ken\nother: 1", "t0\tken", "t0ken\u{85}", "t0ken\u{2028}", "\u{feff}t0ken"] {
        let error = write(token, "").unwrap_err();
        assert_eq!(error, FormatError::Uncarried(TOKEN));
        assert!(!error.to_string().contains("t0"));
    }
}

#[test]
fn the_token_is_taken_out_and_what_else_there_is_stays() {
    let cases = [
        ("token: 'a'\n", None),
        ("\ntoken: a # b\n\n", None),
        ("---\ntoken: a\n", Some("---\n")),
        ("# mine\ntoken: a\nother: b", Some("# mine\nother: b")),
        ("other: b\r\ntoken: a", Some("other: b\r\n")),
        ("other: b\n", Some("other: b\n")),
        ("{\"token\": \"a\", \"other\": 1}", Some("{\"other\": 1}")),
        ("{\"token\": \"a\"}", Some("{}")),
    ];
    for (before, after) in cases {
        let without = Format::GalaxyToken.without(before.as_bytes(), None);
        assert_eq!(without.as_deref().map(Vec::as_slice), after.map(str::as_bytes), "{before:?}");
    }
}

fn write(token: &str, existing: &str) -> Result<String, FormatError> {
    let token = Secret::new(token);
    let what = HandedOver {
        token: &token,
        name: TOKEN,
        token_type: None,
        expires_at: None,
        login: None,
        galaxy_server: None,
        central: None,
    };
    let written = Format::GalaxyToken.write(&what, Some(existing.as_bytes()));
    written.map(|content| String::from_utf8(content.to_vec()).unwrap())
}

fn read(content: &str) -> Option<Secret> {
    Format::GalaxyToken.read(content.as_bytes(), None)
}
