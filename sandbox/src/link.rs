//! A network in between: what goes through it takes its time, and breaks off on purpose.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use tokensmith_sandbox::link::Link;
//!
//! let link = Link::to(([127, 0, 0, 1], 22).into())?;
//! link.set_round_trip(Duration::from_millis(40));
//! link.cut_after(100_000);
//! // … let a client send a megabyte to link.address() …
//! link.heal();
//! # Ok(()) }
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{StartError, address, listen};

/// Forwards TCP from a free port of 127.0.0.1 to a server, until dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    network: Arc<Network>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Starts it, without any delay. It has a thread of its own, so the caller needs no runtime.
    pub fn to(server: SocketAddr) -> Result<Self, StartError> {
        let listener = listen(0)?;
        let address = address(&listener)?;
        listener.set_nonblocking(true).map_err(|error| StartError::Listen { port: address.port(), error })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let network = Arc::new(Network::default());
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&network);
        let thread = std::thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::spawn(accept(listener, server, served));
                    let _ = stopped.await;
                });
            })
            .map_err(StartError::Thread)?;
        Ok(Self { address, network, stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long a byte takes there and another one back, from now on. The bandwidth stays what it was.
    pub fn set_round_trip(&self, round_trip: Duration) {
        self.network.state().round_trip = round_trip;
    }

    /// Cuts all connections at once. New ones come about as before.
    pub fn cut(&self) {
        self.network.cut();
    }

    /// Lets so many more bytes through to the server, those of all connections together, and then cuts all of them, once.
    pub fn cut_after(&self, bytes: u64) {
        self.network.state().cut_after = Some(bytes);
    }

    /// Refuses new connections from now on.
    pub fn refuse(&self) {
        self.network.state().refuses = true;
    }

    /// Ends what was said by [`Link::cut_after`] and [`Link::refuse`]. The delay stays.
    pub fn heal(&self) {
        let mut state = self.network.state();
        state.cut_after = None;
        state.refuses = false;
    }

    /// How many connections have come about.
    pub fn connections(&self) -> usize {
        self.network.state().connections
    }

    /// How many bytes have gone through to the server.
    pub fn bytes_to_server(&self) -> u64 {
        self.network.state().bytes_to_server
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the connections of a link share.
#[derive(Debug, Default)]
struct Network {
    state: Mutex<State>,
    cuts: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    round_trip: Duration,
    cut_after: Option<u64>,
    refuses: bool,
    connections: usize,
    bytes_to_server: u64,
}

impl Network {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        self.cuts.send_replace(());
    }

    fn round_trip(&self) -> Duration {
        self.state().round_trip
    }

    /// How many of these bytes go through, and whether the cut follows them.
    fn let_through(&self, bytes: usize) -> (usize, bool) {
        let mut state = self.state();
        let through = state.cut_after.map_or(bytes, |left| bytes.min(usize::try_from(left).unwrap_or(usize::MAX)));
        state.bytes_to_server += through as u64;
        let left = state.cut_after.map(|left| left - through as u64);
        state.cut_after = left.filter(|left| *left > 0);
        (through, left == Some(0))
    }
}

async fn accept(listener: std::net::TcpListener, server: SocketAddr, network: Arc<Network>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((client, _)) = listener.accept().await {
        let refuses = network.state().refuses;
        if refuses {
            let _ = client.set_zero_linger();
        } else {
            network.state().connections += 1;
            tokio::spawn(connect(client, server, Arc::clone(&network)));
        }
    }
}

async fn connect(mut client: TcpStream, server: SocketAddr, network: Arc<Network>) {
    let mut cuts = network.cuts.subscribe();
    tokio::select! {
        _ = cuts.changed() => {}
        ended = forward(&mut client, server, &network) => {
            if ended.is_ok() {
                return;
            }
        }
    }
    // A connection that broke is reset, not ended.
    let _ = client.set_zero_linger();
}

async fn forward(client: &mut TcpStream, server: SocketAddr, network: &Network) -> io::Result<()> {
    // The handshake of TCP, which is done with this end already.
    sleep(network.round_trip()).await;
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((client_reads, client_writes), (server_reads, server_writes)) = (client.split(), server.split());
    tokio::try_join!(
        carry(client_reads, server_writes, network, Direction::ToServer),
        carry(server_reads, client_writes, network, Direction::ToClient),
    )?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    ToServer,
    ToClient,
}

/// Each chunk goes on when its time has come. Waiting for one does not keep the next from being taken in.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    network: &Network,
    direction: Direction,
) -> io::Result<()> {
    let (queue, mut queued) = mpsc::channel(QUEUE);
    let take_in = async move {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = from.read(&mut buffer).await?;
            let due = Instant::now() + network.round_trip() / 2;
            let is_taken = queue.send((due, buffer[..count].to_vec())).await.is_ok();
            if count == 0 || !is_taken {
                return Ok(());
            }
        }
    };
    let hand_on = async move {
        while let Some((due, chunk)) = queued.recv().await {
            sleep_until(due).await;
            if chunk.is_empty() {
                return to.shutdown().await;
            }
            let (through, is_cut) = match direction {
                Direction::ToServer => network.let_through(chunk.len()),
                Direction::ToClient => (chunk.len(), false),
            };
            to.write_all(&chunk[..through]).await?;
            if is_cut {
                network.cut();
                // Nothing follows: the connection is about to end.
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    };
    tokio::try_join!(take_in, hand_on)?;
    Ok(())
}

const CHUNK: usize = 64 * 1024;
/// So many chunks can be under way: far more than a loopback fills in any latency that is of use.
const QUEUE: usize = 1024;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;

    #[test]
    fn everything_arrives_in_order_and_the_end_as_well_with_a_delay_and_without() {
        for round_trip in [0, 20] {
            let link = to_echo();
            link.set_round_trip(Duration::from_millis(round_trip));
            let sent: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
            assert_eq!(echoed(&link, &sent).unwrap(), sent);
            assert_eq!((link.connections(), link.bytes_to_server()), (1, 3_000_000));
        }
    }

    #[test]
    fn an_exchange_takes_a_round_trip_and_connecting_another_one() {
        let link = to_echo();
        let round_trip = Duration::from_millis(50);
        link.set_round_trip(round_trip);
        let mut stream = TcpStream::connect(link.address()).unwrap();
        for (exchange, least) in [round_trip * 2, round_trip, round_trip].into_iter().enumerate() {
            let start = std::time::Instant::now();
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            // There is no upper limit: the machine may be busy.
            assert!(start.elapsed() >= least, "exchange {exchange} took {:?}", start.elapsed());
        }
    }

    #[test]
    fn a_cut_ends_every_connection_and_the_next_one_works() {
        let link = to_echo();
        let mut streams = [(); 2].map(|()| TcpStream::connect(link.address()).unwrap());
        for stream in &mut streams {
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        link.cut();
        for stream in &mut streams {
            assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
        }
        assert_eq!(echoed(&link, b"again").unwrap(), b"again");
    }

    #[test]
    fn the_server_gets_so_many_bytes_before_a_cut_and_no_more() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let link = Link::to(listener.local_addr().unwrap()).unwrap();
        link.cut_after(100_000);
        let mut client = TcpStream::connect(link.address()).unwrap();
        let sending = thread::spawn(move || while client.write_all(&[7; 1000]).is_ok() {});
        let mut received = Vec::new();
        let _ = listener.accept().unwrap().0.read_to_end(&mut received);
        sending.join().unwrap();
        assert_eq!((received.len(), link.bytes_to_server()), (100_000, 100_000));
    }

    #[test]
    fn new_connections_are_refused_until_it_is_healed() {
        let link = to_echo();
        let mut before = TcpStream::connect(link.address()).unwrap();
        before.write_all(b"x").unwrap();
        before.read_exact(&mut [0]).unwrap();
        link.refuse();
        assert!(echoed(&link, b"no").is_err());
        before.write_all(b"x").unwrap();
        before.read_exact(&mut [0]).unwrap();
        link.heal();
        assert_eq!(echoed(&link, b"yes").unwrap(), b"yes");
    }

    /// A link to a server that sends back what it gets.
    fn to_echo() -> Link {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let link = Link::to(listener.local_addr().unwrap()).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        link
    }

    fn echoed(link: &Link, sent: &[u8]) -> io::Result<Vec<u8>> {
        let stream = TcpStream::connect(link.address())?;
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = (&stream).write_all(sent);
                let _ = stream.shutdown(std::net::Shutdown::Write);
            });
            let mut received = Vec::new();
            (&stream).read_to_end(&mut received)?;
            if received.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(received) }
        })
    }
}
