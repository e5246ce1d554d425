//! Requests over keep-alive connections: what they cost in time, and the Worker's process in CPU.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// An answer that never comes ends the benchmark rather than hang it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a volley of requests cost.
pub struct Volley {
    /// Each request's, sorted.
    pub latencies: Vec<Duration>,
    /// From opening the connections to the last answer.
    pub wall: Duration,
}

impl Volley {
    /// The latency that this share of the requests stayed within, in ms.
    pub fn percentile(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
        self.latencies[index].as_secs_f64() * 1e3
    }
}

/// Sends the requests to a Worker over so many connections, each with one request at a time.
pub fn fire(address: &str, connections: usize, requests: &[Vec<u8>], status: u16) -> Volley {
    let begun = now();
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|first| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address);
                    let own = requests.iter().skip(first).step_by(connections);
                    own.map(|request| {
                        let begun = now();
                        let answer = connection.send(request);
                        assert_eq!(answer.0, status, "{}", String::from_utf8_lossy(&answer.1));
                        begun.elapsed()
                    })
                    .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("answers")).collect()
    });
    let wall = begun.elapsed();
    latencies.sort_unstable();
    Volley { latencies, wall }
}

/// One Worker's share of [`alternate`].
pub struct Share {
    pub address: String,
    /// Of its process.
    pub pid: u32,
    pub requests: Vec<Vec<u8>>,
}

/// Sends each Worker its requests over one connection, a few to one and then a few to the next: what else the machine
/// does lasts longer than that, and so meets all of them alike. Gives the CPU, user and system, that each one's process
/// spent.
pub fn alternate(shares: &[Share], few: usize, status: u16) -> Vec<Duration> {
    let mut connections: Vec<_> = shares.iter().map(|share| Connection::open(&share.address)).collect();
    let begun: Vec<_> = shares.iter().map(|share| cpu_of(share.pid)).collect();
    let most = shares.iter().map(|share| share.requests.len()).max().unwrap_or_default();
    for first in (0..most).step_by(few) {
        for (share, connection) in shares.iter().zip(&mut connections) {
            for request in share.requests.iter().skip(first).take(few) {
                let answer = connection.send(request);
                assert_eq!(answer.0, status, "{}", String::from_utf8_lossy(&answer.1));
            }
        }
    }
    shares.iter().zip(begun).map(|(share, begun)| cpu_of(share.pid) - begun).collect()
}

/// Sends one request; gives the status and the body.
pub fn ask(address: &str, request: &[u8]) -> (u16, Vec<u8>) {
    Connection::open(address).send(request)
}

/// One that is kept alive.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends one request; gives the status and the body.
    pub fn send(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        self.stream.write_all(request).expect("a server that listens");
        self.buffer.clear();
        let mut chunk = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut chunk).expect("an answer in time");
            assert!(read > 0, "the server hung up");
            self.buffer.extend_from_slice(&chunk[..read]);
            let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.buffer[..head]).expect("ASCII");
            let status = text[9..12].parse().expect("a status");
            let length = text.lines().filter_map(|line| line.split_once(": ")).find_map(|(name, value)| {
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().expect("a length"))
            });
            let whole = head + 4 + length.expect("every peer announces its length");
            if self.buffer.len() >= whole {
                return (status, self.buffer[head + 4..whole].to_vec());
            }
        }
    }
}

fn cpu_of(pid: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process"));
    let spent: TimeSpec = clock_gettime(clock_getcpuclockid(pid).expect("a running process")).expect("its clock");
    Duration::from(spent)
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch; the service gets its clock as an argument")]
pub fn now() -> Instant {
    Instant::now()
}
