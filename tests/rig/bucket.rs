//! An R2 bucket of our own, behind the protocol that the runtime's R2 client speaks (workerd's `r2-rpc.c++`): head, get of a range,
//! put with a condition and a SHA-256. It counts, and fails as it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::{self, Reply, Request};

/// What happens to a request instead of a plain answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error of R2's, and nothing is stored.
    ErrorBefore,
    /// Stored, and then an error.
    ErrorAfter,
    /// Stored, and the socket is closed without an answer.
    ClosedAfter,
    /// It stores something else.
    Garbled,
}

/// The bucket and what was asked of it. Clones share it.
#[derive(Clone)]
pub struct Bucket {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// How many requests go well before the fault.
    fault: Mutex<Option<(u32, Fault)>>,
    asked: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bucket {
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        Self { address: http::serve(move |request| serving.answer(request)), shared }
    }

    /// Lets `fault` happen once, after so many requests that go well.
    pub fn inject_after(&self, well: u32, fault: Fault) {
        *lock(&self.shared.fault) = Some((well, fault));
    }

    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.shared.objects).clone()
    }

    /// Loses an object.
    pub fn lose(&self, key: &str) {
        assert!(lock(&self.shared.objects).remove(key).is_some());
    }

    /// The methods of the requests since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.shared.asked))
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Reply {
        let (asked, value) = match request.headers.get("cf-r2-metadata-size") {
            Some(size) => request.body.split_at(size.parse().expect("a size")),
            None => (request.headers["cf-r2-request"].as_bytes(), [].as_slice()),
        };
        let asked: Value = serde_json::from_slice(asked).expect("JSON from the runtime");
        let method = asked["method"].as_str().expect("a method");
        lock(&self.asked).push(method.to_owned());
        let fault = self.next_fault();
        if fault == Some(Fault::ErrorBefore) {
            return error(500, 10001, "We encountered an internal error. Please try again.");
        }
        let reply = self.carry_out(method, &asked, value, fault == Some(Fault::Garbled));
        match fault {
            Some(Fault::ErrorAfter) => error(500, 10001, "We encountered an internal error. Please try again."),
            Some(Fault::ClosedAfter) => Reply::Close,
            _ => reply,
        }
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut slot = lock(&self.fault);
        let (well, fault) = (*slot)?;
        *slot = (well > 0).then(|| (well - 1, fault));
        (well == 0).then_some(fault)
    }

    fn carry_out(&self, method: &str, asked: &Value, value: &[u8], garbled: bool) -> Reply {
        let key = asked["object"].as_str().expect("a key");
        let mut objects = lock(&self.objects);
        match method {
            "put" => {
                assert_eq!(asked["onlyIf"]["etagDoesNotMatch"][0]["type"], "wildcard", "{asked}");
                if objects.contains_key(key) {
                    return error(412, 10031, "At least one of the pre-conditions you specified did not hold.");
                }
                if asked["sha256"].as_str() != Some(&hex(value)) {
                    return error(400, 10037, "The SHA-256 checksum you specified did not match what we received.");
                }
                let stored = if garbled { b"something else".to_vec() } else { value.to_vec() };
                objects.insert(key.to_owned(), stored);
                described(key, value, None)
            }
            "head" => objects.get(key).map_or_else(no_such_key, |value| described(key, value, None)),
            "get" => objects.get(key).map_or_else(no_such_key, |value| {
                let number = |name: &str| -> usize {
                    let number = &asked["range"][name];
                    number.as_str().map_or_else(|| number.to_string(), str::to_owned).parse().expect("a number")
                };
                described(key, value, Some((number("offset"), number("length"))))
            }),
            other => panic!("the Worker asks R2 for no {other}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// What R2 says of an object, and the part of it that was asked for.
fn described(key: &str, value: &[u8], range: Option<(usize, usize)>) -> Reply {
    let mut said = json!({
        "name": key, "version": "v", "size": value.len().to_string(), "etag": "e", "uploaded": "1", "httpFields": {},
        "customFields": [], "checksums": {"2": hex(value)},
    });
    let mut part: &[u8] = &[];
    if let Some((offset, length)) = range {
        said["range"] = json!({"offset": offset.to_string(), "length": length.to_string()});
        part = &value[offset..offset + length];
    }
    let said = said.to_string().into_bytes();
    Reply::Full(200, vec![("cf-r2-metadata-size", said.len().to_string())], [said.as_slice(), part].concat())
}

fn error(status: u16, code: u32, message: &str) -> Reply {
    let error = json!({"version": 1, "v4code": code, "message": message}).to_string();
    Reply::Full(status, vec![("cf-r2-error", error)], Vec::new())
}

fn no_such_key() -> Reply {
    error(404, 10007, "The specified key does not exist.")
}
