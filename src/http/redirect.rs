//! Redirects: followed for a GET within the same origin, refused for everything else, because a secret would travel along.

use reqwest::Method;
use url::Url;

use super::{Answer, HttpError, Request, shown};

/// Where an answer sends a request on to, if it is a redirect that may be followed.
pub(super) fn target(request: &Request, url: &Url, answer: &Answer) -> Result<Option<Url>, HttpError> {
    if !matches!(answer.status(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(next) = answer.header("location").and_then(|location| url.join(location).ok()) else {
        return Err(HttpError::Redirected { url: shown(url), target: "nowhere (it names no address)".to_owned() });
    };
    if request.method == Method::GET && next.origin() == url.origin() {
        return Ok(Some(next));
    }
    Err(HttpError::Redirected { url: shown(url), target: shown(&next) })
}
