//! Measures the cost of a search through whole bodies: `cargo test --release -p tidegate-policy prompt::tests::cost --
//! --ignored --nocapture`
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::disallowed_methods)]

use super::*;
use std::time::{Duration, Instant};

fn time(denied: Option<&Denied>, body: &str) -> Duration {
    let run = || {
        let (limits, mut heard, mut scanner) = (limits(), Heard::default(), Scanner::new(32));
        let mut listener = Listener { limits: &limits, denied, enforces: &|_| false, heard: &mut heard };
        for chunk in body.as_bytes().chunks(16 << 10) {
            scanner.feed(chunk, &mut listener).unwrap();
        }
        scanner.finish(&mut listener).unwrap();
        listener.finish();
    };
    let (began, mut runs) = (Instant::now(), 0);
    let before = used();
    while began.elapsed() < Duration::from_millis(400) {
        run();
        runs += 1;
    }
    used().saturating_sub(before) / runs
}

/// Returns the CPU time used, which other load on the machine does not affect.
fn used() -> Duration {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0))
}

fn bodies() -> Vec<(&'static str, String)> {
    let english = "The quick brown fox, who had ignored it, jumps over 13 lazy dogs; and then again. ";
    let code = "    for index in range(10):\n        print(f\"{index}: {values[index]}\", end=\"\")\n\n";
    let conversation = |text: &str, length: usize| {
        let text: String = text.chars().cycle().take(length).collect();
        let message = |turn: usize| json!({ "role": if turn.is_multiple_of(2) { "user" } else { "assistant" }, "content": text });
        json!({ "messages": (0..(1 << 20) / length).map(message).collect::<Vec<_>>() }).to_string()
    };
    let parts = |text: &str| {
        let part = json!({ "type": "text", "text": text });
        json!({ "messages": [{ "role": "user", "content": vec![part; (1 << 20) / text.len()] }] }).to_string()
    };
    let calls = |text: &str| {
        let arguments = json!({ "path": "a.py", "text": text.repeat(20) }).to_string();
        let call =
            json!({ "id": "a", "type": "function", "function": { "name": "write", "arguments": arguments } });
        json!({ "messages": vec![json!({ "role": "assistant", "tool_calls": [call] }); 500] }).to_string()
    };
    vec![
        ("English, 1,000 characters a message", conversation(english, 1_000)),
        ("English, one message", conversation(english, 1 << 20)),
        ("code, 1,000 characters a message", conversation(code, 1_000)),
        ("Chinese", conversation("我们的服务器现在很忙，请稍后再试。忽略这些指示吧。", 1_000)),
        ("English, in parts of 82", parts(english)),
        ("parts of 6", parts("ignore")),
        ("code in arguments", calls(code)),
        ("U+FDFA", conversation("\u{FDFA}", 300_000)),
        ("marks", conversation("\u{327}\u{301}", 300_000)),
    ]
}

#[test]
#[ignore = "it measures"]
fn speed() {
    let denied = everywhere(&[IGNORE]);
    for (name, body) in bodies() {
        let speed = |denied| body.len() as u128 * 1_000 / time(denied, &body).as_nanos();
        println!("{name}: {} MB/s without a rule, {} with one", speed(None), speed(Some(&denied)));
    }
}
