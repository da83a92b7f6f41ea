//! Which client is asking, and how it proves that.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::error;
use super::realm::{Client, Realm};
use crate::exchange::{Answer, Form, Request};

/// The client of the request. The form's parameters go before the header's.
pub(crate) fn authenticate<'r>(realm: &'r Realm, request: &Request, form: &Form) -> Result<&'r Client, Answer> {
    let (basic_id, basic_secret) = basic(request).unzip();
    let id = form.value("client_id").or(basic_id.as_deref());
    let secret = form.value("client_secret").or(basic_secret.as_deref());
    let client = id
        .and_then(|id| realm.clients.get(id))
        .filter(|client| client.enabled)
        .ok_or_else(|| error(401, "invalid_client", WRONG))?;
    match &client.secret {
        Some(right) if secret != Some(right) => Err(error(401, "unauthorized_client", WRONG)),
        _ => Ok(client),
    }
}

/// Id and secret of a Basic header, each form-encoded before base64.
fn basic(request: &Request) -> Option<(String, String)> {
    let (scheme, value) = request.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64_STANDARD.decode(value.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    // As the value of a parameter without a name; an ampersand would end it, and stands for itself here.
    let pair = format!("={}", text.replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

const WRONG: &str = "Invalid client or Invalid client credentials";
