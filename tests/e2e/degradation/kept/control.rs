//! Kept answers obey what HTTP says about caches (RFC 9111).

use super::*;

const PUBLIC: &str = "cache-control: public\r\n";

fn asked(question: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    post(CHAT, &[&KEY[..], headers].concat(), &body(question, false))
}

#[test]
fn an_answer_is_kept_as_far_as_its_headers_allow() {
    let cache = Kept::new(json!({}));
    for (headers, expected) in [
        ("", true),
        ("cache-control: private, max-age=60\r\n", true),
        ("cache-control: x=\"no-store, no-cache\"\r\n", true),
        ("cache-control: no-store\r\n", false),
        ("cache-control: public\r\ncache-control: No-Cache\r\n", false),
        ("cache-control: no-cache=\"set-cookie\"\r\n", false),
        ("cache-control: max-age=0\r\n", false),
        ("cache-control: max-age=x\r\n", false),
        ("cache-control: max-age=60\r\nage: 60\r\n", false),
        ("cache-control: max-age=60\r\nage: 3\r\n", true),
        ("cache-control: s-maxage=0\r\n", true),
        ("expires: 0\r\n", false),
        ("date: Sun, 06 Nov 1994 08:49:37 GMT\r\nexpires: Sun, 06 Nov 1994 08:50:37 GMT\r\n", true),
        ("date: Sun, 06 Nov 1994 08:49:37 GMT\r\nexpires: Sun, 06 Nov 1994 08:49:37 GMT\r\n", false),
        ("set-cookie: a=b\r\n", false),
        ("vary: *\r\n", false),
        ("vary: x-other\r\n", false),
        ("vary: Origin\r\nvary: x-other\r\n", false),
        (
            "vary: Origin, Accept-Encoding, User-Agent\r\nvary: Authorization, anthropic-version, Host\r\n",
            true,
        ),
    ] {
        assert_eq!(cache.holds(headers, good_with(headers), false), expected, "{headers}");
    }
    cache.envoy.assert_no_vm_restarted();
}

#[test]
fn what_all_clients_share_is_only_what_is_for_all() {
    let cache = Kept::new(json!({ "scope": "shared" }));
    for (headers, with_key, without) in [
        ("", false, true),
        (PUBLIC, true, true),
        ("cache-control: s-maxage=60\r\n", true, true),
        ("cache-control: must-revalidate, max-age=60\r\n", true, true),
        ("cache-control: max-age=60\r\n", false, true),
        ("cache-control: public, private\r\n", false, false),
        ("cache-control: public, max-age=60, s-maxage=0\r\n", false, false),
        ("cache-control: public\r\nset-cookie: a=b\r\n", false, false),
        ("cache-control: public\r\nvary: authorization\r\n", false, false),
    ] {
        let plain = post(CHAT, &[], &body(&format!("plain {headers}"), false));
        assert_eq!(cache.holds(headers, good_with(headers), false), with_key, "{headers}");
        assert_eq!(cache.gives_again(&plain, good_with(headers)), without, "{headers}");
    }
}

#[test]
fn an_answer_is_given_no_longer_than_it_says_itself_unless_it_excuses_a_failure() {
    let cache = Kept::new(json!({}));
    let excused = asked("excused", &[]);
    let control = |value: &str| good_with(&format!("cache-control: {value}\r\nage: 40\r\n"));
    assert!(cache.gives_again(&asked("short", &[]), control("max-age=43")));
    assert!(cache.gives_again(&excused, control("max-age=42, stale-if-error=600")));
    assert!(
        cache.gives_again(&asked("strict", &[]), control("max-age=43, stale-if-error=600, must-revalidate"))
    );
    wait_for("it to be too old", PATIENCE, || (!cache.gives(&asked("short", &[]))).then_some(()));
    assert!(!cache.gives(&asked("short", &[("cache-control", "min-fresh=1")])));
    assert!(cache.gives(&asked("short", &[("cache-control", "max-stale=600")])), "its client takes it");
    wait_for("it to be too old", PATIENCE, || (!cache.gives(&asked("strict", &[]))).then_some(()));
    assert!(!cache.gives(&asked("strict", &[("cache-control", "max-stale")])));
    let kept = cache.envoy.connect().exchange(&excused).expect("an answer");
    assert!(kept.status == 200 && kept.number("age") >= 42, "{kept:?}");
    assert!(!cache.gives(&asked("excused", &[("cache-control", "max-stale=0")])));
}

#[test]
fn an_answer_whose_own_time_is_over_saves_no_work() {
    let number = AtomicUsize::new(0);
    let upstream = Upstream::scripted(move |_| {
        let text = format!("answer {}", number.fetch_add(1, Ordering::Relaxed));
        json_answer(
            "cache-control: max-age=2, stale-if-error=600\r\n",
            &json!({ "choices": [{ "message": { "content": text } }] }),
        )
    });
    let envoy = start(keeping(json!({ "fresh": "10m" })), &upstream);
    let fresh = |control: &str| {
        text(&envoy.connect().exchange(&asked("x", &[("cache-control", control)])).expect("an answer"))
    };
    assert_eq!((fresh(""), fresh("")), (json!("answer 0"), json!("answer 0")));
    for control in ["no-cache", "max-age=0", "no-store", "min-fresh=60"] {
        let before = upstream.seen().len();
        assert_ne!(fresh(control), "answer 0", "{control}");
        assert_eq!(upstream.seen().len(), before + 1, "{control}");
    }
    let last = fresh("");
    wait_for("it to be too old", PATIENCE, || (fresh("") != last).then_some(()));
}

#[test]
fn an_answer_that_depends_on_another_header_is_given_to_whom_says_the_same() {
    let cache = Kept::new(json!({}));
    let from = |origin: &str, agent: &str| asked("x", &[("origin", origin), ("user-agent", agent)]);
    let by_origin = || good_with("vary: Origin\r\n");
    assert!(cache.gives_again(&from("https://a", "1"), by_origin()));
    assert!(!cache.gives(&from("https://b", "1")) && !cache.gives(&asked("x", &[])));
    assert!(cache.gives_again(&from("https://b", "1"), by_origin()));
    assert!(cache.gives(&from("https://a", "2")) && cache.gives(&from("https://b", "2")));
}

#[test]
fn a_request_that_wants_no_kept_answer_gets_none() {
    let cache = Kept::new(json!({}));
    assert!(cache.gives_again(&asked("x", &[]), good_with("")));
    for (headers, expected) in [
        (&[("cache-control", "no-cache")][..], false),
        (&[("cache-control", "no-store")], false),
        (&[("cache-control", "max-age=0")], false),
        (&[("cache-control", "x=y"), ("cache-control", "No-Cache")], false),
        (&[("cache-control", "min-fresh=600")], false),
        (&[("pragma", "no-cache")], false),
        (&[("cache-control", "max-age=500"), ("pragma", "no-cache")], true),
        (&[("cache-control", "max-stale")], true),
        (&[("cache-control", "no-transform, min-fresh=5")], true),
    ] {
        assert_eq!(cache.gives(&asked("x", headers)), expected, "{headers:?}");
    }
    assert!(!cache.gives_again(&asked("y", &[("cache-control", "no-store")]), good_with("")));
    assert!(!cache.gives(&asked("y", &[])));
    cache.upstream.follow(|_| good_with(""));
    let _ = cache.envoy.connect().exchange(&asked("z", &[("cache-control", "no-cache")]));
    assert!(cache.gives(&asked("z", &[])), "what it got is kept for who does not mind");
}

#[test]
fn a_request_that_wants_a_kept_answer_or_none_never_reaches_the_cluster() {
    let cache = Kept::new(json!({}));
    let only = [("cache-control", "only-if-cached")];
    let ask = |question: &str| cache.envoy.connect().exchange(&asked(question, &only)).expect("an answer");
    let none = ask("x");
    assert_eq!((none.status, none.json()["error"]["code"].clone()), (504, json!("not_cached")));
    assert_eq!((none.header("x-should-retry"), cache.upstream.seen().len()), (Some("false"), 0));
    cache.upstream.follow(|_| good_with(""));
    assert_eq!(cache.envoy.connect().exchange(&asked("x", &[])).expect("an answer").status, 200);
    let kept = ask("x");
    assert!(kept.status == 200 && degraded(&kept).is_some_and(|degraded| degraded.starts_with("cached")));
    assert_eq!((ask("y").status, cache.upstream.seen().len()), (504, 1));
    let elsewhere = post("/v1/files", &[&KEY[..], &only].concat(), b"{}");
    assert_eq!(
        cache.envoy.connect().exchange(&elsewhere).expect("an answer").status,
        200,
        "no cache is asked"
    );
}
