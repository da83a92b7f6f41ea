//! The one HTTP client: how every request leaves this program and what may come back.
//!
//! A request says whether it may be repeated. What comes back is an [`Answer`] of any status, or an [`HttpError`] that tells the one thing a rotation
//! has to know: whether the server can have acted.

mod error;
mod excerpt;
mod redirect;
mod trust;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use zeroize::Zeroizing;

pub use error::HttpError;
pub(crate) use excerpt::quotable;
pub use reqwest::Method;

use crate::secret::Secret;

/// The options of `modules/fragments/http.yml`.
#[derive(Debug, Clone, Deserialize)]
pub struct Connection {
    /// Whether the server's certificate is checked.
    pub validate_certs: bool,
    /// The only authorities that are trusted.
    pub ca_path: Option<PathBuf>,
    /// Client certificate chain.
    pub client_cert: Option<PathBuf>,
    /// Its key, where the chain's file does not hold it.
    pub client_key: Option<PathBuf>,
    /// Seconds for one request as a whole.
    pub request_timeout: f64,
    /// Whether proxies of the environment are used.
    pub use_proxy: bool,
    /// Whether a secret may travel unencrypted to another host.
    pub allow_http: bool,
}

impl Default for Connection {
    /// The defaults of the options.
    fn default() -> Self {
        Self {
            validate_certs: true,
            ca_path: None,
            client_cert: None,
            client_key: None,
            request_timeout: 30.0,
            use_proxy: true,
            allow_http: false,
        }
    }
}

/// A client for one server.
pub struct Client {
    inner: reqwest::Client,
    allow_http: bool,
}

impl Client {
    /// A client after the task's options. Nothing is sent yet, but files named by the options are read.
    pub fn new(connection: &Connection) -> Result<Self, HttpError> {
        let timeout = timeout(connection.request_timeout)?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::tls_configuration(connection)?)
            .user_agent(concat!("tokensmith/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(LONGEST_CONNECT))
            .timeout(timeout)
            .pool_idle_timeout(LONGEST_IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        if !connection.use_proxy {
            builder = builder.no_proxy();
        }
        let inner = builder.build().map_err(|error| HttpError::Setup(error::causes(&error)))?;
        Ok(Self { inner, allow_http: connection.allow_http })
    }

    /// An address as the user gave it, refused when a secret must not travel there.
    pub fn address(&self, option: &'static str, text: &str) -> Result<Url, HttpError> {
        let wrong = |why: String| HttpError::Address { option, address: without_secrets(text), why };
        let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it carries a user name or password, which have options of their own".into()));
        }
        match url.scheme() {
            "https" if url.has_host() => Ok(url),
            "http" if url.has_host() && (self.allow_http || is_loopback(&url)) => Ok(url),
            "http" => Err(wrong("a token would travel in the clear: use https, or say allow_http: true".into())),
            other => Err(wrong(format!("'{other}' is not http or https"))),
        }
    }

    /// Sends a request and reads its answer, whatever the status.
    ///
    /// Repeats by itself only what the request allows, see [`Repeat`].
    pub async fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        let mut attempt = 0;
        loop {
            let outcome = self.follow(request).await;
            match pause_before_repeating(request, &outcome, attempt) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return outcome,
            }
            attempt += 1;
        }
    }

    async fn follow(&self, request: &Request) -> Result<Answer, HttpError> {
        let mut url = request.url.clone();
        for _ in 0..MOST_REDIRECTS {
            let answer = self.exchange(request, &url).await?;
            match redirect::target(request, &url, &answer)? {
                Some(next) => url = next,
                None => return Ok(answer),
            }
        }
        Err(HttpError::Redirected { url: shown(&url), target: "itself, again and again".into() })
    }

    async fn exchange(&self, request: &Request, url: &Url) -> Result<Answer, HttpError> {
        let mut builder = self.inner.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        match &request.body {
            Some(body) => builder = builder.body(body.reveal().to_owned()),
            // Some proxies refuse a POST that does not say that it has no body.
            None if request.method == Method::POST => builder = builder.header(CONTENT_LENGTH, 0),
            None => {}
        }
        let described = format!("{} {}", request.method, shown(url));
        let mut response = builder.send().await.map_err(|error| HttpError::from_reqwest(&described, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::lost(&described, &error))? {
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(HttpError::TooLarge { request: described, status: status.as_u16() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { request: described, status, headers, body })
    }
}

/// One request. It owns everything that is needed to send it, and to send it again where that is allowed.
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Secret>,
    repeat: Repeat,
}

/// When a request may be sent again without being asked.
#[derive(Clone, Copy)]
pub enum Repeat {
    /// It changes nothing: also after a lost answer, and when the server is busy.
    Always,
    /// It issues or uses up something: only when it was never written to the network, or when this says that the server did nothing.
    OnlyIfNothingWasDone(fn(&Answer) -> bool),
}

impl Request {
    /// A request that only reads.
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: accept_json(), body: None, repeat: Repeat::Always }
    }

    /// A form (`application/x-www-form-urlencoded`).
    pub fn post_form(url: Url, fields: &[(&str, &str)], repeat: Repeat) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut headers = accept_json();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        Self { method: Method::POST, url, headers, body: Some(Secret::new(body)), repeat }
    }

    /// A request that changes something and has no body.
    pub fn new(method: Method, url: Url, repeat: Repeat) -> Self {
        Self { method, url, headers: accept_json(), body: None, repeat }
    }

    /// The same with a JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, HttpError> {
        let body = serde_json::to_string(body).map_err(|error| HttpError::Setup(error.to_string()))?;
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self { body: Some(Secret::new(body)), ..self })
    }

    /// The same with `Authorization: Basic …`.
    pub fn basic(self, username: &str, password: &Secret) -> Result<Self, HttpError> {
        let pair = Zeroizing::new(format!("{username}:{}", password.reveal()));
        self.authorization(&format!("Basic {}", Zeroizing::new(STANDARD.encode(pair.as_bytes())).as_str()))
    }

    /// The same with `Authorization: Bearer TOKEN`. A token with characters that no header can hold is an error.
    pub fn bearer(self, token: &Secret) -> Result<Self, HttpError> {
        self.authorization(&format!("Bearer {}", token.reveal()))
    }

    /// The same with `Authorization: Token TOKEN`, the scheme of an automation hub's own tokens.
    pub fn token(self, token: &Secret) -> Result<Self, HttpError> {
        self.authorization(&format!("Token {}", token.reveal()))
    }

    fn authorization(mut self, value: &str) -> Result<Self, HttpError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| HttpError::UnsendableToken)?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }
}

/// What a server answered.
pub struct Answer {
    request: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header's value, where it has one that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether nothing came but status and headers.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The body as text, for looking at its beginning.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, where it is JSON of this shape. What it is called in `Content-Type` is not asked: servers are wrong about it.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as JSON, or the error that says what came in its place.
    pub fn expect_json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unexpected(&excerpt::why_not_json(&self.body, &error)))
    }

    /// The error for an answer that fits nothing that is known of this server.
    pub fn unexpected(&self, why: &str) -> HttpError {
        HttpError::Unexpected {
            request: self.request.clone(),
            status: self.status(),
            why: why.to_owned(),
            excerpt: excerpt::excerpt(self.status, self.header("content-type"), &self.body),
        }
    }
}

fn accept_json() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}

fn pause_before_repeating(request: &Request, outcome: &Result<Answer, HttpError>, attempt: u32) -> Option<Duration> {
    let is_limited = matches!(outcome, Ok(answer) if answer.status() == 429);
    // A limit of requests ends by itself, and many objects in one task meet it together.
    if attempt >= if is_limited { MOST_REPEATS_WHEN_LIMITED } else { MOST_REPEATS } {
        return None;
    }
    let asked = match (outcome, request.repeat) {
        (Ok(answer), Repeat::Always) if matches!(answer.status(), 429 | 502 | 503 | 504) => retry_after(answer),
        (Ok(answer), Repeat::OnlyIfNothingWasDone(nothing_was_done)) if nothing_was_done(answer) => retry_after(answer),
        (Err(error), Repeat::Always) if error.is_passing() => None,
        (Err(error), Repeat::OnlyIfNothingWasDone(_)) if error.is_passing() && !error.server_may_have_acted() => None,
        _ => return None,
    };
    Some(asked.unwrap_or_else(|| back_off(attempt)).min(LONGEST_PAUSE))
}

fn retry_after(answer: &Answer) -> Option<Duration> {
    answer.header(RETRY_AFTER.as_str())?.trim().parse().ok().map(Duration::from_secs)
}

/// Doubles each time; the jitter keeps hosts that failed together from coming back together.
fn back_off(attempt: u32) -> Duration {
    let nanoseconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let jitter = 0.5 + f64::from(nanoseconds % 1_000_000) / 1_000_000.0;
    FIRST_PAUSE.mul_f64(f64::from(2_u32.pow(attempt)) * jitter)
}

fn timeout(seconds: f64) -> Result<Duration, HttpError> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| HttpError::Setup(format!("request_timeout must be a positive number of seconds, not {seconds}")))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// An address without its query and fragment, which may hold secrets.
pub(crate) fn shown(url: &Url) -> String {
    let mut clean = url.clone();
    clean.set_query(None);
    clean.set_fragment(None);
    clean.to_string()
}

fn without_secrets(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    match (text[..end].find("://"), text[..end].rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}://…@{}", &text[..scheme], &text[at + 1..end]),
        _ => text[..end].to_owned(),
    }
}

const LARGEST_BODY: usize = 4 * 1024 * 1024;
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// Servers close a connection on which nothing was asked for a while, the quickest after two seconds (gunicorn); a request that crosses that end is lost,
/// and nobody knows whether it was read.
const LONGEST_IDLE: Duration = Duration::from_secs(1);
const MOST_REDIRECTS: usize = 5;
const MOST_REPEATS: u32 = 3;
const MOST_REPEATS_WHEN_LIMITED: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_in_the_clear_only_on_this_host_or_by_permission() {
        let cases = [
            ("https://sso.example.com/token", false, true),
            ("http://127.0.0.1:8080/token", false, true),
            ("http://[::1]/token", false, true),
            ("http://localhost/token", false, true),
            ("http://sso.example.com/token", false, false),
            ("http://sso.example.com/token", true, true),
            ("https://user:password@sso.example.com/", true, false),
            ("ftp://sso.example.com/", true, false),
            ("sso.example.com/token", true, false),
            ("", true, false),
        ];
        for (text, allow_http, accepted) in cases {
            let client = client(allow_http);
            let address = client.address("token_url", text);
            assert_eq!(address.is_ok(), accepted, "{text}");
        }
    }

    #[test]
    fn a_refused_address_is_shown_without_what_may_be_secret_in_it() {
        let error = client(false)
            .address("token_url", "https://user:pa55@host/path?token=t0ken#t0ken")
            .unwrap_err()
            .to_string();
        assert!(error.contains("https://…@host/path"), "{error}");
        assert!(!error.contains("pa55") && !error.contains("t0ken"), "{error}");
    }

    #[test]
    fn pauses_grow_and_stay_below_their_limit() {
        for attempt in 0..MOST_REPEATS {
            let pause = back_off(attempt);
            assert!(pause >= FIRST_PAUSE.mul_f64(0.5 * f64::from(2_u32.pow(attempt))));
            assert!(pause <= FIRST_PAUSE.mul_f64(1.5 * f64::from(2_u32.pow(attempt))));
        }
    }

    #[test]
    fn a_request_that_changes_something_says_how_long_it_is() {
        for (method, body, length) in
            [(Method::POST, None, Some("0")), (Method::POST, Some("{}"), Some("2")), (Method::DELETE, None, None)]
        {
            let head = sent(|url| {
                let request = Request::new(method.clone(), url, Repeat::OnlyIfNothingWasDone(|_| false));
                if body.is_some() { request.json(&serde_json::json!({})).unwrap() } else { request }
            });
            let lengths: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("content-length: ")).collect();
            assert_eq!(lengths, Vec::from_iter(length), "{head}");
        }
    }

    /// As gunicorn does it when its `keepalive` of two seconds ends just as the next request arrives.
    #[test]
    fn what_must_not_be_repeated_is_never_written_to_a_connection_that_the_server_may_have_closed() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = std::thread::spawn(move || {
            let answer_one = || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                stream
            };
            let mut first = answer_one();
            let closing = std::thread::spawn(move || first.read(&mut [0; 4096]).unwrap());
            let _second = answer_one();
            closing.join().unwrap()
        });
        let client = Client::new(&Connection { use_proxy: false, ..Connection::default() }).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(async {
            client.send(&Request::get(url.clone())).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let request = Request::new(Method::POST, url, Repeat::OnlyIfNothingWasDone(|_| false));
            client.send(&request).await.unwrap().status()
        });
        assert_eq!((status, server.join().unwrap()), (204, 0));
    }

    /// What arrives of a request, in small letters.
    fn sent(request: impl FnOnce(Url) -> Request) -> String {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            String::from_utf8_lossy(&head[..length]).to_ascii_lowercase()
        });
        let client = Client::new(&Connection { use_proxy: false, ..Connection::default() }).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(client.send(&request(url))).unwrap().status(), 204);
        server.join().unwrap()
    }

    fn client(allow_http: bool) -> Client {
        Client::new(&Connection { allow_http, ..Connection::default() }).unwrap()
    }
}
