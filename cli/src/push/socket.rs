//! One WebSocket, over a connection as ureq makes them: certificates, proxies and NO_PROXY are as for every other request.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Bytes, Error, Message, WebSocket};
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, DefaultConnector, NextTimeout, ShutdownHandle, Transport, TransportAdapter, time,
};

use super::line::Credential;
use super::reconnect::Attempt;
use crate::clock;
use crate::service::Service;

/// From connecting to the end of the handshake.
const OPEN_WITHIN: Duration = Duration::from_secs(8);

/// How long a frame of ours may take to be sent; it is a ping or a report, and fits into any buffer.
const SEND_WITHIN: Duration = Duration::from_secs(5);

/// The largest message that is read. A run as in lists is far smaller.
const MESSAGE_LIMIT: usize = 1024 * 1024;

pub struct Socket(WebSocket<TransportAdapter>);

/// What came.
pub enum Heard {
    Text(String),
    /// Something that only shows that the line is alive.
    Sign,
    Nothing,
    /// The end, with the code of the close frame, if there was one.
    Closed(Option<u16>),
}

/// Ends the connection that is being made or listened to, from another thread.
#[derive(Clone, Default)]
pub struct Cutter(Arc<Mutex<Cut>>);

#[derive(Default)]
struct Cut {
    is_cut: bool,
    connection: Option<Weak<dyn ShutdownHandle>>,
}

impl Cutter {
    /// From here on no connection opens.
    pub fn cut(&self) {
        let mut cut = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cut.is_cut = true;
        if let Some(connection) = cut.connection.take().and_then(|connection| connection.upgrade()) {
            connection.shutdown();
        }
    }

    fn register(&self, connection: Weak<dyn ShutdownHandle>) -> Result<(), ureq::Error> {
        let mut cut = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cut.is_cut {
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
        }
        cut.connection = Some(connection);
        Ok(())
    }
}

impl Socket {
    pub fn open(service: &Service, path: &str, credential: &Credential, cutter: &Cutter) -> Result<Self, Attempt> {
        let deadline = clock::now().saturating_add(OPEN_WITHIN);
        let url = format!("{}{path}", service.address());
        // "http" becomes "ws", and "https" "wss".
        let request = format!("ws{}", url.strip_prefix("http").unwrap_or(&url)).into_client_request();
        let mut request = request.map_err(|_| Attempt::Failed)?;
        let credential = credential.header(service).ok_or(Attempt::Failed)?;
        for (name, value) in [credential, ("User-Agent", service.user_agent().to_owned())] {
            request.headers_mut().insert(name, HeaderValue::try_from(value).map_err(|_| Attempt::Failed)?);
        }
        let uri = url.parse().map_err(|_| Attempt::Failed)?;
        let transport = connect(service, &uri, deadline, cutter).map_err(|_| Attempt::Failed)?;
        let mut adapter = TransportAdapter::new(transport, Arc::new(time::Instant::now));
        // One deadline for all that is read and written until the next one is set.
        adapter.set_timeout(timeout(deadline.saturating_sub(clock::now())));
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT))
            .read_buffer_size(16 * 1024);
        match tungstenite::client::client_with_config(request, adapter, Some(limits)) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(response))) => {
                let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                Err(Attempt::Refused(response.status().as_u16(), asked.map(Duration::from_secs)))
            }
            Err(_) => Err(Attempt::Failed),
        }
    }

    /// The next of what comes, or [`Heard::Nothing`] if nothing does for so long. Pings are answered on the way.
    pub fn hear(&mut self, within: Duration) -> Heard {
        self.0.get_mut().set_timeout(timeout(within));
        match self.0.read() {
            Ok(Message::Text(text)) => Heard::Text(text.as_str().to_owned()),
            Ok(Message::Close(frame)) => Heard::Closed(frame.map(|frame| frame.code.into())),
            Ok(_) => Heard::Sign,
            Err(Error::Io(error)) if is_timeout(&error) => Heard::Nothing,
            Err(_) => Heard::Closed(None),
        }
    }

    pub fn say(&mut self, text: String) -> Result<(), Attempt> {
        self.0.get_mut().set_timeout(timeout(SEND_WITHIN));
        self.0.send(Message::text(text)).map_err(|_| Attempt::Failed)
    }

    pub fn ping(&mut self) -> Result<(), Attempt> {
        self.0.get_mut().set_timeout(timeout(SEND_WITHIN));
        self.0.send(Message::Ping(Bytes::new())).map_err(|_| Attempt::Failed)
    }
}

/// What an agent of ureq does before a request.
fn connect(
    service: &Service,
    uri: &Uri,
    deadline: Duration,
    cutter: &Cutter,
) -> Result<Box<dyn Transport>, ureq::Error> {
    let config = service.connection_config();
    let left = || timeout(deadline.saturating_sub(clock::now()));
    let resolver = DefaultResolver::default();
    let is_direct = config.proxy().is_none_or(|proxy| proxy.is_no_proxy(uri) || proxy.resolve_target());
    let addrs = if is_direct { resolver.resolve(uri, config, left())? } else { resolver.empty() };
    let cutter = cutter.clone();
    let details = ConnectionDetails {
        uri,
        addrs,
        config,
        request_level: false,
        resolver: &resolver,
        now: time::Instant::now(),
        timeout: left(),
        current_time: Arc::new(time::Instant::now),
        // To reach a proxy.
        run_connector: Arc::new(run_connector),
        register_shutdown: Arc::new(move |connection| cutter.register(connection)),
    };
    let transport = run_connector(&details)?;
    if details.needs_tls() && !transport.is_tls() {
        return Err(ureq::Error::TlsRequired);
    }
    Ok(transport)
}

fn run_connector(details: &ConnectionDetails) -> Result<Box<dyn Transport>, ureq::Error> {
    DefaultConnector::default().connect(details, None)?.ok_or(ureq::Error::ConnectionFailed)
}

fn timeout(after: Duration) -> NextTimeout {
    NextTimeout { after: time::Duration::Exact(after), ..NextTimeout::default() }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        || matches!(error.get_ref().and_then(|inner| inner.downcast_ref()), Some(ureq::Error::Timeout(_)))
}
