//! What the hub answers, as far as `hub_token` depends on it.

use std::collections::BTreeSet;
use std::thread;

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_tests::galaxy_ng::{Answer, Caller, GalaxyNg, TOKEN};

#[test]
fn a_new_token_ends_the_one_before_at_once() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let user = hub.make_user("casey")?;
    let first = hub.issue(&user)?;
    assert!(hub.works(&first)?);
    // Once with the password, once with the token itself.
    let second = hub.issue(&user)?;
    let third = hub.call(Method::POST, Caller::Token(&second), TOKEN, None)?.expect(200)?;
    let third = third["token"].as_str().expect("a token");
    for token in [&first, &second, third] {
        assert!(token.len() == 40 && token.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{token}");
    }
    assert_eq!([hub.works(&first)?, hub.works(&second)?, hub.works(third)?], [false, false, true]);
    Ok(())
}

#[test]
fn a_token_is_neither_shown_nor_touched_by_options_and_get() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let user = hub.make_user("casey")?;
    let token = hub.issue(&user)?;
    for caller in [Caller::Token(&token), Caller::User(&user)] {
        let options = hub.call(Method::OPTIONS, caller, TOKEN, None)?;
        assert!(options.status == 200 && !options.text.contains(&token), "{options:?}");
        assert_eq!(options.header("Allow"), "POST, DELETE, OPTIONS");
        let get = hub.call(Method::GET, caller, TOKEN, None)?.expect(405)?;
        let error = &get["errors"][0];
        assert_eq!(
            (&error["status"], &error["code"], &error["detail"]),
            (&json!("405"), &json!("method_not_allowed"), &json!("Method \"GET\" not allowed."))
        );
    }
    let without_slash = hub.call(Method::POST, Caller::User(&user), TOKEN.trim_end_matches('/'), None)?;
    assert_eq!(without_slash.status, 301);
    assert!(hub.works(&token)?);
    Ok(())
}

#[test]
fn a_deletion_says_nothing_about_whether_there_was_a_token() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let user = hub.make_user("casey")?;
    let (token, with_itself) = (hub.issue(&user)?, hub.make_user("casey")?);
    for _ in 0..2 {
        let answer = hub.call(Method::DELETE, Caller::User(&user), TOKEN, None)?;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        assert!(!hub.works(&token)?);
    }
    let token = hub.issue(&with_itself)?;
    assert_eq!(hub.call(Method::DELETE, Caller::Token(&token), TOKEN, None)?.status, 204);
    assert_eq!(hub.call(Method::DELETE, Caller::Token(&token), TOKEN, None)?.code(), "authentication_failed");
    Ok(())
}

#[test]
fn a_body_is_never_read() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let (user, other) = (hub.make_user("casey")?, hub.make_user("robin")?);
    let untouched = hub.issue(&other)?;
    let for_other = json!({ "username": other, "user": other }).to_string();
    for body in ["{ this is no JSON", &for_other, "[]"] {
        let token = hub.issue(&user)?;
        hub.call(Method::POST, Caller::User(&user), TOKEN, Some(body))?.expect(200)?;
        assert!(!hub.works(&token)?, "{body}");
    }
    assert!(hub.works(&untouched)?);
    Ok(())
}

#[test]
fn a_refusal_has_a_code_and_touches_no_token() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let [user, gone, inactive] = [hub.make_user("casey")?, hub.make_user("robin")?, hub.make_user("alex")?];
    let [token, dead, of_inactive] = [hub.issue(&user)?, hub.issue(&gone)?, hub.issue(&inactive)?];
    hub.call(Method::DELETE, Caller::User(&gone), TOKEN, None)?;
    deactivate(hub, &inactive)?;
    let authorization = |scheme: &str| format!("{scheme} {token}");
    let [bearer, unknown, twice] = [authorization("Bearer"), authorization("GoogleLogin"), authorization("Token x")];
    let wrong_password = Caller::Password(&user, "wrong-password");
    let nobody = Caller::Password("nobody", GalaxyNg::PASSWORD);
    let cases = [
        (Caller::Nobody, "not_authenticated", ""),
        (Caller::Authorization(&bearer), "not_authenticated", ""),
        (Caller::Authorization(&unknown), "not_authenticated", ""),
        (wrong_password, "authentication_failed", "Invalid username/password."),
        (nobody, "authentication_failed", "Invalid username/password."),
        (Caller::User(&inactive), "authentication_failed", "Invalid username/password."),
        (Caller::Token(&dead), "authentication_failed", "Invalid token."),
        (Caller::Token("garbage"), "authentication_failed", "Invalid token."),
        (Caller::Token(&of_inactive), "authentication_failed", "User inactive or deleted."),
        (Caller::Authorization("Token"), "authentication_failed", "Invalid token header. No credentials provided."),
        (
            Caller::Authorization(&twice),
            "authentication_failed",
            "Invalid token header. Token string should not contain spaces.",
        ),
        (
            Caller::Authorization("Basic ????"),
            "authentication_failed",
            "Invalid basic header. Credentials not correctly base64 encoded.",
        ),
    ];
    for (caller, code, detail) in cases {
        for method in [Method::OPTIONS, Method::POST, Method::DELETE] {
            let answer = hub.call(method, caller, TOKEN, None)?;
            let json = answer.expect(403)?;
            let error = &json["errors"][0];
            assert_eq!(error["status"], "403");
            assert_eq!(
                (answer.code().as_str(), error["detail"].as_str().unwrap_or_default()),
                (code, detail),
                "{caller:?}"
            );
            assert!(!answer.header("Correlation-ID").is_empty());
        }
    }
    assert!(hub.works(&token)?);
    Ok(())
}

#[test]
fn a_missing_permission_and_a_wrong_path_are_told_apart_from_a_dead_token() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let user = hub.make_user("casey")?;
    let token = hub.issue(&user)?;
    let namespace = json!({ "name": "not_allowed", "groups": [] });
    let refused = hub.post(Caller::Token(&token), "v3/namespaces/", &namespace)?;
    assert_eq!((refused.status, refused.code().as_str()), (403, "permission_denied"));
    let nowhere = hub.call(Method::OPTIONS, Caller::Token(&token), "v3/auth/tokens/", None)?;
    assert!(nowhere.status == 404 && nowhere.header("Content-Type").starts_with("text/html"), "{nowhere:?}");
    Ok(())
}

#[test]
fn parallel_requests_leave_one_token_and_its_answer_was_sent() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let user = hub.make_user("casey")?;
    let answers = thread::scope(|scope| {
        let calls: Vec<_> =
            (0..6).map(|_| scope.spawn(|| hub.call(Method::POST, Caller::User(&user), TOKEN, None))).collect();
        calls.into_iter().map(|call| call.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    // Whoever comes between another's deletion and its creation makes that fail.
    assert!(answers.iter().all(|answer| [200, 500].contains(&answer.status)), "{answers:?}");
    let json: Vec<Value> = answers.iter().map(Answer::json).collect();
    let tokens: BTreeSet<&str> = json.iter().filter_map(|answer| answer["token"].as_str()).collect();
    assert_eq!(tokens.len(), answers.iter().filter(|answer| answer.status == 200).count());
    let living: Result<Vec<bool>> = tokens.iter().map(|token| hub.works(token)).collect();
    assert_eq!(living?.into_iter().filter(|works| *works).count(), 1);
    Ok(())
}

#[test]
fn only_the_command_on_the_server_shows_a_token_that_is_there() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let user = hub.make_user("casey")?;
    let token = hub.issue(&user)?;
    let (status, shown, _) = create_token(hub, &[&user])?;
    assert_eq!((status, shown), (Some(0), format!("Generated token {token} for user {user}\n")));
    assert!(hub.works(&token)?);
    let (status, _, error) = create_token(hub, &["nobody"])?;
    assert_eq!(status, Some(1));
    assert!(error.contains("CommandError: Cannot create the Token: user nobody does not exist"), "{error}");
    Ok(())
}

/// The command's exit status, standard output and standard error.
fn create_token(hub: &GalaxyNg, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let output = hub.pulpcore_manager(&[&["drf_create_token"], arguments].concat())?;
    let [shown, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok((output.status.code(), shown, error))
}

/// A token is refused from then on, as is the password.
pub fn deactivate(hub: &GalaxyNg, user: &str) -> Result<()> {
    let code = format!(
        "from django.contrib.auth import get_user_model; \
         print(get_user_model().objects.filter(username='{user}').update(is_active=False))"
    );
    let output = hub.pulpcore_manager(&["shell", "-c", &code])?;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1", "{output:?}");
    Ok(())
}
