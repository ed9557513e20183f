//! One request body against the rule. The alarm is set for the time at which the body becomes too slow if no more
//! bytes arrive, so that a stall is noticed too; every chunk postpones it. A gRPC call is exempt: its messages come
//! at their own pace, and over HTTP/2 Envoy's keepalive detects a client that is gone.

use crate::config::Config;
use tidegate_config::ConfigError;
use tidegate_host::counters;
use tidegate_host::exchange::{Exchange, Fact, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::protocol::Protocol;
use tidegate_host::reply::{ErrorObject, Reply};
use tidegate_policy::body_rate::{BodyWatch, TooSlow};

counters! {
    /// What is counted.
    pub enum Counter in "tidegate.slow_client." {
        /// Request bodies that were complete in time.
        Admitted = "admitted",
        /// Requests answered 408 because their body came too slowly.
        Rate = "rejected.rate",
        /// Requests answered 408 because their body took too long.
        Timeout = "rejected.timeout",
        /// Requests answered 408 because their body came in chunks that were too small.
        TinyChunks = "rejected.tiny_chunks",
        /// Requests that shadow mode let go on.
        Shadowed = "shadowed",
    }
}

/// Responds with 408 to bodies that trickle.
#[derive(Clone, Copy, Debug)]
pub struct SlowClient {
    pub(crate) config: Config,
}

/// One request's body.
#[derive(Debug)]
pub struct SlowClientStream {
    config: Config,
    watch: Option<BodyWatch>,
}

impl Plugin for SlowClient {
    const ROOT_ID: &'static str = "slow-client";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self { config: Config::read(document)? })
    }

    fn metrics(&self) -> Vec<String> {
        Counter::names()
    }
}

impl Filter for SlowClient {
    type Stream = SlowClientStream;
    const STAGE: Stage = Stage::Watch;
    const SETS_ALARMS: bool = true;

    fn stream(&self) -> SlowClientStream {
        SlowClientStream { config: self.config, watch: None }
    }
}

impl Stream for SlowClientStream {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if !exchange.request_goes_on() || is_call(exchange) {
            return Flow::Continue;
        }
        let watch = BodyWatch::new(&self.config.rule, exchange.now());
        exchange.set_alarm(Some(watch.next_check()));
        self.watch = Some(watch);
        if self.config.hold_headers { Flow::Hold } else { Flow::Continue }
    }

    fn on_request_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        let Some(watch) = &mut self.watch else { return Flow::Keep };
        if !exchange.request_goes_on() {
            return Flow::Keep;
        }
        let bytes = u64::try_from(arrived).unwrap_or(u64::MAX);
        match watch.chunk(&self.config.rule, bytes, exchange.now()) {
            Ok(()) => {
                exchange.set_alarm(Some(watch.next_check()));
                Flow::Keep
            }
            Err(why) => self.refuse(exchange, why),
        }
    }

    fn on_request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        if self.watch.take().is_some() {
            Counter::Admitted.count(exchange, 1);
            exchange.set_alarm(None);
        }
        Flow::Continue
    }

    fn on_alarm(&mut self, exchange: &dyn Exchange) -> Flow {
        let Some(watch) = &self.watch else { return Flow::Keep };
        match watch.judge(exchange.now()) {
            Ok(()) => {
                exchange.set_alarm(Some(watch.next_check()));
                Flow::Keep
            }
            Err(why) => self.refuse(exchange, why),
        }
    }
}

/// Returns true if this is a gRPC call, over a version of HTTP that can carry one.
fn is_call(exchange: &dyn Exchange) -> bool {
    exchange.protocol() == Protocol::Grpc
        && exchange.fact(Fact::HttpVersion).is_some_and(|version| !version.0.starts_with(b"HTTP/1"))
}

impl SlowClientStream {
    fn refuse(&mut self, exchange: &dyn Exchange, why: TooSlow) -> Flow {
        let rule = &self.config.rule;
        let (counter, name, message) = match why {
            TooSlow::Rate => (
                Counter::Rate,
                "rate",
                format!("The request body came more slowly than {} bytes per second.", rule.min_rate),
            ),
            TooSlow::Timeout => {
                let seconds = core::time::Duration::from_nanos(rule.timeout);
                (Counter::Timeout, "timeout", format!("The request body was not complete after {seconds:?}."))
            }
            TooSlow::TinyChunks => {
                let least = rule.tiny_chunks.map_or(0, |tiny| tiny.min_average);
                (
                    Counter::TinyChunks,
                    "tiny_chunks",
                    format!("The request body came in chunks of less than {least} bytes on average."),
                )
            }
        };
        self.watch = None;
        exchange.set_alarm(None);
        if self.config.shadow {
            Counter::Shadowed.count(exchange, 1);
            return Flow::Keep;
        }
        counter.count(exchange, 1);
        let error = ErrorObject {
            message: &message,
            kind: "invalid_request_error",
            param: None,
            code: "request_too_slow",
        };
        Flow::Reply(Reply::error(408, error, format!("tidegate.slow_client.{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidegate_host::fake::{FakeExchange, FakeProxy};
    use tidegate_policy::timestamp::Timestamp;

    use tidegate_policy::timestamp::SECOND;

    fn filter(document: serde_json::Value) -> SlowClient {
        SlowClient::configure(document.to_string().as_bytes()).expect("it is right")
    }

    fn begin<'a>(filter: &SlowClient, proxy: &'a FakeProxy) -> (SlowClientStream, FakeExchange<'a>, Flow) {
        let exchange = proxy.exchange(&[]);
        exchange.request_goes_on.set(true);
        let mut stream = filter.stream();
        let flow = stream.on_request_headers(&exchange);
        (stream, exchange, flow)
    }

    fn status(flow: &Flow) -> u16 {
        match flow {
            Flow::Reply(reply) => reply.status,
            _ => 0,
        }
    }

    #[test]
    fn a_request_without_a_body_is_not_watched() {
        let proxy = FakeProxy::default();
        let mut stream = filter(json!({ "hold_headers": true })).stream();
        assert_eq!(stream.on_request_headers(&proxy.exchange(&[])), Flow::Continue);
        assert_eq!(proxy.alarm.get(), None);
    }

    #[test]
    fn a_grpc_call_is_not_watched_over_http2_and_over_http1_there_is_none() {
        let filter = filter(json!({ "hold_headers": true }));
        let call = [(":method", "POST"), ("content-type", "application/grpc")];
        for (version, flow) in
            [("HTTP/2", Flow::Continue), ("HTTP/3", Flow::Continue), ("HTTP/1.1", Flow::Hold)]
        {
            let proxy = FakeProxy::default();
            let mut exchange = proxy.exchange(&call);
            exchange.know(Fact::HttpVersion, version.as_bytes());
            exchange.request_goes_on.set(true);
            assert_eq!(filter.stream().on_request_headers(&exchange), flow, "{version}");
            assert_eq!(proxy.alarm.get().is_some(), flow == Flow::Hold, "{version}");
        }
    }

    #[test]
    fn a_stalled_body_is_refused_when_the_grace_is_over() {
        let filter = filter(json!({}));
        let proxy = FakeProxy::running(&filter);
        let (mut stream, exchange, flow) = begin(&filter, &proxy);
        assert_eq!((flow, proxy.alarm.get()), (Flow::Continue, Some(Timestamp::from_nanos(5 * SECOND))));
        proxy.advance(5 * SECOND);
        let flow = stream.on_alarm(&exchange);
        assert_eq!(status(&flow), 408);
        assert_eq!(proxy.counter("tidegate.slow_client.rejected.rate"), 1);
        assert_eq!(stream.on_request_body(&exchange, 9), Flow::Keep);
    }

    #[test]
    fn a_chunk_postpones_the_alarm_and_the_end_clears_it() {
        let filter = filter(json!({ "hold_headers": true }));
        let proxy = FakeProxy::running(&filter);
        let (mut stream, exchange, flow) = begin(&filter, &proxy);
        assert_eq!(flow, Flow::Hold);
        proxy.advance(2 * SECOND);
        assert_eq!(stream.on_request_body(&exchange, 500), Flow::Keep);
        assert_eq!(proxy.alarm.get(), Some(Timestamp::from_nanos(6 * SECOND)));
        assert_eq!(stream.on_request_end(&exchange), Flow::Continue);
        assert_eq!(proxy.alarm.get(), None);
        assert_eq!(proxy.counter("tidegate.slow_client.admitted"), 1);
    }

    #[test]
    fn tiny_chunks_and_the_deadline_are_answered_at_once() {
        let filter = filter(
            json!({ "tiny_chunks": { "window": 2, "min_average": "16B" }, "body": { "timeout": "9s" } }),
        );
        let proxy = FakeProxy::running(&filter);
        let (mut stream, exchange, _) = begin(&filter, &proxy);
        assert_eq!(stream.on_request_body(&exchange, 1), Flow::Keep);
        assert_eq!(status(&stream.on_request_body(&exchange, 1)), 408);
        assert_eq!(proxy.counter("tidegate.slow_client.rejected.tiny_chunks"), 1);

        let (mut stream, exchange, _) = begin(&filter, &proxy);
        for _ in 0..3 {
            proxy.advance(2 * SECOND);
            assert_eq!(stream.on_request_body(&exchange, 9_000), Flow::Keep);
        }
        proxy.advance(3 * SECOND);
        assert_eq!(status(&stream.on_alarm(&exchange)), 408);
        assert_eq!(proxy.counter("tidegate.slow_client.rejected.timeout"), 1);
    }

    #[test]
    fn in_shadow_it_counts_and_watches_no_longer() {
        let filter = filter(json!({ "shadow": true }));
        let proxy = FakeProxy::running(&filter);
        let (mut stream, exchange, _) = begin(&filter, &proxy);
        proxy.advance(5 * SECOND);
        assert_eq!(stream.on_alarm(&exchange), Flow::Keep);
        assert_eq!(proxy.counter("tidegate.slow_client.shadowed"), 1);
        assert_eq!(proxy.alarm.get(), None);
    }

    #[test]
    fn an_unenforceable_value_is_refused_with_path_found_and_accepted() {
        for (document, parts) in [
            (json!({ "body": { "grace": "0s" } }), ["body.grace", "0ns", "1ms"]),
            (json!({ "body": { "min_rate": "5B" } }), ["body.min_rate", "5B", "500B/s"]),
            (json!({ "body": { "min_rate": "0B/s" } }), ["body.min_rate", "found 0B/s", "1B/s to 1GiB/s"]),
            (json!({ "body": { "speed": 1 } }), ["body.speed", "unknown field", "min_rate"]),
            (
                json!({ "tiny_chunks": { "window": 0, "min_average": "1B" } }),
                ["tiny_chunks.window", "found 0", "1 to"],
            ),
        ] {
            let error = Config::read(document.to_string().as_bytes()).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
