//! Requests that no HTTP client would send, byte by byte over a socket.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// What came back: the status, the head and the body. Nothing at all is `None`.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Heard {
    /// Whether the Worker gave it. What is no HTTP at all, the runtime refuses before the Worker gets to see it.
    pub fn is_workers(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nx-request-id: ")
    }

    /// Whether the body is JSON and is said to be.
    pub fn is_json(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\ncontent-type: application/json")
            && serde_json::from_slice::<serde_json::Value>(&self.body).is_ok()
    }
}

/// Sends the bytes, whoever reads them, and reads one answer. `whole` says whether the request ends here; if not, the
/// sender hangs up in its middle.
///
/// # Panics
/// If neither an answer nor the end of the connection comes within ten seconds.
pub fn send(address: &str, request: &[u8], whole: bool) -> Option<Heard> {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.set_write_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let (mut reader, mut writer) = (&stream, &stream);
    std::thread::scope(|scope| {
        // Aside, because the server may answer and stop reading long before the end.
        scope.spawn(move || {
            let _ = writer.write_all(request);
            if !whole {
                let _ = writer.shutdown(Shutdown::Write);
            }
        });
        // The answer to HEAD has a length and no body.
        let heard = answer(&mut reader, request.starts_with(b"HEAD "));
        let _ = reader.shutdown(Shutdown::Both);
        heard
    })
}

fn answer(reader: &mut impl Read, head_only: bool) -> Option<Heard> {
    let mut bytes = Vec::new();
    loop {
        if let Some(heard) = parse(&bytes, head_only) {
            return Some(heard);
        }
        let mut chunk = [0; 8192];
        match reader.read(&mut chunk) {
            Ok(0) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("no answer within ten seconds, only {:?}", String::from_utf8_lossy(&bytes))
            }
            Err(_) => return None,
        }
    }
}

/// The answer, if it is all there. The Worker's bodies always come with their length.
fn parse(bytes: &[u8], head_only: bool) -> Option<Heard> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let body = bytes.get(end + 4..end + 4 + length.filter(|_| !head_only).unwrap_or(0))?.to_vec();
    Some(Heard { status, head, body })
}

/// A request with a body in chunks of at most 16 KiB, and its last chunk only if it is `whole`.
pub fn chunked(head: &str, body: &[u8], whole: bool) -> Vec<u8> {
    coded(&format!("{head}\r\nTransfer-Encoding: chunked"), body, whole)
}

/// The same, where `head` says how the body is coded.
pub fn coded(head: &str, body: &[u8], whole: bool) -> Vec<u8> {
    let mut bytes = format!("{head}\r\n\r\n").into_bytes();
    for chunk in body.chunks(16 * 1024) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    if whole {
        bytes.extend(b"0\r\n\r\n");
    }
    bytes
}
