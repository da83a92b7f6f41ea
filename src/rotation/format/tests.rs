use super::*;

#[test]
fn every_format_reads_back_what_it_wrote() {
    for format in FORMATS {
        for token in ["eyJ.abc.def", "with 'quotes' and \"more\"", "'", "back\\slash", "x:y", "x"] {
            for login in LOGINS {
                let token = Secret::new(token);
                let what = HandedOver {
                    login: Some(login),
                    galaxy_server: Some(SERVER),
                    central: Some(CENTRAL),
                    ..handed_over(&token)
                };
                let written = format.write(&what, None).unwrap();
                assert_eq!(format.read(&written, what.entry()), Some(token.clone()), "{format:?}");
                assert_eq!(format.write(&what, Some(&written)).unwrap(), written, "{format:?}");
            }
        }
    }
}

#[test]
fn the_formats_look_as_documented() {
    for (format, expected) in [
        (Format::Raw, "t0ken"),
        (
            Format::Json,
            "{\n  \"access_token\": \"t0ken\",\n  \"token_type\": \"Bearer\",\n  \"expires_at\": \"2023-11-14T22:13:20Z\"\n}\n",
        ),
        (
            Format::Env,
            "ACCESS_TOKEN='t0ken'\nACCESS_TOKEN_TYPE='Bearer'\nACCESS_TOKEN_EXPIRES_AT='2023-11-14T22:13:20Z'\n",
        ),
    ] {
        assert_eq!(text(format.write(&handed_over(&Secret::new("t0ken")), None)), expected, "{format:?}");
    }
}

#[test]
fn the_password_of_a_registry_stands_with_its_user_and_its_registry() {
    let token = Secret::new("t0ken");
    let robot = robot(&token, "quay.example.com/acme");
    for (format, expected) in [
        (Format::Raw, "t0ken"),
        (
            Format::Json,
            "{\n  \"robot_token\": \"t0ken\",\n  \"username\": \"acme+ci\",\n  \"registry\": \"quay.example.com/acme\"\n}\n",
        ),
        (
            Format::Env,
            "ROBOT_TOKEN='t0ken'\nROBOT_TOKEN_USERNAME='acme+ci'\nROBOT_TOKEN_REGISTRY='quay.example.com/acme'\n",
        ),
    ] {
        assert_eq!(text(format.write(&robot, None)), expected, "{format:?}");
    }
}

#[test]
fn files_for_registries_are_byte_for_byte_those_of_quay() {
    let token = Secret::new("A".repeat(64));
    for (registry, data) in [
        (
            "quay.example.com",
            "ewogICJhdXRocyI6IHsKICAgICJxdWF5LmV4YW1wbGUuY29tIjogewogICAgICAiYXV0aCI6ICJZV050WlN0amFUcEJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkIiLAogICAgICAiZW1haWwiOiAiIgogICAgfQogIH0KfQ==",
        ),
        (
            "quay.example.com/acme",
            "ewogICJhdXRocyI6IHsKICAgICJxdWF5LmV4YW1wbGUuY29tL2FjbWUiOiB7CiAgICAgICJhdXRoIjogIllXTnRaU3RqYVRwQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQiIsCiAgICAgICJlbWFpbCI6ICIiCiAgICB9CiAgfQp9",
        ),
    ] {
        let robot = robot(&token, registry);
        let config = format!(
            r#"{{
  "auths": {{
    "{registry}": {{
      "auth": "YWNtZStjaTpBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB",
      "email": ""
    }}
  }}
}}"#
        );
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: acme-ci-pull-secret\ndata:\n  .dockerconfigjson: {data}\n\
             type: kubernetes.io/dockerconfigjson"
        );
        for empty in [None, Some(&b""[..]), Some(b" \n"), Some(b"\r\n\r\n")] {
            assert_eq!(text(Format::DockerConfig.write(&robot, empty)), config);
            assert_eq!(text(Format::KubernetesSecret.write(&robot, empty)), secret);
        }
    }
}

#[test]
fn other_files_hold_no_token() {
    for (format, content) in [
        (Format::Raw, " \n"),
        (Format::Json, "{}"),
        (Format::Json, "t0ken"),
        (Format::Json, "{\"token\": 5}"),
        (Format::Json, "{\"token\": \"\"}"),
        (Format::Env, "t0ken"),
        (Format::Env, "A=b"),
        (Format::DockerConfig, ""),
        (Format::DockerConfig, "t0ken"),
        (Format::DockerConfig, "{}"),
        (Format::KubernetesSecret, ""),
        (Format::KubernetesSecret, "t0ken"),
        (Format::KubernetesSecret, "data:\n  .dockerconfigjson: e30="),
        (Format::KubernetesSecret, "data:\n  .dockerconfigjson: ?"),
    ] {
        assert_eq!(format.read(content.as_bytes(), Some(&LOGINS[0])), None, "{format:?} {content}");
    }
}

#[test]
fn a_token_that_logs_in_nowhere_is_refused_by_the_formats_for_registries_and_servers() {
    let token = Secret::new("t0ken");
    for format in FORMATS {
        let error = match format {
            Format::DockerConfig | Format::KubernetesSecret => Some(FormatError::NoLogin),
            Format::AnsibleCfg => Some(FormatError::NoGalaxyServer),
            Format::RoxctlConfig => Some(FormatError::NoCentral),
            _ => None,
        };
        assert_eq!(format.check(None, None).err(), error, "{format:?}");
        assert_eq!(format.write(&handed_over(&token), None).err(), error, "{format:?}");
        assert!(format.remarks(None, None).is_empty());
    }
}

#[test]
fn there_is_room_for_a_large_token_in_every_format() {
    let token = Secret::new("A".repeat(16 * 1024));
    let username = format!("{}+{}", "n".repeat(255), "r".repeat(255));
    let registry = format!("{}/{}", "h".repeat(255), "n".repeat(255));
    let long = "x".repeat(10_000);
    let name = "n".repeat(255);
    let galaxy_server = Some(GalaxyServer { name: &name, url: &token.reveal()[..1024] });
    let login = Some(Login { username: &username, registry: &registry });
    for format in FORMATS {
        let existing = match format {
            Format::DockerConfig => format!("{{\"HttpHeaders\": {{\"X\": \"{long}\"}}}}"),
            Format::GalaxyToken => format!("other: {long}"),
            Format::AnsibleCfg => format!("[defaults]\nother = {long}"),
            Format::RoxctlConfig => format!("other: {long}"),
            _ => String::new(),
        };
        let what = HandedOver { login, galaxy_server, central: Some(&registry), ..handed_over(&token) };
        let written = format.write(&what, Some(existing.as_bytes())).unwrap();
        let room = format.room(existing.len());
        assert!(written.len() <= room, "{format:?} {} {room}", written.len());
    }
}

#[test]
fn formats_have_the_names_of_the_option() {
    let names =
        ["raw", "json", "env", "docker_config", "kubernetes_secret", "galaxy_token", "ansible_cfg", "roxctl_config"];
    for (format, name) in FORMATS.into_iter().zip(names) {
        assert_eq!(serde_json::from_value::<Format>(name.into()).unwrap(), format);
    }
}

#[test]
fn errors_and_files_never_show_a_secret() {
    for content in ["\"t0ken\"", "{\"auths\": \"t0ken\"}", "t0ken", "{\"auths\": {\"t0ken\"}}", "[\"t0ken\"]"] {
        let error = Format::DockerConfig.check(Some(content.as_bytes()), Some(&LOGINS[0])).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("t0ken"), "{error}");
    }
}

#[test]
fn only_a_format_that_has_room_for_several_tokens_tells_them_apart() {
    let entry = Entry { login: Some(LOGINS[1]), galaxy_server: Some(SERVER), central: Some(CENTRAL) };
    for format in FORMATS {
        let expected = match format {
            Format::DockerConfig => Some("quay.example.com:8443/acme"),
            Format::AnsibleCfg => Some("hub"),
            Format::RoxctlConfig => Some(CENTRAL),
            _ => None,
        };
        assert_eq!((format.key(entry), format.key(None)), (expected, None), "{format:?}");
    }
}

fn handed_over(token: &Secret) -> HandedOver<'_> {
    let expires_at = DateTime::from_timestamp(1_700_000_000, 0);
    HandedOver {
        token,
        name: "access_token",
        token_type: Some("Bearer"),
        expires_at,
        login: None,
        galaxy_server: None,
        central: None,
    }
}

fn robot<'a>(token: &'a Secret, registry: &'a str) -> HandedOver<'a> {
    let login = Some(Login { username: "acme+ci", registry });
    HandedOver {
        token,
        name: "robot_token",
        token_type: None,
        expires_at: None,
        login,
        galaxy_server: None,
        central: None,
    }
}

fn text(written: Result<Zeroizing<Vec<u8>>, FormatError>) -> String {
    String::from_utf8(written.unwrap().to_vec()).unwrap()
}

const FORMATS: [Format; 8] = [
    Format::Raw,
    Format::Json,
    Format::Env,
    Format::DockerConfig,
    Format::KubernetesSecret,
    Format::GalaxyToken,
    Format::AnsibleCfg,
    Format::RoxctlConfig,
];

const CENTRAL: &str = "central.example.com:443";

const SERVER: GalaxyServer<'_> = GalaxyServer { name: "hub", url: "https://hub.example.com/api/galaxy/" };

const LOGINS: [Login<'_>; 2] = [
    Login { username: "acme+ci", registry: "quay.example.com" },
    Login { username: "acme+ci", registry: "quay.example.com:8443/acme" },
];
