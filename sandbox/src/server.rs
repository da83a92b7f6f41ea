//! Connections: TLS or not, HTTP/1.1, and what a fault does to them.

use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::certificates::Acceptors;
use crate::exchange::{Answer, Request};
use crate::faults::{Fault, Outcome};
use crate::{Shared, System, control};

/// A port and the system behind it.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Acceptors>,
    pub(crate) system: Arc<dyn System>,
}

/// Serves all doors until the other end of `stopped` is used or dropped. The control endpoint is the same behind each.
pub(crate) fn spawn(
    doors: Vec<Door>,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    for door in &doors {
        door.listener.set_nonblocking(true)?;
    }
    let systems: Arc<[_]> = doors.iter().map(|door| Arc::clone(&door.system)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
        runtime.block_on(async {
            for door in doors {
                tokio::spawn(accept(door, Arc::clone(&systems), Arc::clone(&shared)));
            }
            let _ = stopped.await;
        });
    })
}

async fn accept(door: Door, systems: Arc<[Arc<dyn System>]>, shared: Arc<Shared>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(door.listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let service = Service {
            system: Arc::clone(&door.system),
            systems: Arc::clone(&systems),
            shared: Arc::clone(&shared),
            encrypted: door.tls.is_some(),
        };
        let tls = door.tls.clone();
        tokio::spawn(async move {
            match tls {
                None => service.serve(stream).await,
                Some(_) if service.system.refuses_plain_http() && is_plain(&stream).await => refuse_plain(stream).await,
                // A client that does not trust the authority ends the handshake: no business of ours.
                Some(acceptors) => {
                    let acceptor = acceptors.showing(service.system.certificate());
                    if let Ok(stream) = acceptor.accept(stream).await {
                        service.serve(stream).await;
                    }
                }
            }
        });
    }
}

/// Whether the connection begins otherwise than TLS does.
async fn is_plain(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1) if first != [TLS_HANDSHAKE])
}

/// As a server written in Go does. What the client still sends is read, lest the answer be lost with it.
async fn refuse_plain(mut stream: TcpStream) {
    let _ = stream.write_all(PLAIN_REFUSED).await;
    let _ = stream.shutdown().await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

#[derive(Clone)]
struct Service {
    system: Arc<dyn System>,
    systems: Arc<[Arc<dyn System>]>,
    shared: Arc<Shared>,
    encrypted: bool,
}

impl Service {
    /// Keycloak sends no `Date`.
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.clone().respond(request));
        // An error here is a cut connection, ours or the client's.
        let _ = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service).await;
    }

    async fn respond(self, request: hyper::Request<Incoming>) -> Result<Response<AnswerBody>, Cut> {
        let mut request = self.read(request).await?;
        if let Some(action) = request.path.strip_prefix(control::PREFIX) {
            return Ok(whole(control::answer(&self.shared, &self.systems, action, &request)));
        }
        let number = self.shared.records.add(&request);
        let fault = self.shared.faults.take(&request);
        let delay = fault.as_ref().map(Fault::delay_to_keep);
        let pause = if fault.as_ref().is_none_or(Fault::acts) { self.system.begin(&mut request) } else { None };
        let outcome = match pause {
            None => act(self.system.as_ref(), &request, fault),
            Some(pause) => {
                let system = Arc::clone(&self.system);
                // A server that has begun does not stop because its client goes away.
                let acting = tokio::spawn(async move {
                    pause.over().await;
                    act(system.as_ref(), &request, fault)
                });
                acting.await.map_err(|_| Cut)?
            }
        };
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        let latency = self.system.latency();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let response = match outcome {
            Outcome::Cut => return Err(Cut),
            Outcome::Answer(answer) if answer.is_cut => return Err(Cut),
            Outcome::Answer(answer) => {
                self.system.answered(&answer);
                whole(self.dated(answer))
            }
            Outcome::CutBody(answer) => half(self.dated(answer)),
        };
        self.shared.records.answered(number, response.status().as_u16());
        Ok(response)
    }

    fn dated(&self, answer: Answer) -> Answer {
        match self.system.date() {
            Some(date) => answer.header("date", date),
            None => answer,
        }
    }

    /// A body of many megabytes makes Keycloak cut the connection.
    async fn read(&self, request: hyper::Request<Incoming>) -> Result<Request, Cut> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|_| Cut)?.to_bytes();
        Ok(Request {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(String::from),
            headers: head.headers,
            body,
            encrypted: self.encrypted,
            row_read: None,
        })
    }
}

fn act(system: &dyn System, request: &Request, fault: Option<Fault>) -> Outcome {
    match fault {
        None => Outcome::Answer(system.answer(request)),
        Some(fault) => fault.apply(system, request),
    }
}

/// Cuts the connection without an answer: hyper closes it when the service fails.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
struct Cut;

fn whole(answer: Answer) -> Response<AnswerBody> {
    let declared = answer.body.len();
    response(answer, declared)
}

/// Declares the whole length and gives half of it.
fn half(answer: Answer) -> Response<AnswerBody> {
    let declared = answer.body.len();
    let half = answer.body.slice(..declared / 2);
    response(Answer { body: half, ..answer }, declared)
}

fn response(answer: Answer, declared: usize) -> Response<AnswerBody> {
    let rest = declared - answer.body.len();
    let mut response = Response::new(AnswerBody { chunk: Some(answer.body), rest, flushed: false });
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// One chunk; if more was declared than it has, the connection breaks behind it.
struct AnswerBody {
    chunk: Option<Bytes>,
    rest: usize,
    flushed: bool,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.chunk.take() {
            Some(chunk) if !chunk.is_empty() => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            _ if self.rest == 0 => Poll::Ready(None),
            _ if self.flushed => Poll::Ready(Some(Err(Cut))),
            // hyper sends what it has when the body makes it wait, and throws it away when the body fails.
            _ => {
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest == 0 && self.chunk.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.chunk.as_ref().map_or(0, Bytes::len) + self.rest) as u64)
    }
}

const BODY_LIMIT: usize = 10 * 1024 * 1024;
const TLS_HANDSHAKE: u8 = 22;
const PLAIN_REFUSED: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
