//! In how much memory answers are kept.

use super::*;

/// What the memory of an Envoy that has run for a while grows by when its cache, which may take 2 MiB, is given so many
/// distinct answers.
fn grown_by(distinct: usize) -> u64 {
    const CLIENTS: usize = 4;
    let upstream = Upstream::scripted(|seen| {
        let text = format!("{}{}", seen.body.len(), "y".repeat(3_900));
        json_answer("", &json!({ "choices": [{ "message": { "content": text } }] }))
    });
    let envoy = start(keeping(json!({ "max_entries": 512, "max_entry": "4KiB" })), &upstream);
    let ask_all = |control: &str, distinct: usize| {
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (envoy, upstream) = (&envoy, &upstream);
                scope.spawn(move || {
                    let mut connection = envoy.connect();
                    for n in (client..distinct).step_by(CLIENTS) {
                        let headers = [("authorization", "k"), ("cache-control", control)];
                        let request = post(CHAT, &headers, format!("{{\"n\":{n}}}").as_bytes());
                        assert_eq!(connection.exchange(&request).expect("an answer").status, 200);
                        if n % 10_000 == 0 {
                            upstream.forget();
                        }
                    }
                });
            }
        });
    };
    ask_all("no-store", 5_000);
    assert_eq!(envoy.counter("degradation.kept"), 0);
    let before = envoy.resident();
    ask_all("no-transform", distinct);
    let grown = envoy.resident().saturating_sub(before);
    let (bytes, kept, evicted) = (
        envoy.counter("degradation.cache_bytes"),
        envoy.counter("degradation.kept"),
        envoy.counter("degradation.evicted"),
    );
    assert!((1_000_000..512 * 4_096).contains(&bytes), "{bytes} bytes");
    let distinct = distinct as u64;
    assert!(evicted > distinct * 3 / 4 && kept > distinct * 9 / 10, "{kept} kept, {evicted} evicted");
    envoy.assert_no_vm_restarted();
    grown
}

#[test]
fn answers_without_number_take_no_more_memory_than_is_configured() {
    let grown = grown_by(22_000);
    assert!(grown < (2 << 20) + (8 << 20), "grown by {grown} bytes");
}

#[test]
#[ignore = "a million requests take minutes"]
fn a_million_answers_take_no_more_memory_than_is_configured() {
    let grown = grown_by(1_000_000);
    assert!(grown < (2 << 20) + (8 << 20), "grown by {grown} bytes");
}
