#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use builder::Builder;
use proptest::prelude::*;
use serde_json::Value;

mod builder;
mod suite;

/// Ignores all events.
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

/// Returns true for the one error of `serde_json` that the lexer does not share.
fn is_out_of_range(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

/// Compares the lexer with `serde_json` on `body`, cut into chunks of these sizes in turn.
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
    if body.starts_with(b"\xEF\xBB\xBF") {
        return Ok(());
    }
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
fn a_fault_is_reported_with_its_offset() {
    assert_eq!(fault(""), Some((0, Fault::Incomplete)));
    assert_eq!(fault(" \n"), Some((2, Fault::Incomplete)));
    assert_eq!(fault("{\"a\":1"), Some((6, Fault::Incomplete)));
    assert_eq!(fault("{\"a\":1}}"), Some((7, Fault::Trailing)));
    assert_eq!(fault("{\"a\":NaN}"), Some((5, Fault::Unexpected)));
    assert_eq!(fault("[-Infinity]"), Some((2, Fault::Unexpected)));
    assert_eq!(fault("\u{FEFF}{}"), None);
    assert_eq!(fault("\u{FEFF}\u{FEFF}{}"), Some((3, Fault::Unexpected)));
    assert_eq!(fault(" \u{FEFF}{}"), Some((1, Fault::Unexpected)));
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
fn containers_nest_as_deep_as_the_limit_and_no_deeper() {
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
fn an_error_is_permanent() {
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
fn the_plain_run_equals_that_of_a_bytewise_search() {
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

/// Fragments of JSON, so that a random sequence of them often is nearly valid.
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
    fn it_agrees_with_serde_json_on_any_bytes(
        fragments in prop::collection::vec(fragment(), 0..12), sizes in sizes(),
    ) {
        agrees(&fragments.concat(), &sizes)?;
    }

    #[test]
    fn chunk_boundaries_make_no_difference(body in mutated()) {
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
