//! The stand-in held against the real hub: the same requests go to both, and what they answer must be alike.

use std::fmt::Write;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::Value;
use tokensmith_sandbox::Sandbox;
use tokensmith_tests::galaxy_ng::{Answer, Api, Caller, GalaxyNg, TOKEN};

use crate::answers::deactivate;

#[test]
fn the_stand_in_answers_like_the_real_hub() -> Result<()> {
    let Some(hub) = GalaxyNg::shared()? else { return Ok(()) };
    let real = Side::real(hub)?;
    let sandbox = Sandbox::start()?;
    let stand_in = Side::stand_in(&sandbox)?;
    let (expected, found) = (real.play()?, stand_in.play()?);
    assert_eq!(expected.lines().count(), found.lines().count());
    let differences: String = expected
        .lines()
        .zip(found.lines())
        .filter(|(expected, found)| expected != found)
        .map(|(expected, found)| format!("\n{expected}\n  but {found}"))
        .collect();
    assert!(differences.is_empty(), "the stand-in differs from the real hub:{differences}");
    Ok(())
}

/// A hub, with a user that has a token, and one that is not active any more.
struct Side {
    api: Api,
    user: String,
    password: String,
    of_inactive: String,
    inactive: (String, String),
}

impl Side {
    fn real(hub: &GalaxyNg) -> Result<Self> {
        let [user, inactive] = [hub.make_user("casey")?, hub.make_user("alex")?];
        let of_inactive = hub.issue(&inactive)?;
        deactivate(hub, &inactive)?;
        let password = GalaxyNg::PASSWORD.to_owned();
        Ok(Self { api: Api::new(hub.url())?, user, inactive: (inactive, password.clone()), password, of_inactive })
    }

    fn stand_in(sandbox: &Sandbox) -> Result<Self> {
        let hub = sandbox.hub();
        let [password, of_alex] = ["casey", "alex"].map(|name| hub.add_user(name));
        let of_inactive = hub.issue_token("alex").context("the user is there")?;
        hub.change(|state| state.users.get_mut("alex").map(|user| user.is_active = false));
        let (api, inactive) = (Api::new(&hub.plain_url())?, ("alex".to_owned(), of_alex));
        Ok(Self { api, user: "casey".to_owned(), password, of_inactive, inactive })
    }

    /// One line for each answer.
    fn play(&self) -> Result<String> {
        let mut notes = Notes { api: &self.api, lines: String::new() };
        let user = Caller::Password(&self.user, &self.password);
        let first = notes.issue("with the password", user)?;
        let token = notes.issue("with the token", Caller::Token(&first))?;
        notes.every_method("dead", Caller::Token(&first))?;
        let authorization = |scheme: &str| format!("{scheme} {token}");
        for (label, value) in [
            ("bearer", authorization("Bearer")),
            ("lower case", authorization("token")),
            ("unknown scheme", authorization("GoogleLogin")),
            ("no token", "Token".to_owned()),
            ("two words", authorization("Token x")),
            ("nothing", String::new()),
            ("basic without a word", "Basic".to_owned()),
            ("basic with two words", "Basic a b".to_owned()),
            ("basic with garbage", "Basic ????".to_owned()),
            ("basic without a colon", "Basic Y2FzZXk=".to_owned()),
        ] {
            notes.ask(label, Method::OPTIONS, Caller::Authorization(&value), TOKEN, None)?;
        }
        notes.every_method("nobody", Caller::Nobody)?;
        notes.every_method("wrong password", Caller::Password(&self.user, "wrong-password"))?;
        notes.every_method("unknown user", Caller::Password("nobody", &self.password))?;
        notes.every_method("inactive by password", Caller::Password(&self.inactive.0, &self.inactive.1))?;
        notes.every_method("inactive by token", Caller::Token(&self.of_inactive))?;
        for path in ["v3/auth/token", "v3/auth/tokens/", "v3/auth/token/x/"] {
            notes.every_method(path, Caller::Token(&token))?;
        }
        notes.ask("other methods", Method::PUT, user, TOKEN, None)?;
        notes.ask("other methods", Method::PATCH, Caller::Token(&token), TOKEN, None)?;
        notes.ask("still alive", Method::OPTIONS, Caller::Token(&token), TOKEN, None)?;
        for body in ["{ this is no JSON", "[]", r#"{"username": "admin"}"#] {
            notes.ask("a body", Method::POST, user, TOKEN, Some(body))?;
        }
        notes.ask("after them", Method::OPTIONS, Caller::Token(&token), TOKEN, None)?;
        let last = notes.issue("the last", user)?;
        for label in ["once", "twice"] {
            notes.ask(label, Method::DELETE, user, TOKEN, None)?;
        }
        notes.every_method("deleted", Caller::Token(&last))?;
        Ok(notes.lines)
    }
}

struct Notes<'n> {
    api: &'n Api,
    lines: String,
}

impl Notes<'_> {
    fn issue(&mut self, label: &str, caller: Caller) -> Result<String> {
        let answer = self.ask(label, Method::POST, caller, TOKEN, None)?;
        answer.json()["token"].as_str().map(String::from).context("there is no token")
    }

    fn every_method(&mut self, label: &str, caller: Caller) -> Result<()> {
        for method in [Method::OPTIONS, Method::GET, Method::POST, Method::DELETE] {
            self.ask(label, method, caller, if label.contains('/') { label } else { TOKEN }, None)?;
        }
        Ok(())
    }

    fn ask(&mut self, label: &str, method: Method, caller: Caller, path: &str, body: Option<&str>) -> Result<Answer> {
        let answer = self.api.call(method.clone(), caller, path, body)?;
        let [content_type, location, wanted] =
            ["Content-Type", "Location", "WWW-Authenticate"].map(|name| answer.header(name));
        // The real one says it with every answer, but only here it matters.
        let allow = if answer.status == 405 { answer.header("Allow") } else { "" };
        let has_id = !answer.header("Correlation-ID").is_empty();
        writeln!(
            self.lines,
            "{label}: {method} {} {content_type:?} {allow:?} {location:?} {wanted:?} {has_id} {}",
            answer.status,
            without_token(&answer)
        )?;
        Ok(answer)
    }
}

/// The body without what differs from answer to answer.
fn without_token(answer: &Answer) -> String {
    match answer.json() {
        Value::Object(mut object) => {
            if let Some(Value::String(token)) = object.get_mut("token") {
                *token = format!("{} hexadecimal digits", token.chars().filter(char::is_ascii_hexdigit).count());
            }
            Value::Object(object).to_string()
        }
        _ if answer.text.is_empty() => "nothing".to_owned(),
        _ => "a page".to_owned(),
    }
}
