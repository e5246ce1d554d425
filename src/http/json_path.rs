//! Where in a body reading it failed, from the position that serde_json gives.
//!
//! To note every step while reading costs a wrapper around each reader of each type, a sixth of the Worker's size; a
//! body is wrong so seldom that looking for the place afterwards costs nothing. What a property test compares this
//! with, tests/native/body.rs, does note every step.

use std::fmt::Write as _;
use std::iter::{Enumerate, Take};
use std::str::Bytes;

/// A step into a value: into a field of an object, once its name has passed, or into an item of an array.
enum Step<'a> {
    Field(Option<&'a str>),
    Item(usize),
}

/// The path of the value with which `error` found fault, like `build.url` or `tags[1]`; empty for the body itself.
///
/// `text` is JSON: what is wrong with it is only that it is not of the type that was expected.
pub fn path(text: &str, error: &serde_json::Error) -> String {
    let lines_before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let end = lines_before + error.column();
    if error.to_string().starts_with("unknown field ") {
        // The position is behind the name, which becomes a step with the colon.
        let colon = text.get(end..).and_then(|rest| rest.find(':')).unwrap_or_default();
        return shown(&steps(text, end + colon + 1));
    }
    if !error.is_syntax() {
        // The position is behind a value that does not fit, but before an array or an object, which is not entered.
        return shown(&steps(text, end));
    }
    // serde_json calls three things a syntax error, and the position is one further: a value in a place for one of some
    // names, whose first byte that is; more than one field in an object that stands for a name; an array that stands
    // for an object and has items left. Of the latter two the whole is at fault.
    let end = end.saturating_sub(1);
    let mut steps = steps(text, end);
    let at_a_value = matches!(text.as_bytes().get(end), Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'['));
    if !at_a_value || error.to_string().starts_with("trailing characters") {
        steps.pop();
    }
    shown(&steps)
}

/// The steps that lead to the byte at `end`, which is in no string.
fn steps(text: &str, end: usize) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut string = None;
    let mut bytes = text.bytes().enumerate().take(end);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' => steps.push(Step::Field(None)),
            b'[' => steps.push(Step::Item(0)),
            b'}' | b']' => drop(steps.pop()),
            b'"' => string = rest_of_string(&mut bytes).and_then(|quote| text.get(at..=quote)),
            b':' => {
                if let Some(Step::Field(name)) = steps.last_mut() {
                    *name = string;
                }
            }
            b',' => {
                if let Some(Step::Item(index)) = steps.last_mut() {
                    *index += 1;
                }
            }
            _ => {}
        }
    }
    steps
}

/// Goes past the rest of a string, and says where its closing quote is.
fn rest_of_string(bytes: &mut Take<Enumerate<Bytes<'_>>>) -> Option<usize> {
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

fn shown(steps: &[Step<'_>]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Item(index) => {
                // Writing into a String cannot fail.
                let _ = write!(path, "[{index}]");
            }
            Step::Field(Some(name)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path += &serde_json::from_str::<String>(name).unwrap_or_default();
            }
            Step::Field(None) => {}
        }
    }
    path
}
