//! Calls to a real server, or to its stand-in, as a test makes them: without anything of the product in between.

use std::time::Duration;

use anyhow::{Result, bail};
use reqwest::blocking::{Client, Response};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use serde_json::Value;

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'c> {
    /// Nobody says who they are.
    Nobody,
    /// A user with the right password.
    User(&'c str),
    /// A user with that password.
    Password(&'c str, &'c str),
    /// Whoever holds that token.
    Token(&'c str),
    /// That whole header.
    Authorization(&'c str),
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as it came.
    pub text: String,
    headers: HeaderMap,
}

impl Answer {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The code of automation hub's first error, or nothing.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body as JSON; an error if the status is another.
    pub fn expect(&self, status: u16) -> Result<Value> {
        if self.status != status {
            bail!("The server answered {}, not {status}: {:.500}", self.status, self.text);
        }
        Ok(self.json())
    }

    pub(crate) fn read(response: Response) -> Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text()? })
    }
}

/// A client that follows no redirect and goes through no proxy. Each request has a connection of its own: the tests of a program share a client, and gunicorn
/// closes one that was idle for two seconds, also when the next request is on its way already.
pub(crate) fn client() -> Result<Client> {
    // An error means that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(Duration::from_secs(60));
    Ok(client.pool_max_idle_per_host(0).build()?)
}
