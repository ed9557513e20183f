//! Limits by model, which only the body names.

use super::*;

const GO: Flow = Flow::Continue;

struct Chat<'a> {
    filter: &'a RateLimit,
    exchange: FakeExchange<'a>,
    stream: RateLimitStream,
}

impl<'a> Chat<'a> {
    fn new(filter: &'a RateLimit, proxy: &'a FakeProxy, headers: &[(&str, &str)]) -> Self {
        let exchange = proxy.exchange(headers);
        exchange.request_goes_on.set(true);
        Self { filter, exchange, stream: filter.stream() }
    }

    fn begin(&mut self) -> Flow {
        self.stream.on_request_headers(&self.exchange)
    }

    fn end(&mut self, body: &str) -> Flow {
        self.exchange.receive(self.filter, &mut self.stream, body.as_bytes(), true)
    }
}

fn naming(model: &str) -> String {
    json!({ "messages": [{ "role": "user", "content": "?" }], "model": model }).to_string()
}

fn send(filter: &RateLimit, proxy: &FakeProxy, body: &str) -> Flow {
    send_with(filter, proxy, &[("x-api-key", "k")], body)
}

fn send_with(filter: &RateLimit, proxy: &FakeProxy, headers: &[(&str, &str)], body: &str) -> Flow {
    let mut chat = Chat::new(filter, proxy, headers);
    match chat.begin() {
        Flow::Reply(reply) => Flow::Reply(reply),
        _ => chat.end(body),
    }
}

fn per_model() -> RateLimit {
    one(|d| d["limits"][0]["per"] = json!(["client", "model"]))
}

fn only_r1() -> RateLimit {
    one(|d| d["limits"][0]["when"] = json!({ "model": ["r1", "big-*"] }))
}

#[test]
fn each_model_has_a_bucket_however_its_name_is_written() {
    let (filter, proxy) = (per_model(), FakeProxy::running(&per_model()));
    for model in ["a", "b", ""] {
        assert_eq!([(); 2].map(|()| send(&filter, &proxy, &naming(model))), [GO, GO], "{model:?}");
        assert_eq!(reply(send(&filter, &proxy, &naming(model))).status, 429, "{model:?}");
    }
    for same in [
        r#"{"model":"\u0061"}"#,
        r#"{"model":"b","model":"a"}"#,
        " {\n\"model\" : \"a\" , \"x\": {\"model\": \"b\"}}",
    ] {
        assert_eq!(reply(send(&filter, &proxy, same)).status, 429, "{same}");
    }
    assert_eq!(proxy.counter("tidegate.rate_limit.admitted"), 6);
    assert_eq!(proxy.counter("tidegate.rate_limit.throttled.a"), 6);
}

#[test]
fn a_limit_on_some_models_leaves_the_others_alone() {
    let (filter, proxy) = (only_r1(), FakeProxy::running(&only_r1()));
    for model in ["r1", "big-9"] {
        assert_eq!(send(&filter, &proxy, &naming(model)), GO);
    }
    assert_eq!(reply(send(&filter, &proxy, &naming("r1"))).status, 429);
    for other in ["r10", "small", ""] {
        assert_eq!(send(&filter, &proxy, &naming(other)), GO, "{other}");
    }
    assert_eq!(send(&filter, &proxy, r#"{"model":null}"#), GO);
    assert_eq!(send(&filter, &proxy, ""), GO);
    assert_eq!(proxy.counter("tidegate.rate_limit.admitted"), 2);
}

#[test]
fn an_unreadable_body_is_counted_by_every_limit_on_models() {
    let deep = format!("{}{}", r#"{"x":"#, "[".repeat(100));
    let utf16: String = "{\0\"\0m\0\"\0:\x001\0}\0".to_owned();
    let bodies = ["{\"x\":NaN,\"model\":\"r1\"}", "{\"model\":\"sm", &deep, &utf16, "model=r1"];
    for body in bodies {
        let (filter, proxy) = (only_r1(), FakeProxy::default());
        assert_eq!([(); 2].map(|()| send(&filter, &proxy, body)), [GO, GO]);
        assert_eq!(reply(send(&filter, &proxy, body)).status, 429, "{body}");
    }
    let (filter, proxy) = (only_r1(), FakeProxy::default());
    let small = naming("small");
    let encoded = || send_with(&filter, &proxy, &[("x-api-key", "k"), ("content-encoding", "br")], &small);
    assert_eq!([encoded(), encoded()], [GO, GO]);
    assert_eq!(reply(encoded()).status, 429);
    assert_eq!(send(&filter, &proxy, &small), GO);
}

#[test]
fn only_a_limit_by_model_makes_a_request_wait_for_it() {
    for (hold, head) in [(false, GO), (true, Flow::Hold)] {
        let filter = one(|d| {
            d["limits"][0]["when"] = json!({ "model": "r1", "path_prefix": "/v1/" });
            d["hold_headers"] = json!(hold);
        });
        let proxy = FakeProxy::default();
        let mut chat = Chat::new(&filter, &proxy, &[(":path", "/v1/chat")]);
        assert_eq!(chat.begin(), head);
        assert_eq!(chat.stream.on_request_body(&chat.exchange, 0), Flow::Hold);
        assert_eq!(chat.end(&naming("r1")), GO);

        let mut elsewhere = Chat::new(&filter, &proxy, &[(":path", "/health")]);
        assert_eq!((elsewhere.begin(), elsewhere.stream.wants_scan()), (GO, false));
        assert_eq!(elsewhere.stream.on_request_body(&elsewhere.exchange, 9), Flow::Keep);
        let bare = proxy.exchange(&[(":path", "/v1/models")]);
        assert_eq!(filter.stream().on_request_headers(&bare), GO);
    }
}

#[test]
fn what_the_head_decides_is_refused_before_the_body_and_what_the_model_refuses_costs_no_other_limit() {
    let requests = |burst: u32| json!({ "rate": "1/s", "burst": burst });
    let filter = filter(&json!({ "limits": [
        { "name": "client", "per": ["client"], "requests": requests(3) },
        { "name": "all", "per": [], "requests": requests(9) },
        { "name": "model", "per": ["model"], "requests": requests(1) },
    ]}));
    let proxy = FakeProxy::running(&filter);
    assert_eq!(send(&filter, &proxy, &naming("a")), GO);
    for _ in 0..5 {
        let refused = reply(send(&filter, &proxy, &naming("a")));
        assert_eq!(refused.details, "tidegate.rate_limit.model");
    }
    assert_eq!(send(&filter, &proxy, &naming("b")), GO);
    assert_eq!(send(&filter, &proxy, &naming("c")), GO);
    let mut fourth = Chat::new(&filter, &proxy, &[("x-api-key", "k")]);
    assert_eq!(reply(fourth.begin()).details, "tidegate.rate_limit.client");
    assert_eq!(proxy.counter("tidegate.rate_limit.admitted"), 3);
}

#[test]
fn the_tightest_limit_is_reported_whenever_it_was_decided() {
    let limits = |head: u32, model: u32| {
        filter(&json!({ "limits": [
            { "name": "head", "per": [], "requests": { "rate": "1/s", "burst": head } },
            { "name": "model", "per": ["model"], "requests": { "rate": "1/s", "burst": model } },
        ]}))
    };
    for (head, model, told) in [(5, 9, "5"), (9, 5, "5")] {
        let (filter, proxy) = (limits(head, model), FakeProxy::default());
        let mut chat = Chat::new(&filter, &proxy, &[]);
        assert_eq!((chat.begin(), chat.end(&naming("a"))), (GO, GO));
        chat.stream.on_response_headers(&chat.exchange);
        assert_eq!(chat.exchange.response_header("x-ratelimit-limit-requests").as_deref(), Some(told));
    }
}

#[test]
fn a_delay_lasts_its_time_whether_the_body_ends_before_or_after() {
    let filter = filter(&json!({ "hold_headers": true, "limits": [
        { "name": "head", "per": [], "requests": { "rate": "1/s", "burst": 1 }, "exceed": { "delay": "9s" } },
        { "name": "model", "per": ["model"], "requests": { "rate": "1/min", "burst": 1 }, "exceed": { "delay": "60s" } },
    ]}));
    let proxy = FakeProxy::running(&filter);
    assert_eq!(send(&filter, &proxy, &naming("a")), GO);

    let until = |seconds: u64| Flow::HoldUntil(Timestamp::from_nanos(seconds * SECOND));
    let mut early = Chat::new(&filter, &proxy, &[]);
    assert_eq!(early.begin(), until(1));
    assert_eq!(early.end(&naming("b")), until(1));
    proxy.advance(SECOND);
    assert_eq!(early.stream.on_alarm(&early.exchange), GO);

    let mut late = Chat::new(&filter, &proxy, &[]);
    assert_eq!(late.begin(), until(2));
    proxy.advance(SECOND);
    assert_eq!(late.stream.on_alarm(&late.exchange), Flow::Hold);
    assert_eq!(late.end(&naming("b")), until(60));
    assert_eq!(late.stream.on_alarm(&late.exchange), GO);
    assert_eq!(proxy.counter("tidegate.rate_limit.admitted"), 3);
}

#[test]
fn a_return_that_is_refused_for_its_model_has_lost_no_voucher_that_others_have_taken_for_it() {
    for (hold_headers, vouchers) in [(true, 1), (false, 2)] {
        let filter = one(|d| {
            d["limits"][0]["per"] = json!(["client", "model"]);
            d["hold_headers"] = json!(hold_headers);
        });
        let proxy = FakeProxy::running(&filter);
        let send = |attempt: &str| {
            let said = [("x-api-key", "k"), ("x-stainless-retry-count", attempt)];
            send_with(&filter, &proxy, &said, &naming("a"))
        };
        assert_eq!([send("0"), send("0")], [GO, GO]);
        assert_eq!([send("0"), send("1")].map(|flow| reply(flow).status), [429, 429]);
        assert_eq!(returns(&proxy), vouchers, "hold_headers: {hold_headers}");
    }
}

#[test]
fn a_grpc_call_is_charged_at_once_as_one_that_may_name_any_model() {
    let filter = one(|d| {
        d["limits"][0]["when"] = json!({ "model": ["r1", "big-*"] });
        d["hold_headers"] = json!(true);
    });
    let proxy = FakeProxy::default();
    let headers = [(":method", "POST"), ("content-type", "application/grpc"), ("x-api-key", "k")];
    for flow in [GO, GO] {
        let mut call = Chat::new(&filter, &proxy, &headers);
        assert_eq!(call.begin(), flow);
        assert_eq!(call.stream.on_request_body(&call.exchange, 9), Flow::Keep);
        assert!(!call.stream.wants_scan());
    }
    assert_eq!(reply(Chat::new(&filter, &proxy, &headers).begin()).status, 429);
}
