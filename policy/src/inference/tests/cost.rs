//! Measures the cost of a byte in all kinds of bodies: `cargo test --release -p tidegate-policy -- --ignored
//! --nocapture cost`
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::cast_precision_loss
)]

use crate::fingerprint::Fingerprinter;
use crate::inference::Scanner;
use std::hint::black_box;
use std::time::Instant;

const CHUNK: usize = 16 << 10;

/// Returns megabytes (1e6) per second, the best of several runs.
fn speed(body: &[u8], mut read: impl FnMut(&[u8])) -> f64 {
    let rounds = (4 << 20) / body.len().max(1) + 1;
    let run = |_| {
        let begin = Instant::now();
        (0..rounds).for_each(|_| read(body));
        (body.len() * rounds) as f64 / begin.elapsed().as_secs_f64() / 1e6
    };
    (0..7).map(run).fold(0.0, f64::max)
}

fn scan(mut scanner: Scanner, body: &[u8]) {
    for chunk in body.chunks(CHUNK) {
        scanner.feed(black_box(chunk), &mut ()).unwrap();
    }
    scanner.finish(&mut ()).unwrap();
    black_box(scanner.facts().characters);
    black_box(scanner.fingerprint());
}

fn plain(body: &[u8]) -> f64 {
    speed(body, |body| scan(Scanner::new(127), body))
}

fn printed(body: &[u8]) -> f64 {
    speed(body, |body| scan(Scanner::new(127).with_fingerprint(Fingerprinter::new([7; 16])), body))
}

fn tree(body: &[u8]) -> f64 {
    speed(body, |body| {
        black_box(serde_json::from_slice::<serde_json::Value>(body)).unwrap();
    })
}

/// Returns a chat of this many bytes, in messages of 1,000 bytes.
fn chat(sentence: &str, bytes: usize) -> Vec<u8> {
    let content = sentence.repeat(1_000 / sentence.len() + 1);
    let mut body = String::from(r#"{"model":"m","stream":true,"max_tokens":100,"messages":["#);
    while body.len() + 1_100 < bytes {
        body += &format!(r#"{{"role":"user","content":"{content}"}},"#);
    }
    let left = bytes.saturating_sub(body.len() + 40);
    body += &format!(r#"{{"role":"user","content":"{}"}}]}}"#, "x".repeat(left));
    body.into_bytes()
}

fn prompt(of: &str, bytes: usize) -> Vec<u8> {
    format!("{{\"prompt\":\"{}\"}}", of.repeat(bytes / of.len())).into_bytes()
}

fn list(open: &str, element: &str, close: &str, bytes: usize) -> Vec<u8> {
    let elements = vec![element; bytes / (element.len() + 1)].join(",");
    format!("{open}{elements}{close}").into_bytes()
}

fn members(bytes: usize) -> Vec<u8> {
    let members: Vec<_> = (0..bytes / 12).map(|n| format!("\"{n:07}\":1")).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

/// Returns names that match in no letter case and must be compared in every one.
fn capitals(bytes: usize) -> Vec<u8> {
    list("{\"messages\":[{", "\"CONTENTS\":1", "}]}", bytes)
}

fn nested(bytes: usize) -> Vec<u8> {
    let deep = format!("{}1{}", "{\"a\":[".repeat(60), "]}".repeat(60));
    list("{\"tools\":[", &deep, "]}", bytes)
}

type Shape = (&'static str, fn(usize) -> Vec<u8>);

const SHAPES: &[Shape] = &[
    ("chat, ASCII", |bytes| chat("The quick brown fox jumps over the lazy dog. ", bytes)),
    ("chat, code", |bytes| chat(r#"fn main() {\n    println!(\"hello\");\n}\n"#, bytes)),
    ("chat, Chinese", |bytes| chat("请把下面这段话翻译成英文，然后总结要点。", bytes)),
    ("chat, Russian", |bytes| chat("Съешь ещё этих мягких французских булок. ", bytes)),
    ("chat, Japanese", |bytes| chat("いろはにほへとちりぬるを、わかよたれそ。", bytes)),
    ("chat, emoji", |bytes| chat("👩‍👩‍👧 😀 family ", bytes)),
    ("all \\n", |bytes| prompt(r"\n", bytes)),
    ("all \\u4f60", |bytes| prompt(r"\u4f60", bytes)),
    ("all pairs", |bytes| prompt(r"\ud83d\ude00", bytes)),
    ("escapes apart", |bytes| prompt(r"a\n", bytes)),
    ("zero width", |bytes| prompt("\u{200B}", bytes)),
    ("one huge number", |bytes| format!("{{\"n\":0.{}}}", "1".repeat(bytes)).into_bytes()),
    ("many keys", members),
    ("many keys in capitals", |bytes| list("{", "\"MAX_TOKEN\":1", "}", bytes)),
    ("the same in a message", capitals),
    ("one-letter keys", |bytes| list("{", "\"A\":1", "}", bytes)),
    ("envelopes", |bytes| list("{\"requests\":[", "{\"params\":{\"n\":1}}", "]}", bytes)),
    ("one-character strings", |bytes| list("{\"prompt\":[", "\"a\"", "]}", bytes)),
    ("empty messages", |bytes| list("{\"messages\":[", "{}", "]}", bytes)),
    ("token ids", |bytes| list("{\"prompt\":[", "1", "]}", bytes)),
    ("deep", nested),
    ("white space", |bytes| [b"{}".as_slice(), &vec![b' '; bytes]].concat()),
];

#[test]
#[ignore = "measures; needs a release build and a quiet machine"]
fn the_cost_of_a_byte_is_flat_from_a_kilobyte_to_ten_megabytes() {
    println!("MB/s                       1 KB  16 KB   1 MB  10 MB | fingerprint | serde_json::Value");
    for (name, shape) in SHAPES {
        let speeds = [1 << 10, 16 << 10, 1 << 20, 10 << 20].map(|bytes| plain(&shape(bytes)));
        let body = shape(1 << 20);
        let [kilo, some, mega, ten] = speeds;
        let (printed, tree) = (printed(&body), tree(&body));
        println!("{name:24} {kilo:6.0} {some:6.0} {mega:6.0} {ten:6.0} | {printed:11.0} | {tree:6.0}");
        assert!(ten * 3.0 > mega && mega * 3.0 > some, "{name}: the cost of a byte grows");
    }
}
