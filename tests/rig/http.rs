//! Just enough HTTP/1.1 to be the far end of D1 or R2: one thread a connection, and the freedom to misbehave, which no server
//! crate gives: close without an answer, or never answer.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A request.
pub struct Request {
    pub path: String,
    /// Names in lower case.
    #[allow(dead_code, reason = "D1's far end needs none")]
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// What to do with a request.
pub enum Reply {
    Body(String),
    /// Status, headers, body.
    #[allow(dead_code, reason = "D1's far end needs no other")]
    Full(u16, Vec<(&'static str, String)>, Vec<u8>),
    Close,
    Silence,
}

/// Serves on a free port until the process ends, and says where.
pub fn serve(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || connection(stream, &*answer));
        }
    });
    address
}

/// Answers one request after the other until somebody hangs up; a broken connection ends it as well.
fn connection(stream: TcpStream, answer: &dyn Fn(&Request) -> Reply) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        match answer(&request(&mut reader)?) {
            Reply::Body(text) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    text.len()
                );
                writer.write_all((head + &text).as_bytes()).ok()?;
            }
            Reply::Full(status, headers, body) => {
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let head = format!("HTTP/1.1 {status} -\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
                writer.write_all(&[head.as_bytes(), &body].concat()).ok()?;
            }
            Reply::Close => return None,
            Reply::Silence => {
                // Until the client gives up and closes.
                let _ = reader.read(&mut [0]);
                return None;
            }
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body })
}
