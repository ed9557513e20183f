//! The JSON lexer: what it says is what the body holds and what `serde_json` says, however the body is cut, without
//! memory of its own.

use crate::cuts::cuts;
use core::ops::Range;
use serde_json::{Map, Value};
use tidegate_policy::json::{Container, Events, Fault, Invalid, Lexer, Literal};

/// As deep as `serde_json` reads.
const DEPTH: u8 = 127;
/// Less than that.
const SHALLOW: u8 = 3;
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Whatever the body.
pub fn json_lexer(body: &[u8]) {
    let (result, whole) = read(body, DEPTH, [body]);
    for parts in cuts(body) {
        let (other, events) = read(body, DEPTH, parts.iter().copied());
        assert_eq!(other, result, "in {} parts", parts.len());
        // What a part's end cuts comes later, so before an error there may be less.
        if result.is_ok() {
            assert_eq!(events, whole, "in {} parts", parts.len());
        }
    }
    let memory = allocation_counter::measure(|| {
        let _ = lex(Lexer::new(DEPTH), body.chunks(1), &mut Deaf);
    });
    assert_eq!(memory.count_total, 0, "it allocates");
    if let Err(Invalid { at, what }) = result {
        assert!(at <= wide(body.len()), "{what:?} at {at}");
        assert!(what != Fault::Incomplete || at == wide(body.len()), "it ends at {at}");
    }
    let deepest = whole.iter().scan(0_u8, depth).max().unwrap_or(0);
    let shallow = read(body, SHALLOW, [body]).0;
    if result.is_ok() && deepest <= SHALLOW {
        assert_eq!(shallow, result);
    } else if result.is_ok() {
        assert!(matches!(shallow, Err(Invalid { what: Fault::TooDeep, .. })), "{shallow:?}");
    }
    agrees(body, result, whole);
}

fn agrees(body: &[u8], result: Result<(), Invalid>, events: Vec<Event>) {
    let bare = body.strip_prefix(MARK).unwrap_or(body);
    match serde_json::from_slice::<Value>(bare) {
        Ok(expected) => {
            assert_eq!(result, Ok(()), "serde_json reads it");
            assert_eq!(value(events), Some(expected));
        }
        // The grammar sets no bound on a number's magnitude.
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(error) => assert!(result.is_err(), "serde_json refuses it: {error}"),
    }
}

fn read<'a>(
    body: &'a [u8],
    depth: u8,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> (Result<(), Invalid>, Vec<Event>) {
    let mut heard = Heard { body, events: Vec::new(), escapes: Vec::new() };
    let result = lex(Lexer::new(depth), parts, &mut heard);
    (result, heard.events)
}

/// What a body holds.
pub(crate) fn events(body: &[u8], depth: u8) -> Vec<Event> {
    read(body, depth, [body]).1
}

fn lex<'a>(
    mut lexer: Lexer,
    parts: impl IntoIterator<Item = &'a [u8]>,
    events: &mut impl Events,
) -> Result<(), Invalid> {
    for part in parts {
        if let Err(invalid) = lexer.feed(part, events) {
            assert_eq!(lexer.feed(b"1", events), Err(invalid), "an error stays");
            assert_eq!(lexer.finish(events), Err(invalid), "an error stays");
            return Err(invalid);
        }
    }
    lexer.finish(events)
}

/// What is read, whatever the pieces in which it came.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Open(Container, u64),
    Close(Container, u64),
    Text { key: bool, text: String, range: Range<u64>, escapes: Vec<(char, Range<u64>)> },
    Number { digits: String, range: Range<u64> },
    Literal(Literal, Range<u64>),
}

/// Hears what is read, and compares it with the body.
struct Heard<'a> {
    body: &'a [u8],
    events: Vec<Event>,
    /// Written, and not decoded yet.
    escapes: Vec<char>,
}

impl Heard<'_> {
    fn written(&self, range: Range<u64>) -> &[u8] {
        let at = |offset| usize::try_from(offset).unwrap();
        &self.body[at(range.start)..at(range.end)]
    }
}

impl Events for Heard<'_> {
    fn open(&mut self, container: Container, at: u64) {
        self.events.push(Event::Open(container, at));
    }

    fn close(&mut self, container: Container, end: u64) {
        self.events.push(Event::Close(container, end));
    }

    fn string(&mut self, key: bool, at: u64) {
        assert_eq!(self.written(at..at + 1), b"\"");
        self.events.push(Event::Text { key, text: String::new(), range: at..at, escapes: Vec::new() });
    }

    fn raw(&mut self, text: &str, at: u64, plain: bool) {
        assert!(!text.is_empty(), "an empty piece");
        assert!(self.escapes.is_empty(), "escapes wait for their text");
        assert_eq!(self.written(at..at + wide(text.len())), text.as_bytes());
        assert!(!plain || text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "no printable ASCII");
        let Some(Event::Text { text: all, .. }) = self.events.last_mut() else { panic!("no string") };
        all.push_str(text);
    }

    fn escaped(&mut self, character: char, range: Range<u64>) {
        let written = [b"\"", self.written(range.clone()), b"\""].concat();
        assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), character.to_string());
        self.escapes.push(character);
        let Some(Event::Text { escapes, .. }) = self.events.last_mut() else { panic!("no string") };
        escapes.push((character, range));
    }

    fn decoded(&mut self, text: &str) {
        let mut escapes = self.escapes.drain(..).peekable();
        for character in text.chars() {
            assert!(escapes.next_if_eq(&character).is_some() || matches!(character, ' '..='~'));
        }
        assert_eq!(escapes.next(), None, "an escape is lost");
        drop(escapes);
        let Some(Event::Text { text: all, .. }) = self.events.last_mut() else { panic!("no string") };
        all.push_str(text);
    }

    fn string_end(&mut self, end: u64) {
        assert!(self.escapes.is_empty(), "an escape is lost");
        let Some(Event::Text { text, range, .. }) = self.events.last_mut() else { panic!("no string") };
        range.end = end;
        let (range, text) = (range.clone(), text.clone());
        assert_eq!(serde_json::from_slice::<String>(self.written(range)).unwrap(), text);
    }

    fn number(&mut self, at: u64) {
        self.events.push(Event::Number { digits: String::new(), range: at..at });
    }

    fn digits(&mut self, text: &str) {
        assert!(!text.is_empty(), "an empty piece");
        let Some(Event::Number { digits, .. }) = self.events.last_mut() else { panic!("no number") };
        digits.push_str(text);
    }

    fn number_end(&mut self, end: u64) {
        let Some(Event::Number { digits, range }) = self.events.last_mut() else { panic!("no number") };
        range.end = end;
        let (range, digits) = (range.clone(), digits.clone());
        assert_eq!(self.written(range), digits.as_bytes());
    }

    fn literal(&mut self, literal: Literal, range: Range<u64>) {
        let word: &[u8] = match literal {
            Literal::True => b"true",
            Literal::False => b"false",
            Literal::Null => b"null",
        };
        assert_eq!(self.written(range.clone()), word);
        self.events.push(Event::Literal(literal, range));
    }
}

struct Deaf;

impl Events for Deaf {
    fn open(&mut self, _: Container, _: u64) {}
    fn close(&mut self, _: Container, _: u64) {}
    fn string(&mut self, _: bool, _: u64) {}
    fn raw(&mut self, _: &str, _: u64, _: bool) {}
    fn escaped(&mut self, _: char, _: Range<u64>) {}
    fn decoded(&mut self, _: &str) {}
    fn string_end(&mut self, _: u64) {}
    fn number(&mut self, _: u64) {}
    fn digits(&mut self, _: &str) {}
    fn number_end(&mut self, _: u64) {}
    fn literal(&mut self, _: Literal, _: Range<u64>) {}
}

/// How deep the containers nest after each event.
#[expect(clippy::unnecessary_wraps, reason = "as `scan` wants it")]
fn depth(depth: &mut u8, event: &Event) -> Option<u8> {
    match event {
        Event::Open(..) => *depth += 1,
        Event::Close(..) => *depth -= 1,
        _ => {}
    }
    Some(*depth)
}

/// The value that a complete body holds.
fn value(events: Vec<Event>) -> Option<Value> {
    let mut open: Vec<(Value, Option<String>)> = Vec::new();
    for event in events {
        let value = match event {
            Event::Open(Container::Object, _) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::Open(Container::Array, _) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::Text { key: true, text, .. } => {
                let holder = open.last_mut()?;
                assert!(holder.0.is_object() && holder.1.replace(text).is_none(), "no place for a key");
                continue;
            }
            Event::Close(container, _) => {
                let (value, key) = open.pop()?;
                assert!(key.is_none() && value.is_object() == (container == Container::Object));
                value
            }
            Event::Text { text, .. } => Value::String(text),
            Event::Number { digits, .. } => serde_json::from_str(&digits).ok()?,
            Event::Literal(Literal::Null, _) => Value::Null,
            Event::Literal(literal, _) => Value::Bool(literal == Literal::True),
        };
        match open.last_mut() {
            None => return Some(value),
            Some((Value::Array(elements), _)) => elements.push(value),
            Some((Value::Object(members), key)) => {
                members.insert(key.take()?, value);
            }
            Some(_) => return None,
        }
    }
    None
}

pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap()
}
