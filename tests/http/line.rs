//! A WebSocket to the hub, as a client has one.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::error::Error;
use tungstenite::handshake::HandshakeError;
use tungstenite::{Message, WebSocket};

use crate::client::{Project, Server};

/// How long a message may take that must come.
const SOON: Duration = Duration::from_secs(10);

pub struct Line(pub WebSocket<TcpStream>);

/// What comes out of a line.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// A message.
    Json(Value),
    /// Another text.
    Text(String),
    /// The end, with its code.
    Closed(u16),
}

impl Line {
    /// Opens one, or gives the status of the refusal.
    pub fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let address = server.url.trim_start_matches("http://");
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
        for (name, value) in headers.iter().chain(&[("cf-connecting-ip", server.client.as_str())]) {
            let name = tungstenite::http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(refusal))) => Err(refusal.status().as_u16()),
            Err(other) => panic!("{path}: {other}"),
        }
    }

    /// A shard's line.
    pub fn of_shard(server: &Server, run: i64, lease: &str) -> Self {
        Self::open(server, &format!("/api/test-runs/{run}/watch"), &[("Estop-Lease", lease)]).expect("a line")
    }

    /// All that happens in a project.
    pub fn of_project(project: &Project) -> Self {
        let bearer = format!("Bearer {}", project.key);
        Self::open(&project.server, "/api/watch", &[("Authorization", &bearer)]).expect("a line")
    }

    /// The next thing that comes.
    pub fn next(&mut self) -> Heard {
        self.within(SOON).unwrap_or_else(|| panic!("nothing came within {SOON:?}"))
    }

    /// The next thing, if one comes within `span`.
    pub fn within(&mut self, span: Duration) -> Option<Heard> {
        self.0.get_ref().set_read_timeout(Some(span)).expect("a timeout");
        loop {
            return Some(match self.0.read() {
                Ok(Message::Text(text)) => {
                    serde_json::from_str(&text).map_or(Heard::Text(text.to_string()), Heard::Json)
                }
                Ok(Message::Close(frame)) => Heard::Closed(frame.map_or(1005, |frame| frame.code.into())),
                Ok(_) => continue,
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                Err(_) => Heard::Closed(1006),
            });
        }
    }

    /// The next message of this type.
    pub fn message(&mut self, kind: &str) -> Value {
        loop {
            match self.next() {
                Heard::Json(message) if message["type"] == kind => return message,
                Heard::Json(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
