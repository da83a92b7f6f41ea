use serde_json::{Value, json};

use super::super::{Format, FormatError, HandedOver, Login};
use super::*;

#[test]
fn an_entry_is_merged_into_whatever_is_there() {
    // What the file holds, and what then; ENTRY is the entry on one line.
    let cases = [
        // Other entries, laid out by docker: tabs.
        (
            "{\n\t\"auths\": {\n\t\t\"a.example.com\": {\n\t\t\t\"auth\": \"eDp5\"\n\t\t}\n\t},\n\t\"credsStore\": \"\"\n}",
            "{\n\t\"auths\": {\n\t\t\"a.example.com\": {\n\t\t\t\"auth\": \"eDp5\"\n\t\t},\n\t\t\"HOST\": {\n\t\t\t\"auth\": \"AUTH\",\n\t\t\t\"email\": \"\"\n\t\t}\n\t},\n\t\"credsStore\": \"\"\n}",
        ),
        // Four blanks, carriage returns, a final newline.
        (
            "{\r\n    \"auths\": {\r\n        \"a.example.com\": {}\r\n    }\r\n}\r\n",
            "{\r\n    \"auths\": {\r\n        \"a.example.com\": {},\r\n        \"HOST\": {\r\n            \"auth\": \"AUTH\",\r\n            \"email\": \"\"\r\n        }\r\n    }\r\n}\r\n",
        ),
        // On one line, with blanks and without.
        (
            r#"{"auths":{"a.example.com":{"auth":"eDp5"}}}"#,
            r#"{"auths":{"a.example.com":{"auth":"eDp5"},"HOST":{"auth":"AUTH","email":""}}}"#,
        ),
        (
            r#"{"auths": {"a.example.com": {"auth": "eDp5"}}}"#,
            r#"{"auths": {"a.example.com": {"auth": "eDp5"}, "HOST": {"auth": "AUTH", "email": ""}}}"#,
        ),
        // No entry yet.
        (r#"{"auths":{}}"#, r#"{"auths":{"HOST":{"auth":"AUTH","email":""}}}"#),
        (r#"{"auths":null,"x":1}"#, r#"{"auths":{"HOST":{"auth":"AUTH","email":""}},"x":1}"#),
        (r#"{"x":1}"#, r#"{"x":1,"auths":{"HOST":{"auth":"AUTH","email":""}}}"#),
        (
            "{\n\t\"auths\": {},\n\t\"x\": 1\n}\n",
            "{\n\t\"auths\": {\n\t\t\"HOST\": {\n\t\t\t\"auth\": \"AUTH\",\n\t\t\t\"email\": \"\"\n\t\t}\n\t},\n\t\"x\": 1\n}\n",
        ),
        (
            "{\n  \"auths\": {\n  }\n}",
            "{\n  \"auths\": {\n    \"HOST\": {\n      \"auth\": \"AUTH\",\n      \"email\": \"\"\n    }\n  }\n}",
        ),
        (
            "{\n   \"x\": 1\n}",
            "{\n   \"x\": 1,\n   \"auths\": {\n      \"HOST\": {\n         \"auth\": \"AUTH\",\n         \"email\": \"\"\n      }\n   }\n}",
        ),
        (
            "{\n \"x\": 1}",
            "{\n \"x\": 1,\n \"auths\": {\n   \"HOST\": {\n     \"auth\": \"AUTH\",\n     \"email\": \"\"\n   }\n }}",
        ),
        ("{}", "{\n  \"auths\": {\n    \"HOST\": {\n      \"auth\": \"AUTH\",\n      \"email\": \"\"\n    }\n  }\n}"),
        (
            "{\n}\n",
            "{\n  \"auths\": {\n    \"HOST\": {\n      \"auth\": \"AUTH\",\n      \"email\": \"\"\n    }\n  }\n}\n",
        ),
        (
            "{}\r\n",
            "{\r\n  \"auths\": {\r\n    \"HOST\": {\r\n      \"auth\": \"AUTH\",\r\n      \"email\": \"\"\r\n    }\r\n  }\r\n}\r\n",
        ),
        // A byte order mark, alone and before a text.
        (
            "\u{feff}",
            "\u{feff}{\n  \"auths\": {\n    \"HOST\": {\n      \"auth\": \"AUTH\",\n      \"email\": \"\"\n    }\n  }\n}",
        ),
        ("\u{feff}{\"x\":1}", "\u{feff}{\"x\":1,\"auths\":{\"HOST\":{\"auth\":\"AUTH\",\"email\":\"\"}}}"),
        // The entry is there, and replaced as a whole.
        (
            r#"{"auths":{"HOST":{"auth":"eDp5","identitytoken":"i"},"b":{}},"x":1}"#,
            r#"{"auths":{"HOST":{"auth":"AUTH","email":""},"b":{}},"x":1}"#,
        ),
        (
            r#"{"auths":{"HOST":{"auth":"AUTH","identitytoken":"i"}}}"#,
            r#"{"auths":{"HOST":{"auth":"AUTH","email":""}}}"#,
        ),
        (r#"{"auths":{"HOST":{"auth":"AUTH","auth":"AUTH"}}}"#, r#"{"auths":{"HOST":{"auth":"AUTH","email":""}}}"#),
        (
            r#"{"auths":{"HOST":{"username":"acme+ci","password":"t0ken"}}}"#,
            r#"{"auths":{"HOST":{"auth":"AUTH","email":""}}}"#,
        ),
        (r#"{"auths":{"HOST":null}}"#, r#"{"auths":{"HOST":{"auth":"AUTH","email":""}}}"#),
        (r#"{"auths":{"HOST":{}}}"#, r#"{"auths":{"HOST":{"auth":"AUTH","email":""}}}"#),
        (
            r#"{"auths":{"quay.ex\u0061mple.com\/acme":7}}"#,
            r#"{"auths":{"quay.ex\u0061mple.com\/acme":{"auth":"AUTH","email":""}}}"#,
        ),
        (
            "{\n  \"auths\": {\n    \"HOST\" :\t{ \"auth\": \"eDp5\" },\n    \"b\": {}\n  }\n}",
            "{\n  \"auths\": {\n    \"HOST\" :\t{\n      \"auth\": \"AUTH\",\n      \"email\": \"\"\n    },\n    \"b\": {}\n  }\n}",
        ),
        // Nothing is to be done.
        (r#"{ "auths" : { "HOST" : { "auth" : "AUTH" } } }"#, r#"{ "auths" : { "HOST" : { "auth" : "AUTH" } } }"#),
        (
            r#"{"auths":{"HOST":{"email":"a@b","auth":"AUTH","x":[]}}}"#,
            r#"{"auths":{"HOST":{"email":"a@b","auth":"AUTH","x":[]}}}"#,
        ),
        // Odd, and kept.
        (
            r#"{"x":1.50,"x":-0,"y":"\u00e9\/\ud800","z":[1E+2,{"auths":2}],"auths":{"a":{},"a":{}}}"#,
            r#"{"x":1.50,"x":-0,"y":"\u00e9\/\ud800","z":[1E+2,{"auths":2}],"auths":{"a":{},"a":{},"HOST":{"auth":"AUTH","email":""}}}"#,
        ),
        (
            "{\n\n  \"x\": 1\n , \"y\":\n 2}",
            "{\n\n  \"x\": 1\n , \"y\":\n 2, \"auths\": {\"HOST\": {\"auth\": \"AUTH\", \"email\": \"\"}}}",
        ),
    ];
    for (before, after) in cases {
        let [before, after] = [before, after].map(|text| text.replace("HOST", KEY).replace("AUTH", AUTH));
        let merged = merge(&before);
        assert_eq!(merged, after, "into {before}");
        assert_eq!(merge(&merged), merged, "twice into {before}");
        assert_eq!(Format::DockerConfig.read(merged.as_bytes(), Some(&LOGIN)), Some(Secret::new("t0ken")));
    }
}

#[test]
fn a_file_that_cannot_be_merged_into_is_refused_with_what_is_wrong() {
    let cases: [(&[u8], FormatError); 13] = [
        (b"{\"x\": \"\xff\"}", FormatError::NotText),
        (b"{\n  \"auths\": {,}\n}", FormatError::NotJson { line: 2, column: 13 }),
        (b"{} {}", FormatError::NotJson { line: 1, column: 4 }),
        (b"{\"auths\": {}, // docker\n}", FormatError::NotJson { line: 1, column: 15 }),
        (b"t0ken", FormatError::NotJson { line: 1, column: 2 }),
        (b"[]", FormatError::NotAnObject("it")),
        (b"null", FormatError::NotAnObject("it")),
        (b"{\"auths\": []}", FormatError::NotAnObject("\"auths\" in it")),
        (b"{\"auths\": \"\"}", FormatError::NotAnObject("\"auths\" in it")),
        (b"{\"auths\": {\"\\ud800\": {}}}", FormatError::NotAName("\"auths\" in it")),
        (b"{\"\\udc00\": 1}", FormatError::NotAName("it")),
        (b"{\"auths\": {}, \"\\u0061uths\": {}}", FormatError::Twice(AUTHS.to_owned())),
        (
            b"{\"auths\": {\"quay.example.com/acme\": {}, \"quay.example.com\\/acme\": {}}}",
            FormatError::Twice(KEY.to_owned()),
        ),
    ];
    for (content, expected) in cases {
        let shown = String::from_utf8_lossy(content);
        let format = Format::DockerConfig;
        assert_eq!(format.check(Some(content), Some(&LOGIN)), Err(expected), "{shown}");
        assert!(format.write(&handed_over(&Secret::new("t0ken")), Some(content)).is_err(), "{shown}");
        assert_eq!(format.read(content, Some(&LOGIN)), None, "{shown}");
        assert!(format.remarks(Some(content), Some(&LOGIN)).is_empty(), "{shown}");
    }
}

#[test]
fn the_token_is_read_as_docker_would_use_it() {
    let cases = [
        (json!({ "auth": AUTH }), Some("t0ken")),
        (json!({ "auth": AUTH.trim_end_matches('=') }), Some("t0ken")),
        (json!({ "auth": format!("{AUTH}\n"), "username": "other", "password": "other" }), Some("t0ken")),
        (json!({ "auth": STANDARD.encode("acme+ci:with:colons") }), Some("with:colons")),
        (json!({ "auth": "", "username": "acme+ci", "password": "t0ken" }), Some("t0ken")),
        (json!({ "username": "acme+ci", "password": "t0ken", "email": "" }), Some("t0ken")),
        (json!({ "auth": AUTH, "identitytoken": "" }), Some("t0ken")),
        (json!({ "auth": AUTH, "identitytoken": "i" }), None),
        (json!({ "auth": AUTH, "registrytoken": "i" }), None),
        (json!({ "auth": STANDARD.encode("acme+other:t0ken") }), None),
        (json!({ "username": "acme+other", "password": "t0ken" }), None),
        (json!({ "auth": STANDARD.encode("t0ken") }), None),
        (json!({ "auth": "%" }), None),
        (json!({ "auth": STANDARD.encode("acme+ci:") }), None),
        (json!({ "auth": 5 }), None),
        (json!({ "username": "acme+ci" }), None),
        (json!("t0ken"), None),
        (Value::Null, None),
    ];
    for (entry, expected) in cases {
        let content = json!({ "auths": { "quay.example.com": { "auth": "eDp5" }, KEY: entry } }).to_string();
        let read = Format::DockerConfig.read(content.as_bytes(), Some(&LOGIN));
        assert_eq!(read, expected.map(Secret::new), "{entry}");
    }
    let elsewhere = json!({ "auths": { "quay.example.com": { "auth": AUTH } } }).to_string();
    assert_eq!(Format::DockerConfig.read(elsewhere.as_bytes(), Some(&LOGIN)), None, "under another key");
    assert_eq!(Format::DockerConfig.read(elsewhere.as_bytes(), None), None, "for nobody");
}

#[test]
fn what_a_user_should_know_of_the_file_is_said() {
    let other =
        "The entry of quay.example.com/acme is that of the user 'acme+old'; it is replaced by that of 'acme+ci'.";
    let helper =
        "credHelpers names the credential helper 'pass', so docker asks that for quay.example.com and not this file.";
    let store =
        "credsStore names the credential helper 'desktop', so docker asks that for quay.example.com and not this file.";
    let cases = [
        (json!({}), vec![]),
        (json!({ "auths": { KEY: { "auth": AUTH } } }), vec![]),
        (json!({ "auths": { KEY: {} } }), vec![]),
        (json!({ "auths": { KEY: { "auth": STANDARD.encode("t0ken") } } }), vec![]),
        (json!({ "auths": { "quay.example.com": { "username": "acme+old", "password": "t0ken" } } }), vec![]),
        (json!({ "auths": { KEY: { "username": "acme+old", "password": "t0ken" } } }), vec![other]),
        (
            json!({ "auths": { KEY: { "auth": STANDARD.encode("acme+old:t0ken") } }, "credsStore": "desktop" }),
            vec![other, store],
        ),
        (json!({ "credsStore": "" }), vec![]),
        (json!({ "credsStore": null, "credHelpers": null }), vec![]),
        (json!({ "credHelpers": { "a.example.com": "pass" } }), vec![]),
        (json!({ "credHelpers": { "quay.example.com": "pass" }, "credsStore": "desktop" }), vec![helper]),
        (json!({ "credHelpers": { "quay.example.com": "" }, "credsStore": "desktop" }), vec![]),
        (json!({ "credHelpers": { "a.example.com": "pass" }, "credsStore": "desktop" }), vec![store]),
    ];
    for (content, expected) in cases {
        let remarks = Format::DockerConfig.remarks(Some(content.to_string().as_bytes()), Some(&LOGIN));
        assert_eq!(remarks, expected, "{content}");
    }
    assert!(Format::DockerConfig.remarks(None, Some(&LOGIN)).is_empty());
}

pub(super) fn merge(existing: &str) -> String {
    let merged = Format::DockerConfig.write(&handed_over(&Secret::new("t0ken")), Some(existing.as_bytes()));
    String::from_utf8(merged.unwrap_or_else(|error| panic!("{error}: {existing}")).to_vec()).unwrap()
}

fn handed_over(token: &Secret) -> HandedOver<'_> {
    HandedOver {
        token,
        name: "robot_token",
        token_type: None,
        expires_at: None,
        login: Some(LOGIN),
        galaxy_server: None,
        central: None,
    }
}

pub(super) const LOGIN: Login<'_> = Login { username: "acme+ci", registry: KEY };

pub(super) const KEY: &str = "quay.example.com/acme";

/// Base64 of `acme+ci:t0ken`.
pub(super) const AUTH: &str = "YWNtZStjaTp0MGtlbg==";
