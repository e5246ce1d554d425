//! A TCP proxy in front of the Worker that knows WebSockets from requests: it counts both, and breaks only the former.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Relay {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// The service's address.
    target: String,
    /// The first line of every request.
    requests: Vec<String>,
    /// The first lines of those that were answered.
    answered: Vec<String>,
    swallows: bool,
    refusal: Option<String>,
    sockets: Vec<TcpStream>,
}

impl Relay {
    pub fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Inner { target: of_url(url), ..Inner::default() };
        let inner = Arc::new(Mutex::new(inner));
        let shared = inner.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                thread::spawn(move || relay(client, &shared));
            }
        });
        Self { url: format!("http://{address}"), inner }
    }

    /// Lets later connections lead to a service that has started elsewhere.
    pub fn lead_to(&self, url: &str) {
        self.inner.lock().expect("a lock").target = of_url(url);
    }

    /// How many requests have come whose first line contains this.
    pub fn seen(&self, text: &str) -> usize {
        self.inner.lock().expect("a lock").requests.iter().filter(|line| line.contains(text)).count()
    }

    /// Whether a request whose first line contains this has been answered.
    pub fn has_answered(&self, text: &str) -> bool {
        self.inner.lock().expect("a lock").answered.iter().any(|line| line.contains(text))
    }

    /// From here on nothing passes on WebSockets, either way, and nobody is told.
    pub fn swallow(&self) {
        self.inner.lock().expect("a lock").swallows = true;
    }

    /// Answers every later handshake with this; `None`: lets them through.
    pub fn refuse(&self, status: Option<(&str, &str)>) {
        self.inner.lock().expect("a lock").refusal = status.map(|(status, body)| {
            let length = body.len();
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        });
    }

    /// Cuts the WebSockets that are open.
    pub fn kill(&self) {
        for socket in self.inner.lock().expect("a lock").sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn of_url(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

fn relay(mut client: TcpStream, shared: &Arc<Mutex<Inner>>) {
    let mut buffer = vec![0; 16 * 1024];
    // One read gets the request's head.
    let length = client.read(&mut buffer).unwrap_or(0);
    let first = buffer[..length].to_vec();
    let is_socket = first_line(&first).contains("/watch ");
    note(&first, shared);
    let asked = Arc::new(Mutex::new(first_line(&first)));
    if is_socket && let Some(response) = shared.lock().expect("a lock").refusal.clone() {
        let _ = client.write_all(response.as_bytes());
        return;
    }
    let target = shared.lock().expect("a lock").target.clone();
    let Ok(mut server) = TcpStream::connect(target) else { return };
    if is_socket {
        let both = [&client, &server].map(|stream| stream.try_clone().expect("a socket"));
        shared.lock().expect("a lock").sockets.extend(both);
    }
    pass(&first, &mut server, is_socket, shared);
    let (from, to) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    let (others, answers) = (shared.clone(), asked.clone());
    thread::spawn(move || {
        let answered = |_: &[u8]| {
            let line = answers.lock().expect("a lock").clone();
            others.lock().expect("a lock").answered.push(line);
        };
        copy(from, to, is_socket, answered, &others);
    });
    let see = |chunk: &[u8]| {
        note(chunk, shared);
        let line = first_line(chunk);
        if !line.is_empty() {
            *asked.lock().expect("a lock") = line;
        }
    };
    copy(client, server, is_socket, see, shared);
}

fn copy(mut from: TcpStream, mut to: TcpStream, is_socket: bool, mut see: impl FnMut(&[u8]), shared: &Mutex<Inner>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        see(&buffer[..length]);
        pass(&buffer[..length], &mut to, is_socket, shared);
    }
    if !(is_socket && shared.lock().expect("a lock").swallows) {
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn pass(chunk: &[u8], to: &mut TcpStream, is_socket: bool, shared: &Mutex<Inner>) {
    if !(is_socket && shared.lock().expect("a lock").swallows) {
        let _ = to.write_all(chunk);
    }
}

fn first_line(chunk: &[u8]) -> String {
    let text = String::from_utf8_lossy(chunk);
    text.lines().next().filter(|line| line.ends_with("HTTP/1.1")).unwrap_or_default().to_owned()
}

fn note(chunk: &[u8], shared: &Mutex<Inner>) {
    let line = first_line(chunk);
    if !line.is_empty() {
        shared.lock().expect("a lock").requests.push(line);
    }
}
