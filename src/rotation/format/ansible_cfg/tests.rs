use super::super::Format;
use super::*;

#[test]
fn the_token_comes_into_its_section_and_everything_else_stays() {
    let made = "[galaxy_server.hub]\nurl = https://hub.example.com/api/galaxy/\ntoken = T0KEN\n";
    let cases = [
        // A new section.
        (String::new(), made.to_owned()),
        ("[defaults]\nx = 1".to_owned(), format!("[defaults]\nx = 1\n\n{made}")),
        ("[defaults]\r\nx = 1\r\n".to_owned(), format!("[defaults]\nx = 1\n\n{made}").replace('\n', "\r\n")),
        ("[galaxy_server.Hub]\ntoken = a\n".to_owned(), format!("[galaxy_server.Hub]\ntoken = a\n\n{made}")),
        ("# [galaxy_server.hub]\n".to_owned(), format!("# [galaxy_server.hub]\n\n{made}")),
        // A section without a token.
        (HEAD.to_owned(), format!("{HEAD}token = T0KEN\n")),
        (format!("{HEAD}[x]\ny = 1\n"), format!("{HEAD}token = T0KEN\n[x]\ny = 1\n")),
        (format!("{HEAD}\n# x\n  [x]\ny = 1\n"), format!("{HEAD}  token = T0KEN\n\n# x\n  [x]\ny = 1\n")),
        (format!("{HEAD}url=U\n\n[x]\n"), format!("{HEAD}url=U\ntoken=T0KEN\n\n[x]\n")),
        (format!("{HEAD}  url :  U"), format!("{HEAD}  url :  U\n  token :  T0KEN\n")),
        (format!("{HEAD}url =\n  U\n# c\n\n"), format!("{HEAD}url =\n  U\ntoken = T0KEN\n# c\n\n")),
        // A section with one.
        (format!("{HEAD}token = old\nurl = U\n"), format!("{HEAD}token = T0KEN\nurl = U\n")),
        (format!("{HEAD}Token:old ; mine\r\n"), format!("{HEAD}Token:T0KEN ; mine\r\n")),
        (format!("{HEAD}token = \"old\" # part of it"), format!("{HEAD}token = T0KEN")),
        (format!("{HEAD}token =\n\nurl = U"), format!("{HEAD}token = T0KEN\n\nurl = U")),
        (format!("{HEAD}token= ; none\n"), format!("{HEAD}token= T0KEN ; none\n")),
        ("[DEFAULT]\ntoken = a\n".to_owned() + HEAD, format!("[DEFAULT]\ntoken = a\n{HEAD}token = T0KEN\n")),
        ("[galaxy_server.hub]x\ntoken: old\n".to_owned(), "[galaxy_server.hub]x\ntoken: T0KEN\n".to_owned()),
        // Nothing is to be done.
        (format!("{HEAD}token = 'T0KEN' ; mine"), format!("{HEAD}token = 'T0KEN' ; mine")),
    ];
    for (before, after) in cases {
        let written = write("T0KEN", &before).unwrap_or_else(|error| panic!("{error}: {before:?}"));
        assert_eq!(written, after, "into {before:?}");
        assert_eq!(read(&written), Some(Secret::new("T0KEN")), "{written:?}");
        assert_eq!(write("T0KEN", &written), Ok(after), "twice into {before:?}");
    }
}

#[test]
fn a_file_that_ansible_cannot_read_is_refused_with_its_line() {
    let line = |line, why| FormatError::Line { line, why };
    let cases = [
        ("token = a\n", line(1, OUTSIDE)),
        ("\u{feff}[galaxy]\n", line(1, OUTSIDE)),
        ("[galaxy]\nx\n", line(2, NO_OPTION)),
        ("[galaxy]\n= x\n", line(2, NO_OPTION)),
        ("[galaxy]\n[]\n", line(2, NO_OPTION)),
        ("[galaxy]\nx = 1\n\n[galaxy]\n", line(4, SECTION_TWICE)),
        ("[galaxy]\nx = 1\nX: 2\n", line(3, OPTION_TWICE)),
        ("[DEFAULT]\nx = 1\n[a]\n[DEFAULT]\nX: 2\n", line(5, OPTION_TWICE)),
        ("[galaxy_server.hub]\nurl = U\ntoken = a\n\n  b\n", line(3, LONG)),
        ("[galaxy_server.hub]\ntoken =\n  b\n", line(2, LONG)),
    ];
    for (content, expected) in cases {
        assert_eq!(Format::AnsibleCfg.check(Some(content.as_bytes()), ENTRY), Err(expected.clone()), "{content:?}");
        assert_eq!(write("t", content), Err(expected), "{content:?}");
        assert_eq!(read(content), None, "{content:?}");
        assert!(remarks(content).is_empty(), "{content:?}");
    }
    assert_eq!(Format::AnsibleCfg.check(Some(b"[x]\ny = \xff"), ENTRY), Err(FormatError::NotText));
}

#[test]
fn a_server_that_cannot_be_written_is_refused() {
    let (name, url) = ("hub", "https://hub.example.com/");
    let cases = [
        (None, Err(FormatError::NoGalaxyServer)),
        (Some(GalaxyServer { name: "", url }), Err(FormatError::ServerName(String::new()))),
        (Some(GalaxyServer { name: "a,b", url }), Err(FormatError::ServerName("a,b".to_owned()))),
        (Some(GalaxyServer { name: "a b", url }), Err(FormatError::ServerName("a b".to_owned()))),
        (Some(GalaxyServer { name, url: "" }), Err(FormatError::Uncarried("server's address"))),
        (
            Some(GalaxyServer { name, url: "https://hub.example.com/ ;x" }),
            Err(FormatError::Uncarried("server's address")),
        ),
        (Some(GalaxyServer { name, url }), Ok(())),
        (Some(GalaxyServer { name: "Hub_2.eu-west", url }), Ok(())),
    ];
    for (galaxy_server, expected) in cases {
        let entry = Entry { galaxy_server, ..Entry::default() };
        assert_eq!(Format::AnsibleCfg.check(None, entry), expected, "{galaxy_server:?}");
    }
    let unused = Entry { galaxy_server: Some(GalaxyServer { name, url: "" }), ..Entry::default() };
    assert_eq!(Format::AnsibleCfg.check(Some(HEAD.as_bytes()), unused), Ok(()));
}

#[test]
fn a_token_that_ansible_would_read_as_something_else_is_refused_and_never_shown() {
    for token in ["t0ken\n", " t0ken", "t0 ;ken", ";t0ken", "'t0ken'", "\"t0ken\"", "t0k\u{e9}n", "t0\rken"] {
        let error = write(token, "").unwrap_err();
        assert_eq!(error, FormatError::Uncarried(TOKEN));
        assert!(!error.to_string().contains("t0"));
    }
}

#[test]
fn the_token_is_read_as_ansible_reads_it() {
    let cases = [
        ("token = a=b:c", Some("a=b:c")),
        ("TOKEN : a", Some("a")),
        ("token = 'a'", Some("a")),
        ("token = 'a\\'", Some("'a\\'")),
        ("token = 'a", Some("'a")),
        ("token = a;b ; c", Some("a;b")),
        ("token = a # b", Some("a # b")),
        ("token = %(x)s", Some("%(x)s")),
        ("token = ''", None),
        ("token =", None),
        ("tokens = a", None),
        ("; token = a", None),
    ];
    for (line, expected) in cases {
        assert_eq!(read(&format!("{HEAD}{line}\n")), expected.map(Secret::new), "{line}");
    }
    assert_eq!(read(&format!("[DEFAULT]\ntoken = a\n{HEAD}")), Some(Secret::new("a")));
    assert_eq!(read("[DEFAULT]\ntoken = a\n"), None);
}

#[test]
fn the_token_is_taken_out_and_its_section_stays() {
    let cases = [
        (format!("{HEAD}token = a\nurl = U\n"), format!("{HEAD}url = U\n")),
        (format!("{HEAD}url = U\n  v\ntoken = a"), format!("{HEAD}url = U\n  v\n")),
        (format!("{HEAD}url = U\n"), format!("{HEAD}url = U\n")),
        ("[galaxy_server.other]\ntoken = a\n".to_owned(), "[galaxy_server.other]\ntoken = a\n".to_owned()),
    ];
    for (before, after) in cases {
        let without = Format::AnsibleCfg.without(before.as_bytes(), ENTRY).unwrap();
        assert_eq!(String::from_utf8(without.to_vec()).unwrap(), after);
    }
}

#[test]
fn what_keeps_ansible_galaxy_from_using_the_token_is_said() {
    let section = "[galaxy_server.hub]\nurl = U\n";
    let list = "The server_list of the section [galaxy] does not name hub, so ansible-galaxy never uses the section [galaxy_server.hub]; \
                add it to that list or to ANSIBLE_GALAXY_SERVER_LIST.";
    let url = "The section [galaxy_server.hub] has no url, without which ansible-galaxy ends with an error; add it.";
    let username = "The section [galaxy_server.hub] has a username, so ansible-galaxy logs in with that and its password, \
                    not with the token; remove it.";
    let auth_url = "The section [galaxy_server.hub] has an auth_url, so ansible-galaxy exchanges the token there for another one; \
                    remove it unless that is meant.";
    let cases = [
        (String::new(), vec![list]),
        (section.to_owned(), vec![list]),
        (format!("[galaxy]\nserver_list = a, hub\n{section}"), vec![]),
        (format!("[galaxy]\nserver_list =\n  a,\n  'hub'\n{section}"), vec![]),
        (format!("[galaxy]\nserver_list = a hub, Hub\n{section}"), vec![list]),
        (format!("[galaxy]\nserver_list =\n  a\n  hub\n{section}"), vec![list]),
        (format!("[galaxy]\n[DEFAULT]\nserver_list = hub\n{section}"), vec![]),
        (format!("[DEFAULT]\nserver_list = hub\n{section}"), vec![list]),
        (format!("[galaxy]\nserver_list = hub\n{HEAD}"), vec![url]),
        (format!("[galaxy]\nserver_list = hub\n{section}username = u\nauth_url = x\n"), vec![username, auth_url]),
        (format!("[galaxy]\nserver_list = hub\n{section}username =\n"), vec![]),
    ];
    for (content, expected) in cases {
        assert_eq!(remarks(&content), expected, "{content}");
    }
}

fn write(token: &str, existing: &str) -> Result<String, FormatError> {
    let token = Secret::new(token);
    let Entry { login, galaxy_server } = ENTRY;
    let what = HandedOver { token: &token, name: TOKEN, token_type: None, expires_at: None, login, galaxy_server };
    let written = Format::AnsibleCfg.write(&what, Some(existing.as_bytes()));
    written.map(|content| String::from_utf8(content.to_vec()).unwrap())
}

fn read(content: &str) -> Option<Secret> {
    Format::AnsibleCfg.read(content.as_bytes(), ENTRY)
}

fn remarks(content: &str) -> Vec<String> {
    Format::AnsibleCfg.remarks(Some(content.as_bytes()), ENTRY)
}

const ENTRY: Entry<'_> = Entry {
    login: None,
    galaxy_server: Some(GalaxyServer { name: "hub", url: "https://hub.example.com/api/galaxy/" }),
};

const HEAD: &str = "[galaxy_server.hub]\n";
