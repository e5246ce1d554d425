//! Outages: a TCP proxy in front of the Worker whose behaviour can be switched.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the proxy does with connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Forwards them.
    Through,
    /// Closes them at once.
    Closed,
    /// Answers a request with the first response whose text it contains.
    Responds(Vec<(&'static str, String)>),
}

pub struct Proxy {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    mode: Mode,
    open: Vec<TcpStream>,
    seen: u32,
}

impl Proxy {
    pub fn before(url: &str, mode: Mode) -> Self {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Mutex::new(Inner { mode, open: Vec::new(), seen: 0 }));
        let shared = inner.clone();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                accept(connection, &target, &shared);
            }
        });
        Self { url: format!("http://{address}"), inner }
    }

    /// Changes the mode and cuts the open connections.
    pub fn switch(&self, mode: Mode) {
        let mut inner = self.inner.lock().expect("a lock");
        inner.mode = mode;
        inner.seen = 0;
        for stream in inner.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Connections since the last switch.
    pub fn seen(&self) -> u32 {
        self.inner.lock().expect("a lock").seen
    }
}

fn accept(mut client: TcpStream, target: &str, shared: &Mutex<Inner>) {
    let mut inner = shared.lock().expect("a lock");
    inner.seen += 1;
    match &inner.mode {
        Mode::Closed => {}
        Mode::Responds(responses) => {
            let responses = responses.clone();
            thread::spawn(move || respond(&mut client, &responses));
        }
        Mode::Through => {
            let Ok(server) = TcpStream::connect(target) else { return };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
            inner.open.extend([client, server]);
        }
    }
}

fn respond(client: &mut TcpStream, responses: &[(&str, String)]) {
    let mut buffer = vec![0; 16 * 1024];
    // One read gets the request's head.
    let length = client.read(&mut buffer).unwrap_or(0);
    let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
    if let Some((_, response)) = responses.iter().find(|(text, _)| request.contains(text)) {
        let _ = client.write_all(response.as_bytes());
    }
    // Closing with unread data would reset the connection and lose the response.
    let _ = client.shutdown(Shutdown::Write);
    while client.read(&mut buffer).is_ok_and(|length| length > 0) {}
}

/// Answers every request with this response.
pub fn respond_with(status: &str, headers: &str, body: &str) -> Mode {
    Mode::Responds(vec![("", http(status, headers, body))])
}

/// An HTTP response.
pub fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}
