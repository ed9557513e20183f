//! The document as an operator writes it. Its shape is checked here; whether its parts are consistent, in
//! [`Config::read`](super::Config::read).

use super::scope::RawScope;
use super::status::{Message, Status};
use super::{Extra, MAX_LIST};
use serde::Deserialize;
use tidegate_config::list::List;
use tidegate_config::range::{ANY, Count, DAY, Fraction, HOUR, KIB, LONGEST, MIB, ONE, SECOND, Size, Span};
use tidegate_config::rate::Rate;
use tidegate_config::text::{HeaderName, ModelName, PathPrefix};
use tidegate_limits::client::{AddressSource, RawSource};

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    /// How long a response may take, whatever the client asks for: until it is complete or, if it streams, until its first
    /// content. From then on Envoy's `stream_idle_timeout` applies.
    pub(super) timeout: Span<1, DAY, { 60 * SECOND }>,
    /// Timeouts for some paths and models. The first that matches applies, otherwise `timeout`.
    pub(super) timeouts: List<RawTimeout, 0, MAX_LIST>,
    /// Models whose health is measured apart from that of their cluster. Each of Envoy's clusters is measured apart anyway.
    pub(super) models: List<ModelName, 0, MAX_LIST>,
    /// When requests stop reaching the cluster, and how it is tried again.
    pub(super) breaker: RawBreaker,
    /// What clients get when the cluster is in trouble: less work, a cached response, a default response.
    pub(super) tiers: RawTiers,
    /// When clients that get an error are told to come back. Their waits have jitter, and do not end before the breaker is
    /// half-open.
    pub(super) hints: RawHints,
    /// Requests with such a header are never degraded: they get the cluster's own response, or an error.
    pub(super) opt_out: List<RawHeader, 0, MAX_LIST>,
    /// How clients are told apart: the first of these headers, or `address`, that a request has. By default the key where
    /// the API reads it, then the address.
    pub(super) client: Option<Vec<RawSource>>,
    /// Which address is a client's, and how much of it counts.
    pub(super) address: Option<AddressSource>,
    /// Hold requests until their bodies are known, and responses that stream until they have content, so that a failed
    /// one can still be replaced. Needs `allow_on_headers_stop_iteration: true` in Envoy's PluginConfig, without which such
    /// requests hang.
    pub(super) hold_headers: bool,
    /// How many requests one worker may hold at a time. What is beyond it goes on as without `hold_headers`.
    pub(super) max_held: Count<1, 65_536, 1_024>,
    /// Measure, decide and count, and change nothing.
    pub(super) shadow: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTimeout {
    /// Applies to requests on and beneath this path; by default to all.
    pub(super) path_prefix: Option<PathPrefix>,
    /// Applies to requests that name exactly this model; by default to all.
    pub(super) model: Option<String>,
    /// How long their responses may take.
    pub(super) timeout: Span<1, DAY>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawBreaker {
    /// The time over which ratios are measured, in ten slots.
    pub(super) window: Span<100, HOUR, { 10 * SECOND }>,
    /// With fewer requests in the window nothing that is measured counts.
    pub(super) min_requests: Count<1, ANY, 20>,
    /// Opens when this part of requests, by clients, failed.
    pub(super) error_ratio: Fraction<1, ONE, { ONE / 2 }>,
    /// Opens when too many requests are slow. Off unless it is written.
    pub(super) slow: Option<RawSlow>,
    /// How long the breaker is open at first. The time doubles each time that probes fail, up to `max_open_for`.
    pub(super) open_for: Span<1, DAY, { 5 * SECOND }>,
    /// The longest time that the breaker is open before probes are sent; by default `60s`, or `open_for` if that is longer.
    pub(super) max_open_for: Option<Span<1, DAY>>,
    /// How many requests are sent at first while the breaker is half-open, over all workers; then twice and four times as
    /// many. It closes if these go well.
    pub(super) probes: Count<1, 8, 3>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSlow {
    /// A request is slow if its response has not begun after this time, also if its client gave up later than that.
    pub(super) after: Span<1, LONGEST>,
    /// Opens when this part of requests, by clients, was slow.
    pub(super) ratio: Fraction<1, ONE>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTiers {
    /// Requests are made smaller, so that the cluster can serve more of them. Off unless it is written.
    pub(super) reduce: Option<RawReduce>,
    /// Clients get the last good response to the same question, also where the cluster's own fails. Off unless it is
    /// written.
    pub(super) cached: Option<RawCached>,
    /// Clients get a default response, also where the cluster's own fails and none is cached.
    pub(super) default: RawDefault,
}

macro_rules! tier {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name {
            /// The signals that turn this tier on; each alone does. Without it, no signal does.
            pub(super) at: Option<RawAt>,
            /// The tier is left when all signals have been below this part of their thresholds for `hold`.
            pub(super) leave: Fraction<0, ONE, { ONE / 2 }>,
            /// How long signals must stay low before the tier is left.
            pub(super) hold: Span<1, DAY, { 10 * SECOND }>,
            /// For drills: the tier is on (`true`) or off (`false`), whatever is measured.
            pub(super) force: Option<bool>,
            $($own)*
        }
    };
}

tier! {
    #[derive(Default, Deserialize)]
    struct RawReduce {
        /// The most completion tokens that a request may ask for, also set where it asks for no number. What depends on it
        /// (`min_tokens`, a thinking budget) follows.
        pub(super) clamp_completion_tokens: Option<Count<1, ANY>>,
        /// Work that is left out of requests.
        pub(super) drop: Vec<Extra>,
        /// Paths on and beneath which requests are answered 503 while the tier is on.
        pub(super) refuse_paths: List<PathPrefix, 0, MAX_LIST>,
        /// The model that answers in place of the one that was asked for.
        pub(super) model: Option<ModelName>,
    }
}

tier! {
    #[derive(Default, Deserialize)]
    struct RawCached {
        /// How old a cached response may be, unless the response itself says less.
        pub(super) ttl: Span<1, LONGEST, { 600 * SECOND }>,
        /// Cached responses up to this age are served while the cluster is healthy, too, which saves GPU time. At most
        /// `ttl`.
        pub(super) fresh: Span<0, LONGEST, 0>,
        /// How many responses are cached. Together they may take 1 GiB of Envoy's memory, each counted at `max_entry`.
        pub(super) max_entries: Count<8, ANY, 512>,
        /// The longest response that is cached.
        pub(super) max_entry: Size<1, MIB, { 64 * KIB }>,
        /// Whose responses a client gets: its own (`client`, the default), anybody's (`shared`), or its own and only those to requests
        /// with the same values of certain headers (`{headers: […]}`), for clients behind one key.
        pub(super) scope: Option<RawScope>,
        /// Headers that are part of the question, besides host, path, query, content type, body and, unless all clients
        /// share, every credential.
        #[serde(default = "usual_vary")]
        pub(super) vary: Option<List<HeaderName, 0, MAX_LIST>>,
    }
}

tier! {
    #[derive(Default, Deserialize)]
    struct RawDefault {
        /// The status of the default response. 200 gives an ordinary completion that says `message`, streamed if that was
        /// asked for; any other status, and any other request, gets an error. By default 503, or 504 after a timeout.
        pub(super) status: Option<Status>,
        /// What the default response says, in up to 4 KiB.
        #[serde(default = "usual_message")]
        pub(super) message: Option<Message>,
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawAt {
    /// The part of requests that failed, by clients.
    pub(super) error_ratio: Option<Fraction<1, ONE>>,
    /// The part of requests that were slow, by clients. Needs `breaker.slow`.
    pub(super) slow_ratio: Option<Fraction<1, ONE>>,
    /// The part of requests that the cluster had no room for, by clients.
    pub(super) overload_ratio: Option<Fraction<1, ONE>>,
    /// The rate of requests.
    pub(super) request_rate: Option<Rate<ANY>>,
    /// The mean time until a response begins, by clients.
    pub(super) first_byte: Option<Span<1, LONGEST>>,
    /// The mean time until a response is complete, by clients.
    pub(super) total: Option<Span<1, LONGEST>>,
    /// How many tenths of the window in a row had responses that began three standard deviations later than usual.
    pub(super) anomalous: Option<Count<1, ANY>>,
    /// The breaker is not closed.
    #[serde(default)]
    pub(super) breaker: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHints {
    /// The bound of the first random wait. At most `max`.
    pub(super) base: Span<1, { 60 * SECOND }, SECOND>,
    /// The longest wait that a client is told.
    pub(super) max: Span<1, { 60 * SECOND }, { 60 * SECOND }>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawHeader {
    /// The name of the header.
    pub(super) header: HeaderName,
    /// The value that it must have; by default any.
    pub(super) value: Option<String>,
}

pub(super) fn usual_message() -> Option<Message> {
    Message::new("The model is busy. Please try again shortly.")
}

pub(super) fn usual_vary() -> Option<List<HeaderName, 0, MAX_LIST>> {
    let names =
        ["anthropic-version", "anthropic-beta", "openai-organization", "openai-project", "openai-beta"];
    List::of(names.into_iter().filter_map(HeaderName::new))
}
