//! A line that is kept open: a thread that opens a WebSocket, listens to it, and opens it again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use estop_protocol::watch::{KEY_IS_OVER, LEASE_HEADER};

use super::pulse::{Next, Patience, Pulse};
use super::reconnect::{Attempt, Reconnect};
use super::socket::{Cutter, Heard, Socket};
use crate::clock;
use crate::service::Service;

/// For tests, which cannot wait for 40 s: both parts of [`Patience`], in milliseconds.
const PATIENCE_VARIABLE: &str = "ESTOP_TEST_PATIENCE_MS";

/// What lets us listen.
pub enum Credential {
    Key,
    /// The token.
    Lease(String),
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// It is open and answers. What happened before was not heard.
    Opened,
    /// The service's text, which may be of a kind that we do not know.
    Message(String),
    /// It was open, and is not any more.
    Closed,
}

/// How long something that is to be said waits at most: the line listens for so long at a time.
const SAY_WITHIN: Duration = Duration::from_secs(1);

/// What a line is to say: only the newest counts.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Option<String>>>);

impl Outbox {
    pub fn put(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Dropping it closes it.
pub struct Line {
    is_open: Arc<AtomicBool>,
    cutter: Cutter,
    #[expect(dead_code, reason = "dropping it closes the channel")]
    handle: Sender<()>,
}

impl Line {
    /// Opens a line in the background. `tell` hears its news, in a thread of the line's own.
    pub fn open(
        service: &Service,
        path: String,
        credential: Credential,
        tell: impl FnMut(News) + Send + 'static,
    ) -> Self {
        Self::open_with(service, path, credential, None, tell)
    }

    /// The same, and says what is put into `outbox` while it is open.
    pub fn open_with(
        service: &Service,
        path: String,
        credential: Credential,
        outbox: Option<Outbox>,
        tell: impl FnMut(News) + Send + 'static,
    ) -> Self {
        let (handle, dropped) = channel();
        let (is_open, cutter) = (Arc::<AtomicBool>::default(), Cutter::default());
        let patience = patience();
        let thread = Thread {
            service: service.clone(),
            path,
            credential,
            outbox,
            tell,
            patience,
            is_open: is_open.clone(),
            cutter: cutter.clone(),
            dropped,
        };
        thread::spawn(move || thread.run());
        Self { is_open, cutter, handle }
    }

    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.cutter.cut();
    }
}

impl Credential {
    /// The header that carries it; `None` if there is no key.
    pub fn header(&self, service: &Service) -> Option<(&'static str, String)> {
        match self {
            Self::Key => Some(("Authorization", service.bearer()?.to_owned())),
            Self::Lease(token) => Some((LEASE_HEADER, token.clone())),
        }
    }
}

struct Thread<F> {
    service: Service,
    path: String,
    credential: Credential,
    outbox: Option<Outbox>,
    tell: F,
    patience: Patience,
    is_open: Arc<AtomicBool>,
    cutter: Cutter,
    dropped: Receiver<()>,
}

impl<F: FnMut(News)> Thread<F> {
    fn run(mut self) {
        let mut reconnect = Reconnect::new();
        loop {
            let attempt = match Socket::open(&self.service, &self.path, &self.credential, &self.cutter) {
                Ok(socket) => self.listen(socket),
                Err(attempt) => attempt,
            };
            let Some(delay) = reconnect.after(attempt) else { return };
            if self.dropped.recv_timeout(delay) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn listen(&mut self, socket: Socket) -> Attempt {
        let opened = clock::now();
        let code = self.hear_out(socket);
        let was_open = self.is_open.swap(false, Ordering::Relaxed);
        if was_open {
            (self.tell)(News::Closed);
        }
        match code {
            Some(KEY_IS_OVER) => Attempt::KeyIsOver,
            _ if was_open => Attempt::Lost(clock::since(opened)),
            // It let the handshake through and nothing after it.
            _ => Attempt::Failed,
        }
    }

    /// Listens to the end, and says with which code it was closed.
    fn hear_out(&mut self, mut socket: Socket) -> Option<u16> {
        let mut pulse = Pulse::new(self.patience, clock::now());
        let slice = if self.outbox.is_some() { SAY_WITHIN } else { Duration::MAX };
        loop {
            // What was not said on an earlier connection is said on this one, once that is known to live.
            let is_open = self.is_open.load(Ordering::Relaxed);
            if let Some(text) = self.outbox.as_ref().filter(|_| is_open).and_then(Outbox::take) {
                socket.say(text).ok()?;
            }
            let text = match pulse.next(clock::now()) {
                Next::Listen(within) => match socket.hear(within.min(slice)) {
                    Heard::Text(text) => Some(text),
                    Heard::Sign => None,
                    Heard::Nothing => continue,
                    Heard::Closed(code) => return code,
                },
                Next::Ping => {
                    socket.ping().ok()?;
                    pulse.pinged(clock::now());
                    continue;
                }
                Next::GiveUp => return None,
            };
            if pulse.heard(clock::now()) {
                self.is_open.store(true, Ordering::Relaxed);
                (self.tell)(News::Opened);
            }
            if let Some(text) = text {
                (self.tell)(News::Message(text));
            }
        }
    }
}

fn patience() -> Patience {
    let asked = std::env::var(PATIENCE_VARIABLE).ok().and_then(|value| value.parse().ok());
    asked.map(Duration::from_millis).map_or(Patience::USUAL, |each| Patience { silence: each, answer: each })
}
