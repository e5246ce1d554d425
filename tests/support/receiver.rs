//! A webhook's far end: one thread a connection, and the freedom to misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// What to do with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An answer with this head (after `HTTP/1.1 `) and body.
    Say(String, String),
    /// The same, after a while.
    Late(Duration, String),
    /// A body that does not end.
    GoOn,
    /// Nothing, ever.
    Hang,
    /// The connection is closed.
    Close,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self::Say(format!("{status} Whatever"), String::new())
    }
}

/// What it was sent.
#[derive(Debug, Clone)]
pub struct Message {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The event and the run.
    pub fn event(&self) -> (String, i64) {
        let json = self.json();
        (json["type"].as_str().expect("a type").to_owned(), json["data"]["id"].as_i64().unwrap_or(0))
    }
}

/// It serves until the process ends.
#[derive(Clone)]
pub struct Receiver {
    /// `http://127.0.0.1:port`
    pub url: String,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    pub fn start(answer: impl Fn(&Message) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heard = Arc::<Mutex<Vec<Message>>>::default();
        let (answer, hears) = (Arc::new(answer), Arc::clone(&heard));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, hears) = (Arc::clone(&answer), Arc::clone(&hears));
                std::thread::spawn(move || connection(stream, &*answer, &hears));
            }
        });
        Self { url, heard }
    }

    /// What it was sent so far.
    pub fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The events and runs that it was told of, in this order.
    #[allow(dead_code, reason = "the rig's part")]
    pub fn events(&self) -> Vec<(String, i64)> {
        self.heard().iter().map(Message::event).collect()
    }
}

/// Answers one request; a broken connection ends it as well.
fn connection(mut stream: TcpStream, answer: &dyn Fn(&Message) -> Answer, heard: &Mutex<Vec<Message>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let message = request(&mut reader)?;
    let answer = answer(&message);
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    let mut say = |head: &str, body: &str| {
        let text = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).ok()
    };
    match answer {
        Answer::Say(head, body) => say(&head, &body),
        Answer::Late(span, head) => {
            std::thread::sleep(span);
            say(&head, "")
        }
        Answer::GoOn => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
            let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
            while stream.write_all(chunk.as_bytes()).is_ok() {}
            None
        }
        Answer::Hang => {
            let _ = reader.read(&mut [0]);
            None
        }
        Answer::Close => None,
    }
}

fn request(reader: &mut impl BufRead) -> Option<Message> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length?.1.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Message { path, headers, body: String::from_utf8(body).ok()? })
}
