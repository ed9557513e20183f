#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use proptest::prelude::*;
use serde_json::Value;

mod corpus;

/// Builds the value that a body holds, as `serde_json` would, and checks the offsets that it is told.
struct Builder<'a> {
    body: &'a [u8],
    open: Vec<(Value, Option<String>, u64)>,
    string: String,
    begin: u64,
    escapes: Vec<(char, Range<u64>)>,
    value: Option<Value>,
}

impl<'a> Builder<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { body, open: vec![], string: String::new(), begin: 0, escapes: vec![], value: None }
    }

    fn slice(&self, range: Range<u64>) -> &'a [u8] {
        &self.body[range.start as usize..range.end as usize]
    }

    fn place(&mut self, value: Value, range: Range<u64>) {
        assert_eq!(serde_json::from_slice::<Value>(self.slice(range)).unwrap(), value);
        match self.open.last_mut() {
            None => assert_eq!(self.value.replace(value), None),
            Some((Value::Array(elements), _, _)) => elements.push(value),
            Some((Value::Object(members), key, _)) => {
                members.insert(key.take().unwrap(), value);
            }
            Some(_) => unreachable!(),
        }
    }
}

impl Events for Builder<'_> {
    fn open(&mut self, container: Container, at: u64) {
        let value = match container {
            Container::Object => Value::Object(serde_json::Map::new()),
            Container::Array => Value::Array(vec![]),
        };
        self.open.push((value, None, at));
    }

    fn close(&mut self, container: Container, end: u64) {
        let (value, key, at) = self.open.pop().unwrap();
        assert_eq!(key, None);
        assert_eq!(value.is_object(), container == Container::Object);
        self.place(value, at..end);
    }

    fn string(&mut self, key: bool, at: u64) {
        let key_expected = matches!(self.open.last(), Some((Value::Object(_), None, _)));
        assert_eq!(key, key_expected);
        self.begin = at;
        self.string.clear();
    }

    fn raw(&mut self, text: &str, at: u64, plain: bool) {
        assert_eq!(self.slice(at..at + text.len() as u64), text.as_bytes());
        assert!(!plain || text.bytes().all(|byte| (0x20..0x7F).contains(&byte)));
        self.string.push_str(text);
    }

    fn escaped(&mut self, character: char, range: Range<u64>) {
        let quoted = [b"\"", self.slice(range.clone()), b"\""].concat();
        assert_eq!(serde_json::from_slice::<String>(&quoted).unwrap(), character.to_string());
        self.escapes.push((character, range));
    }

    fn decoded(&mut self, text: &str) {
        let mut escapes = self.escapes.drain(..).map(|escape| escape.0).peekable();
        for character in text.chars() {
            let is_escape = escapes.next_if_eq(&character).is_some();
            assert!(is_escape || matches!(character, ' '..='~'));
        }
        assert_eq!(escapes.next(), None);
        self.string.push_str(text);
    }

    fn string_end(&mut self, end: u64) {
        assert_eq!(self.escapes, []);
        let text = self.string.clone();
        match self.open.last_mut() {
            Some((Value::Object(_), key @ None, _)) => {
                *key = Some(text.clone());
                let written: String = serde_json::from_slice(self.slice(self.begin..end)).unwrap();
                assert_eq!(written, text);
            }
            _ => self.place(Value::String(text), self.begin..end),
        }
    }

    fn number(&mut self, at: u64) {
        self.begin = at;
        self.string.clear();
    }

    fn digits(&mut self, text: &str) {
        self.string.push_str(text);
    }

    fn number_end(&mut self, end: u64) {
        assert_eq!(self.slice(self.begin..end), self.string.as_bytes());
        // Of a magnitude that a float does not have.
        let value = serde_json::from_str(&self.string).unwrap_or(Value::Null);
        match self.open.last_mut() {
            Some((Value::Array(elements), _, _)) => elements.push(value),
            Some((Value::Object(members), key, _)) => {
                members.insert(key.take().unwrap(), value);
            }
            _ => self.value = Some(value),
        }
    }

    fn literal(&mut self, literal: Literal, range: Range<u64>) {
        let value = match literal {
            Literal::True => Value::Bool(true),
            Literal::False => Value::Bool(false),
            Literal::Null => Value::Null,
        };
        self.place(value, range);
    }
}

/// Reads nothing into it.
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

fn lex<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, events: &mut impl Events) -> Result<(), Invalid> {
    let mut lexer = Lexer::new(127);
    chunks.into_iter().try_for_each(|chunk| lexer.feed(chunk, events))?;
    lexer.finish(events)
}

fn judge(body: &[u8]) -> Result<(), Invalid> {
    lex([body], &mut Deaf)
}

fn fault(body: impl AsRef<[u8]>) -> Option<(u64, Fault)> {
    judge(body.as_ref()).err().map(|invalid| (invalid.at, invalid.what))
}

/// What differs from `serde_json` on purpose.
fn is_out_of_range(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

/// The lexer says of `body`, cut into chunks of these sizes in turn, what `serde_json` says.
fn agrees(body: &[u8], sizes: &[usize]) -> Result<(), TestCaseError> {
    let mut chunks = vec![];
    let (mut rest, mut sizes) = (body, sizes.iter().cycle());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    let found = lex(chunks.iter().copied(), &mut Deaf);
    prop_assert_eq!(found, judge(body));
    match serde_json::from_slice::<Value>(body) {
        Ok(expected) => {
            prop_assert_eq!(found, Ok(()), "{}", String::from_utf8_lossy(body));
            let mut builder = Builder::new(body);
            lex(chunks, &mut builder).unwrap();
            prop_assert_eq!(builder.value, Some(expected));
        }
        Err(error) if is_out_of_range(&error) => {}
        Err(error) => prop_assert!(found.is_err(), "{error}: {}", String::from_utf8_lossy(body)),
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    assert_eq!(fault(""), Some((0, Fault::Incomplete)));
    assert_eq!(fault(" \n"), Some((2, Fault::Incomplete)));
    assert_eq!(fault("{\"a\":1"), Some((6, Fault::Incomplete)));
    assert_eq!(fault("{\"a\":1}}"), Some((7, Fault::Trailing)));
    assert_eq!(fault("{\"a\":NaN}"), Some((5, Fault::Unexpected)));
    assert_eq!(fault("[-Infinity]"), Some((2, Fault::Unexpected)));
    assert_eq!(fault("\u{FEFF}{}"), Some((0, Fault::Unexpected)));
    assert_eq!(fault("[\"a\nb\"]"), Some((3, Fault::ControlCharacter)));
    assert_eq!(fault(r#"["a\x"]"#), Some((3, Fault::Escape)));
    assert_eq!(fault(r#"["a\u12G4"]"#), Some((3, Fault::Escape)));
    assert_eq!(fault(r#"["a\ud800"]"#), Some((3, Fault::LoneSurrogate)));
    assert_eq!(fault(r#"["a\udc00\ud800"]"#), Some((3, Fault::LoneSurrogate)));
    assert_eq!(fault(r#"["a\ud800\u0041"]"#), Some((3, Fault::LoneSurrogate)));
    assert_eq!(fault(b"[\"ab\xE2\x82\"]"), Some((4, Fault::Utf8)));
    assert_eq!(fault(b"[\"ab\xE2\x82"), Some((6, Fault::Incomplete)));
    assert_eq!(fault(b"\xFF"), Some((0, Fault::Unexpected)));
}

#[test]
fn containers_nest_as_deep_as_accepted_and_no_deeper() {
    for depth in [1, 2, 64, 127, 128] {
        let body = ["[".repeat(depth.into()), "]".repeat(depth.into())].concat();
        assert_eq!(Lexer::new(depth).feed(body.as_bytes(), &mut Deaf), Ok(()));
        let at = u64::from(depth) - 1;
        let refused = Err(Invalid { at, what: Fault::TooDeep });
        assert_eq!(Lexer::new(depth - 1).feed(body.as_bytes(), &mut Deaf), refused);
    }
    assert_eq!(fault("{\"a\":".repeat(1_000_000)), Some((127 * 5, Fault::TooDeep)));
    let deepest = ["[".repeat(127), "]".repeat(127)].concat();
    agrees(deepest.as_bytes(), &[7]).unwrap();
    agrees(format!("[{deepest}]").as_bytes(), &[7]).unwrap();
}

#[test]
fn an_error_stays() {
    let mut lexer = Lexer::new(9);
    let refused = Err(Invalid { at: 1, what: Fault::Unexpected });
    assert_eq!(lexer.feed(b"[x", &mut Deaf), refused);
    assert_eq!(lexer.feed(b"1]", &mut Deaf), refused);
    assert_eq!(lexer.finish(&mut Deaf), refused);
}

#[test]
fn a_number_may_be_of_any_magnitude() {
    for number in ["1e999", "-1e999", "1e99999999999999999999", &"9".repeat(100_000)] {
        assert_eq!(fault(number), None);
    }
}

#[test]
fn the_plain_run_is_what_a_byte_at_a_time_finds() {
    for byte in 0..=255 {
        for place in 0..70 {
            let mut bytes = vec![b'x'; 70];
            bytes[place] = byte;
            let run = plain::run(&bytes);
            let ends = byte < 0x20 || byte == b'"' || byte == b'\\';
            assert_eq!(run.length, if ends { place } else { 70 }, "{byte} at {place}");
            assert_eq!(run.plain, ends || byte < 0x7F, "{byte} at {place}");
        }
    }
}

/// Pieces that JSON is made of, so that a random sequence of them often nearly is some.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"a\":",
        "\\",
        "\\n",
        "\\u",
        "\\u00e9",
        "\\ud83d",
        "\\ude00",
        "\\ud83d\\ude00",
        "é",
        "語",
        "😀",
        "1",
        "-",
        "0",
        ".",
        "e",
        "E+",
        "12.5e-3",
        "1e400",
        "true",
        "false",
        "null",
        "nul",
        " ",
        "\t",
        "\r\n",
        "NaN",
        "\u{7F}",
        "\u{FEFF}",
        "{}",
        "[]",
        "[1,",
        "\"long enough for words of eight\"",
    ]);
    prop_oneof![
        9 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let string = prop_oneof![".{0,40}", r#"(\\n|\\u00[0-7][0-9a-f]|\\ud83d\\ude00|[ -!#-Z語é]){0,30}"#];
    let scalar = prop_oneof![
        string.prop_map(|text| {
            let written = format!("\"{text}\"");
            serde_json::from_str::<String>(&written)
                .map_or_else(|_| serde_json::to_string(&text).unwrap(), |_| written)
        }),
        any::<f64>().prop_map(|number| serde_json::to_string(&number).unwrap()),
        any::<i64>().prop_map(|number| number.to_string()),
        prop::sample::select(vec!["true", "false", "null", "-0", "0.0e0", "1E+2"]).prop_map(str::to_owned),
    ];
    scalar.prop_recursive(6, 60, 6, |inner| {
        let member = ("\"[a-c]{0,2}(\\\\n|\\\\u0061)?\"", inner.clone());
        let members = prop::collection::vec(member.prop_map(|(key, value)| format!("{key} :{value}")), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|elements| format!("[{}]", elements.join(" ,"))),
            members.prop_map(|members| format!("{{{}\n}}", members.join(", "))),
        ]
    })
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    (value(), any::<prop::sample::Index>(), fragment(), 0_usize..3).prop_map(|(value, at, new, cut)| {
        let mut body = value.into_bytes();
        let at = at.index(body.len());
        let end = (at + cut).min(body.len());
        body.splice(at..end, new);
        body
    })
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        prop::collection::vec(1_usize..9, 1..9),
        prop::collection::vec(1_usize..99, 1..9)
    ]
}

proptest! {
    #[test]
    fn it_reads_what_serde_json_reads(body in value(), sizes in sizes()) {
        agrees(body.as_bytes(), &sizes)?;
    }

    #[test]
    fn it_refuses_what_serde_json_refuses(body in mutated(), sizes in sizes()) {
        agrees(&body, &sizes)?;
    }

    #[test]
    fn it_says_of_any_bytes_what_serde_json_says(
        fragments in prop::collection::vec(fragment(), 0..12), sizes in sizes(),
    ) {
        agrees(&fragments.concat(), &sizes)?;
    }

    #[test]
    fn where_a_body_is_cut_makes_no_difference(body in mutated()) {
        for cut in 0..body.len() {
            agrees(&body, &[cut.max(1), body.len()])?;
        }
    }
}

/// `cargo test --release -p tidegate-policy -- --ignored millions`
#[test]
#[ignore = "minutes long"]
fn millions_of_bodies_are_read_as_serde_json_reads_them() {
    let cases = 2_000_000;
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let bodies = prop_oneof![
        mutated(),
        prop::collection::vec(fragment(), 0..12).prop_map(|fragments| fragments.concat()),
    ];
    proptest::test_runner::TestRunner::new(config)
        .run(&(bodies, sizes()), |(body, sizes)| agrees(&body, &sizes))
        .unwrap();
}
