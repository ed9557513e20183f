//! The scan of a request: what it tells is the same however the body is cut and whether or not a fingerprint is made; every
//! range is where it says; the fingerprint is the same however the request is written; and a body that is changed as the
//! scan says is JSON again, says the same otherwise, and needs no second change.

use crate::cuts::cuts;
use crate::json::{Event, events, wide};
use core::ops::Range;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use tidegate_policy::clamp::clamp;
use tidegate_policy::fingerprint::{Fingerprint, Fingerprinter};
use tidegate_policy::inference::{Class, Facts, Member, Place, Role, Scanner, Suspect, TextSink, Value};
use tidegate_policy::json::{Container, Invalid, Literal};
use tidegate_policy::rewrite::apply;
use tidegate_policy::strips::Strips;

const DEPTH: u8 = 64;
const KEY: Fingerprinter = Fingerprinter::new([7; 16]);
/// What a scan takes beside its own size, in bytes, and with a fingerprint: a stack as deep as bodies may nest, while it grows.
const MEMORY: u64 = 8 << 10;
const MEMORY_WITH_PRINT: u64 = 20 << 10;
/// Fewer completion tokens than most requests ask for.
const LIMIT: u64 = 1_500;
/// As many members as a fingerprint knows by their keys.
const MEMBERS: usize = 64;
const KEYS: usize = 256;

/// Whatever the body.
pub fn inference_scanner(body: &[u8]) {
    let whole = scan(Scanner::new(DEPTH), [body]);
    let printed = scan(Scanner::new(DEPTH).with_fingerprint(KEY), [body]);
    assert_eq!(printed.result, whole.result);
    assert_eq!(printed.print.is_some(), whole.result.is_ok());
    assert_eq!((&printed.heard, without_print(&printed.facts)), (&whole.heard, without_print(&whole.facts)));
    for parts in cuts(body) {
        let other = scan(Scanner::new(DEPTH).with_fingerprint(KEY), parts.iter().copied());
        assert_eq!(other.result, whole.result);
        if whole.result.is_ok() {
            assert_eq!(format!("{:?}", other.facts), format!("{:?}", printed.facts));
            assert_eq!(other.print, printed.print);
            other.heard.agrees(&whole.heard);
        }
    }
    for parts in [vec![body], body.chunks(1).collect()] {
        let room = |scanner: Scanner| {
            let measured = allocation_counter::measure(|| {
                let _ = feed(scanner, parts.iter().copied(), &mut ());
            });
            measured.bytes_max
        };
        assert!(room(Scanner::new(DEPTH)) <= MEMORY);
        assert!(room(Scanner::new(DEPTH).with_fingerprint(KEY)) <= MEMORY_WITH_PRINT);
    }
    if whole.result.is_err() {
        return;
    }
    every_range_is_where_it_says(body, &whole);
    the_fingerprint_is_of_what_is_asked(body, &printed);
    let all = stripped(body, |_| true);
    assert!(scan(Scanner::new(DEPTH), [&*all]).heard.suspects.is_empty(), "some of them are left");
    let mended = stripped(body, |suspect| suspect.is_harmful);
    let mended = scanned_as_before(&mended, &whole);
    assert!(mended.heard.suspects.iter().all(|(_, suspect)| !suspect.is_harmful), "a second pass finds more");
    for unlimited in [false, true] {
        clamped(body, &whole, unlimited);
    }
}

/// What one scan tells.
struct Scan {
    result: Result<(), Invalid>,
    facts: Facts,
    print: Option<Fingerprint>,
    heard: Heard,
}

/// What a sink hears, whatever the pieces.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    texts: Vec<(Place, String)>,
    text: String,
    sealed: String,
    suspects: Vec<(Place, Suspect)>,
    /// Characters in each place that were heard, or told to count.
    counts: BTreeMap<String, u64>,
}

impl Heard {
    /// Of a text that looks encoded at first, more or less of its begin is heard as it is cut; it counts alike.
    fn agrees(&self, whole: &Self) {
        assert_eq!(self.counts, whole.counts);
        assert_eq!(self.suspects, whole.suspects);
        assert_eq!(self.texts.len(), whole.texts.len());
        for ((place, text), (expected_place, expected)) in self.texts.iter().zip(&whole.texts) {
            assert_eq!(place, expected_place);
            assert!(expected.ends_with(text), "{text:?} of {expected:?}");
        }
    }

    fn count(&mut self, place: &Place, characters: usize) {
        *self.counts.entry(place.to_string()).or_default() += wide(characters);
    }
}

impl TextSink for Heard {
    fn piece(&mut self, place: &Place, text: &str) {
        assert!(!text.is_empty(), "an empty piece");
        self.count(place, text.chars().count());
        self.text.push_str(text);
    }

    fn end_of_text(&mut self, place: &Place) {
        let mut text = core::mem::take(&mut self.text);
        text.push_str(&core::mem::take(&mut self.sealed));
        self.texts.push((*place, text));
    }

    fn suspect(&mut self, place: &Place, suspect: &Suspect) {
        self.suspects.push((*place, suspect.clone()));
    }

    fn sealed(&mut self, _: &Place, text: &str) {
        self.sealed.push_str(text);
    }

    fn unheard(&mut self, place: &Place, characters: u64) {
        self.count(place, usize::try_from(characters).unwrap());
    }
}

fn feed<'a>(
    mut scanner: Scanner,
    parts: impl IntoIterator<Item = &'a [u8]>,
    sink: &mut dyn TextSink,
) -> (Result<(), Invalid>, Scanner) {
    let fed = parts.into_iter().try_for_each(|part| scanner.feed(part, sink));
    let result = fed.and_then(|()| scanner.finish(sink));
    (result, scanner)
}

fn scan<'a>(scanner: Scanner, parts: impl IntoIterator<Item = &'a [u8]>) -> Scan {
    let mut heard = Heard::default();
    let (result, scanner) = feed(scanner, parts, &mut heard);
    Scan { result, facts: scanner.facts().clone(), print: scanner.fingerprint(), heard }
}

fn without_print(facts: &Facts) -> String {
    let mut facts = facts.clone();
    facts.repeated_key = false;
    format!("{facts:?}")
}

fn written(body: &[u8], range: Range<u64>) -> &[u8] {
    let at = |offset| usize::try_from(offset).unwrap();
    &body[at(range.start)..at(range.end)]
}

fn every_range_is_where_it_says(body: &[u8], scan: &Scan) {
    let mut seen: Vec<_> =
        Member::ALL.into_iter().filter_map(|member| Some((member, scan.facts.member(member)?))).collect();
    seen.sort_by_key(|(_, seen)| seen.key_at);
    let mut end = 0;
    for (member, seen) in seen {
        assert!(
            end <= seen.key_at && seen.key_at < seen.range.start,
            "{member:?} overlaps what is before it"
        );
        let text = core::str::from_utf8(written(body, seen.key_at..seen.range.start)).unwrap();
        let key: String =
            serde_json::from_str(text.trim_end().strip_suffix(':').unwrap().trim_end()).unwrap();
        // Some servers fold the case of names.
        assert!(key.eq_ignore_ascii_case(member.name()), "{key:?} is no {member:?}");
        end = seen.range.end;
        let value = serde_json::from_slice::<Json>(written(body, seen.range.clone()));
        let is_number = matches!(seen.value, Value::Integer(_) | Value::Negative);
        assert!(!is_number || value.as_ref().is_ok_and(|value| value.is_number() || value.is_string()));
        assert!(seen.value != Value::Null || value.as_ref().is_ok_and(Json::is_null));
        assert!(!matches!(seen.value, Value::Bool(_)) || value.is_ok_and(|value| value.is_boolean()));
    }
    let mut end = 0;
    for (_, suspect) in &scan.heard.suspects {
        let Suspect { class, character, range, .. } = suspect.clone();
        assert!(end <= range.start, "{suspect:?} overlaps the one before it");
        end = range.end;
        assert_eq!(Class::of(character), Some(class));
        let text = [b"\"", written(body, range), b"\""].concat();
        // White space and control characters stand there as escapes, the others as they are, too.
        assert_eq!(serde_json::from_slice::<String>(&text).unwrap(), character.to_string());
    }
    for class in Class::ALL {
        let first = scan.heard.suspects.iter().find(|(_, suspect)| suspect.class == class);
        let told = scan.facts.first(class).map(|first| (first.place, first.suspect.clone()));
        assert_eq!(told.as_ref(), first);
    }
    let heard: u64 = scan.heard.counts.values().sum();
    assert_eq!(scan.facts.characters, heard);
    assert!(scan.facts.longest_message <= heard);
}

/// `body` without the suspicious characters that are chosen.
fn stripped(body: &[u8], choose: impl Fn(&Suspect) -> bool) -> Vec<u8> {
    struct Chosen<F>(Strips, F);
    impl<F: Fn(&Suspect) -> bool> TextSink for Chosen<F> {
        fn piece(&mut self, _: &Place, _: &str) {}
        fn end_of_text(&mut self, _: &Place) {}
        fn suspect(&mut self, place: &Place, suspect: &Suspect) {
            if (self.1)(suspect) {
                self.0.add(place, suspect);
            }
        }
    }
    let mut chosen = Chosen(Strips::default(), choose);
    let (_, scanner) = feed(Scanner::new(DEPTH), [body], &mut chosen);
    let mut edits = chosen.0.edits(|| body.to_vec());
    // Such as stand beside them.
    if let Ok(clamped) = clamp(scanner.facts(), LIMIT, false) {
        let both = [edits.clone(), clamped.edits].concat();
        let both = apply(body, &mut both.into_boxed_slice()).expect("strips and clamps that overlap");
        assert_eq!(scan(Scanner::new(DEPTH), [&*both]).result, Ok(()), "no JSON any more");
    }
    apply(body, &mut edits).expect("strips that overlap")
}

/// A changed body is JSON and asks the same of the same model.
fn scanned_as_before(changed: &[u8], before: &Scan) -> Scan {
    let after = scan(Scanner::new(DEPTH), [changed]);
    assert_eq!(after.result, Ok(()), "no JSON any more: {}", String::from_utf8_lossy(changed));
    // What is too long for a role or a type is a text, and may become one that is not.
    if after.heard.texts.len() != before.heard.texts.len() {
        return after;
    }
    let (facts, known) = (&after.facts, &before.facts);
    assert_eq!((facts.messages, facts.prompts, facts.tools), (known.messages, known.prompts, known.tools));
    assert_eq!((facts.token_ids, facts.parts), (known.token_ids, known.parts));
    assert_eq!(
        (facts.depth, facts.is_object, facts.stream()),
        (known.depth, known.is_object, known.stream())
    );
    assert_eq!(facts.model(), known.model());
    assert_eq!(facts.duplicate, known.duplicate);
    let roles =
        |scan: &Scan| scan.heard.texts.iter().map(|(place, _)| place.role()).collect::<Vec<Option<Role>>>();
    assert_eq!(roles(&after), roles(before), "somebody else speaks");
    after
}

fn clamped(body: &[u8], before: &Scan, unlimited: bool) {
    let Ok(mut clamped) = clamp(&before.facts, LIMIT, unlimited) else { return };
    assert_eq!(clamped.edits.is_empty(), clamped.note.is_empty());
    let changed = apply(body, &mut clamped.edits).expect("edits that overlap");
    let after = scanned_as_before(&changed, before);
    assert_eq!(after.heard.texts, before.heard.texts);
    assert!(after.facts.completion_tokens().is_none_or(|tokens| tokens <= LIMIT || clamped.edits.is_empty()));
    let again = clamp(&after.facts, LIMIT, unlimited).expect("a change that cannot be made again");
    assert_eq!(again.edits, [], "a second pass changes more");
}

/// A value, every part as its writing says.
enum Node {
    Scalar(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

fn the_fingerprint_is_of_what_is_asked(body: &[u8], scan: &Scan) {
    let mut keys = 0;
    let Some((node, repeated)) = node(&mut events(body, DEPTH).into_iter(), &mut keys) else { return };
    if keys > KEYS {
        return;
    }
    assert_eq!(scan.facts.repeated_key, repeated);
    if !repeated {
        let mut other = String::new();
        node.write(&mut other);
        let other = self::scan(Scanner::new(DEPTH).with_fingerprint(KEY), [other.as_bytes()]);
        assert_eq!(other.print, scan.print, "another order, another print");
    }
}

/// The next value, and whether a key occurs twice in an object of it. `None` for one with more members than are known.
fn node(events: &mut impl Iterator<Item = Event>, keys: &mut usize) -> Option<(Node, bool)> {
    let mut repeats = false;
    let node = match events.next()? {
        Event::Open(Container::Array, _) => {
            let mut elements = Vec::new();
            while let Some((element, repeated)) = node(events, keys) {
                repeats |= repeated;
                elements.push(element);
            }
            Node::Array(elements)
        }
        Event::Open(Container::Object, _) => {
            let mut members: Vec<(String, Node)> = Vec::new();
            while let Some(Event::Text { key: true, text, .. }) = events.next() {
                *keys += 1;
                let (value, repeated) = node(events, keys)?;
                repeats |= repeated || members.iter().any(|(other, _)| *other == text);
                members.push((text, value));
            }
            if members.len() > MEMBERS {
                *keys = KEYS + 1;
            }
            Node::Object(members)
        }
        Event::Close(..) => return None,
        Event::Text { text, .. } => Node::Scalar(escaped(&text)),
        Event::Number { digits, .. } => Node::Scalar(digits),
        Event::Literal(Literal::True, _) => Node::Scalar("true".to_owned()),
        Event::Literal(Literal::False, _) => Node::Scalar("false".to_owned()),
        Event::Literal(Literal::Null, _) => Node::Scalar("null".to_owned()),
    };
    Some((node, repeats))
}

impl Node {
    /// Written in another way: members in the other order, other space, every character an escape.
    fn write(&self, to: &mut String) {
        match self {
            Self::Scalar(text) => to.push_str(text),
            Self::Array(elements) => {
                to.push_str("[ ");
                for (index, element) in elements.iter().enumerate() {
                    to.push_str(if index == 0 { "" } else { "\n," });
                    element.write(to);
                }
                to.push(']');
            }
            Self::Object(members) => {
                to.push('{');
                for (index, (key, value)) in members.iter().rev().enumerate() {
                    to.push_str(if index == 0 { "\t" } else { " ," });
                    to.push_str(&escaped(key));
                    to.push_str(" : ");
                    value.write(to);
                }
                to.push('}');
            }
        }
    }
}

fn escaped(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    format!("\"{units}\"")
}
