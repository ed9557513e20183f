use super::*;
use tidegate_host::fake::FakeProxy;
use tidegate_policy::timestamp::MILLISECOND;

#[test]
fn exactly_408_409_429_and_5xx_are_retried() {
    let told: Vec<u16> = (0..700).filter(|status| is_retried(*status)).collect();
    let all: Vec<u16> = [408, 409, 429].into_iter().chain(500..700).collect();
    assert_eq!(told, all);
}

#[test]
fn a_missing_or_invalid_status_is_zero() {
    let proxy = FakeProxy::default();
    let of = |value: &[u8]| {
        let mut exchange = proxy.exchange(&[]);
        exchange.know(Fact::ResponseStatus, value);
        status(&exchange)
    };
    assert_eq!(
        (of(&503_u64.to_le_bytes()), of(&99_999_u64.to_le_bytes()), of(b""), of(b"503")),
        (503, 0, 0, 0)
    );
    assert_eq!(status(&proxy.exchange(&[])), 0);
}

#[test]
fn only_a_plain_false_means_stop() {
    let proxy = FakeProxy::default();
    let stops = |values: &[&str]| {
        let mut exchange = proxy.exchange(&[]);
        exchange.respond(&values.iter().map(|value| (SHOULD_RETRY, *value)).collect::<Vec<_>>());
        wishes(&exchange).1
    };
    assert!(stops(&["false"]) && stops(&["true", "false"]));
    assert!(!stops(&[]) && !stops(&["true"]) && !stops(&["False"]) && !stops(&["0"]));
}

#[test]
fn a_wait_that_cannot_be_read_is_left_to_its_client() {
    let proxy = FakeProxy::default();
    let mut exchange = proxy.exchange(&[]);
    exchange.respond(&[(":status", "503"), ("retry-after", "2 minutes"), ("x-should-retry", "true")]);
    tell(&exchange, wishes(&exchange).0, Hint { wait: MILLISECOND, should_retry: true });
    assert_eq!(["retry-after-ms", "retry-after"].map(|name| exchange.response_header(name)), [None, None]);
    assert!(
        !exchange.response_header_removed("retry-after") && exchange.response_header_removed(SHOULD_RETRY)
    );
}

#[test]
fn a_filters_response_is_recognised_by_its_details_and_retry_headers() {
    let proxy = FakeProxy::default();
    let of = |details: &str, headers: &[(&str, &str)]| {
        let mut exchange = proxy.exchange(&[]);
        exchange.respond(headers);
        exchange.know(Fact::ResponseDetails, details.as_bytes());
        Origin::of(&exchange)
    };
    let told = [("retry-after-ms", "1")];
    assert_eq!(of("tidegate.rate_limit.a", &told), Origin::Refused);
    assert_eq!(of("tidegate.rate_limit.a", &[("x-should-retry", "false")]), Origin::Refused);
    assert_eq!(of("tidegate.degradation.breaker", &told), Origin::Refused);
    assert_eq!(of("tidegate.degradation.failure", &told), Origin::Replaced);
    assert_eq!(of("tidegate.slow_client.rate", &[]), Origin::Cluster);
    assert_eq!(of("via_upstream", &told), Origin::Cluster);
}

#[test]
fn a_refused_retry_is_told_once_to_stop() {
    for (why, status, code) in [
        (Refusal::Exhausted, 429, "retry_budget_exhausted"),
        (Refusal::Contended, 503, "retry_budget_undecided"),
    ] {
        let reply = refused(why, 60_000 * MILLISECOND);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!((reply.status, body["error"]["code"].as_str()), (status, Some(code)));
        let stops = reply.headers.iter().filter(|(name, _)| *name == SHOULD_RETRY).count();
        assert_eq!(stops, 1);
        assert!(reply.headers.contains(&("retry-after", "60".to_owned())));
        assert!(reply.headers.contains(&(SHOULD_RETRY, "false".to_owned())));
    }
}
