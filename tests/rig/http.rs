//! Just enough HTTP/1.1 to be D1's far end: one thread a connection, and the freedom to misbehave, which no server
//! crate gives: close without an answer, or never answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// What to do with a request.
pub enum Reply {
    Body(String),
    Close,
    Silence,
}

/// Serves on a free port until the process ends, and says where.
pub fn serve(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> SocketAddr {
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
fn connection(stream: TcpStream, answer: &dyn Fn(&str, &str) -> Reply) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (path, body) = request(&mut reader)?;
        match answer(&path, &body) {
            Reply::Body(text) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    text.len()
                );
                writer.write_all((head + &text).as_bytes()).ok()?;
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

fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, String::from_utf8(body).ok()?))
}
