//! Reads the attempt number of a request from its headers, and issues vouchers: a filter that refuses a first attempt
//! and invites it to retry leaves a voucher, so that the retry budget recognises its return. All filters share one
//! table of fixed size, under the client's fingerprint.

use crate::client::ClientSources;
use serde::Deserialize;
use tidegate_config::ConfigError;
use tidegate_config::list::List;
use tidegate_config::range::Count;
use tidegate_config::text::HeaderName;
use tidegate_host::exchange::Exchange;
use tidegate_host::headers::HeaderMap;
use tidegate_host::reply::Reply;
use tidegate_host::store::update;
use tidegate_policy::attempt;
use tidegate_policy::fingerprint::Fingerprint;
use tidegate_policy::slot_key::{Prefix, SlotKey};
use tidegate_policy::slots::Table;
use tidegate_policy::voucher::{SET_BYTES, VoucherSet};

const PREFIX: Prefix = *b"tidegate.rv.";
const MEMORY: u64 = 1 << 20;
const MAX_HEADERS: usize = 8;

/// The response code details of refusals that come before the cluster has seen the request and may invite to a retry.
/// All others count as failures of the cluster.
const REFUSALS: [&[u8]; 3] =
    [b"tidegate.rate_limit.", b"tidegate.degradation.breaker", b"tidegate.degradation.default"];

/// One header as written.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawRetryHeader {
    /// The name of the header, once in the list.
    name: HeaderName,
    /// What clients write into it for their first attempt.
    #[serde(default)]
    first: Count<0, 1, 0>,
}

/// `retry_headers` as written.
pub type RawRetryHeaders = List<RawRetryHeader, 0, MAX_HEADERS>;

/// A header in which clients count their attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryHeader {
    /// The name in lower case.
    pub name: Vec<u8>,
    /// The value of a first attempt: 0 or 1.
    pub first: u16,
}

/// The headers in which clients count their attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryHeaders(Vec<RetryHeader>);

impl Default for RetryHeaders {
    fn default() -> Self {
        Self(vec![RetryHeader { name: b"x-stainless-retry-count".to_vec(), first: 0 }])
    }
}

impl RetryHeaders {
    /// Validates `retry_headers`; absent means the header of the SDKs.
    pub fn new(written: Option<RawRetryHeaders>) -> Result<Self, ConfigError> {
        let Some(written) = written else { return Ok(Self::default()) };
        let mut headers: Vec<RetryHeader> = Vec::with_capacity(written.len());
        for (index, raw) in written.into_iter().enumerate() {
            let name = raw.name.in_lower_case();
            if headers.iter().any(|known| known.name == name) {
                let problem = format!("found {:?} a second time, accepted is each once", raw.name);
                return Err(ConfigError::new(format!("retry_headers[{index}].name"), problem));
            }
            headers.push(RetryHeader { name, first: u16::try_from(raw.first.get()).unwrap_or_default() });
        }
        Ok(Self(headers))
    }

    /// Returns an iterator over the headers, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &RetryHeader> {
        self.0.iter()
    }

    /// Returns the attempt number that a request's headers claim, if any; 0 is the first.
    pub fn claimed(&self, headers: &HeaderMap) -> Option<u16> {
        let claims = self.0.iter();
        claims.filter_map(|header| attempt::claimed(headers.all(&header.name), header.first)).max()
    }
}

/// The right to a voucher if a request is refused. It is created while the request's headers are available.
#[derive(Clone, Copy, Debug, Default)]
pub struct Return {
    client: Option<Fingerprint>,
    is_first: bool,
}

impl Return {
    /// Creates the right of this request. It is void if the request states no attempt number, because its return would
    /// state none either.
    pub fn of(exchange: &dyn Exchange, clients: &ClientSources, retry_headers: &RetryHeaders) -> Self {
        let claimed = retry_headers.claimed(exchange.request_headers());
        let client = claimed.map(|_| client(exchange, clients));
        Self { client, is_first: claimed == Some(0) }
    }

    /// Leaves a voucher if this request is a first attempt that is refused with an invitation to retry, before any
    /// later filter has seen it. A retry leaves none: it already has a voucher, or follows a failure. Costs two host
    /// calls if it leaves one.
    pub fn refused(self, exchange: &dyn Exchange, reply: &Reply) {
        if self.is_first {
            self.refused_late(exchange, reply);
        }
    }

    /// Leaves a voucher for any attempt that is refused with an invitation to retry after later filters have seen its
    /// headers: it may have paid there.
    pub fn refused_late(self, exchange: &dyn Exchange, reply: &Reply) {
        if let Some(client) = self.client.filter(|_| reply.invites()) {
            leave(exchange, client);
        }
    }
}

/// Returns the fingerprint under which a client's vouchers are kept.
pub fn client(exchange: &dyn Exchange, clients: &ClientSources) -> Fingerprint {
    exchange.fingerprinter().of(clients.client(exchange).parts())
}

/// Leaves a voucher for `client`. Costs two host calls; if every race is lost, there is none.
pub fn leave(exchange: &dyn Exchange, client: Fingerprint) {
    let now = exchange.now();
    let _ = update(exchange.store(), &key(client), |mut set: VoucherSet| {
        let left = set.leave(client.mark, now);
        (left.then_some(set), ())
    });
}

/// Uses one of `client`'s vouchers. Returns false if there is none or every race is lost. Costs one host call, and a
/// second one for a voucher.
pub fn take(exchange: &dyn Exchange, client: Fingerprint) -> bool {
    let now = exchange.now();
    let taken = update(exchange.store(), &key(client), |mut set: VoucherSet| {
        let taken = set.take(client.mark, now);
        (taken.then_some(set), taken)
    });
    taken.unwrap_or(false)
}

/// Returns true if these are the response code details of a filter's refusal before the cluster had seen the request.
pub fn is_refusal(details: &[u8]) -> bool {
    REFUSALS.iter().any(|refusal| details.starts_with(refusal))
}

/// Returns true if these are the response code details of a local reply of ours that cost the cluster no work.
pub fn cost_no_work(details: &[u8]) -> bool {
    let ours = details.strip_prefix(b"tidegate.".as_slice());
    ours.is_some_and(|ours| !matches!(ours, b"degradation.failure" | b"degradation.timeout"))
}

fn key(client: Fingerprint) -> SlotKey {
    let table = Table::of_sets(PREFIX, SET_BYTES, MEMORY);
    table.map_or_else(|| SlotKey::numbered(&PREFIX, 0), |table| table.set(client.place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use tidegate_host::fake::{FakeExchange, FakeProxy};
    use tidegate_host::reply::ErrorObject;

    fn reply(wait: u64) -> Reply {
        let error = ErrorObject { message: "m", kind: "k", param: None, code: "c" };
        Reply::error(429, error, String::new()).retry_after(Duration::from_secs(wait))
    }

    fn clients() -> ClientSources {
        ClientSources::new(None, None).expect("the default")
    }

    fn asks<'a>(proxy: &'a FakeProxy, key: &str, attempt: &str) -> FakeExchange<'a> {
        proxy.exchange(&[("x-api-key", key), ("x-stainless-retry-count", attempt)])
    }

    fn refuse(proxy: &FakeProxy, key: &str, attempt: &str, reply: &Reply) {
        let exchange = asks(proxy, key, attempt);
        Return::of(&exchange, &clients(), &RetryHeaders::default()).refused(&exchange, reply);
    }

    fn returns(proxy: &FakeProxy, key: &str) -> bool {
        let exchange = asks(proxy, key, "1");
        take(&exchange, client(&exchange, &clients()))
    }

    #[test]
    fn each_refused_first_attempt_pays_for_one_return() {
        let proxy = FakeProxy::default();
        (0..2).for_each(|_| refuse(&proxy, "a", "0", &reply(60)));
        assert_eq!(["b", "a", "a", "a"].map(|key| returns(&proxy, key)), [false, true, true, false]);
    }

    #[test]
    fn other_refusals_pay_for_no_return_and_cost_no_host_call() {
        let proxy = FakeProxy::default();
        refuse(&proxy, "a", "0", &reply(61));
        refuse(&proxy, "a", "0", &reply(1).never_retry());
        refuse(&proxy, "a", "1", &reply(1));
        refuse(&proxy, "a", "", &reply(1));
        assert_eq!((proxy.store.loads(), proxy.store.swaps()), (0, 0));
        assert!(!returns(&proxy, "a"));
    }

    #[test]
    fn a_retry_refused_after_other_filters_saw_it_pays_for_its_return() {
        let proxy = FakeProxy::default();
        let exchange = asks(&proxy, "a", "2");
        Return::of(&exchange, &clients(), &RetryHeaders::default()).refused_late(&exchange, &reply(1));
        assert!(returns(&proxy, "a") && !returns(&proxy, "a"));
    }

    #[test]
    fn made_up_names_take_a_bounded_amount_of_memory() {
        let proxy = FakeProxy::default();
        (0..20_000).for_each(|n| refuse(&proxy, &n.to_string(), "0", &reply(1)));
        let sets = Table::of_sets(PREFIX, SET_BYTES, MEMORY).expect("a table").sets();
        assert!(proxy.store.entries() <= usize::try_from(sets).expect("small"));
    }

    #[test]
    fn a_local_reply_costs_no_work_unless_it_replaces_a_response_of_the_cluster() {
        for details in
            ["tidegate.input_limit.json", "tidegate.degradation.breaker", "tidegate.slow_client.timeout"]
        {
            assert!(cost_no_work(details.as_bytes()));
        }
        for details in
            ["", "via_upstream", "tidegate", "tidegate.degradation.failure", "tidegate.degradation.timeout"]
        {
            assert!(!cost_no_work(details.as_bytes()));
        }
    }

    #[test]
    fn only_replies_before_the_cluster_saw_the_request_are_refusals() {
        for details in ["tidegate.rate_limit.per-client", "tidegate.degradation.breaker"] {
            assert!(is_refusal(details.as_bytes()));
        }
        for details in ["", "via_upstream", "tidegate.degradation.failure", "tidegate.degradation.timeout"] {
            assert!(!is_refusal(details.as_bytes()));
        }
    }
}
