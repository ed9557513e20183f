//! The facts about a request that matter to degradation: its API, its client, and the question it asks. Facts from
//! the headers are read while those are available, facts from the body once it is known.

use crate::config::{Config, HeaderMatch, Reduce};
use tidegate_host::exchange::{Exchange, Fact};
use tidegate_host::scan::Scan;
use tidegate_limits::client::Client;
use tidegate_policy::answer_cache::Question;
use tidegate_policy::answer_cache::control::RequestControl;
use tidegate_policy::answer_cache::index::Asker;
use tidegate_policy::answer_cache::vary::Variants;
use tidegate_policy::api::Api;
use tidegate_policy::fingerprint::Fingerprint;
use tidegate_policy::identity::Prefixes;
use tidegate_policy::path::is_beneath;

/// Headers that carry an API key.
const KEYS: [&[u8]; 3] = [b"authorization", b"x-api-key", b"api-key"];

/// The facts about one request.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// API of the request.
    pub api: Api,
    /// True if the whole body is known.
    pub is_read: bool,
    /// True if a streaming response was requested.
    pub stream: bool,
    /// Maximum number of completion tokens, if the request sets one.
    pub completion_tokens: Option<u64>,
    /// Requested model, as far as it is known.
    pub model: Option<String>,
    /// True if the request's path is refused while requests are reduced.
    pub refused_path: bool,
    /// True if the request is never degraded.
    pub opted_out: bool,
    /// Canonical path, if it is needed later.
    pub path: Vec<u8>,
    /// Fingerprint of the question, if the response may be cached.
    pub question: Option<Question>,
    /// The request's cache directives.
    pub control: RequestControl,
    pub(crate) head: Option<Head>,
}

/// The part of the question that comes from the headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    asked: Fingerprint,
    client: Option<Fingerprint>,
    variants: Variants,
    asker: u32,
    network: Option<[u8; 16]>,
    prefixes: Prefixes,
    /// True if the request carries an API key.
    pub(crate) is_authorized: bool,
}

impl Asked {
    /// Reads the request headers.
    pub fn of_head(exchange: &dyn Exchange, config: &Config) -> Self {
        let headers = exchange.request_headers();
        let path = headers.path();
        let refused = |reduce: &Reduce| reduce.refuse_paths.iter().any(|prefix| is_beneath(&path, prefix));
        let out = |(name, wanted): &HeaderMatch| {
            headers.all(name).any(|found| wanted.as_ref().is_none_or(|wanted| wanted == found))
        };
        let api = Api::of(&path);
        let control = RequestControl::read(headers.all(b"cache-control"), headers.all(b"pragma"));
        Self {
            api,
            refused_path: config.reduce.as_ref().is_some_and(refused),
            opted_out: config.opt_out.iter().any(out),
            head: (api.may_be_kept() && !control.no_store).then(|| head(exchange, config)).flatten(),
            control,
            path: if config.timeouts.differ() { path.into_owned() } else { Vec::new() },
            ..Self::default()
        }
    }

    /// Adds the facts from the body.
    pub fn read_body(&mut self, exchange: &dyn Exchange, scan: &Scan) {
        let facts = scan.facts();
        self.is_read = scan.is_complete();
        self.stream = facts.stream();
        self.completion_tokens = facts.completion_tokens();
        self.model = facts.model().map(|model| model.name.clone());
        let plain = scan.is_complete() && facts.is_object && facts.duplicate.is_none() && !facts.repeated_key;
        let head = self.head.filter(|_| plain && facts.stands_alone());
        self.question = head.zip(scan.fingerprint()).map(|(head, body)| {
            let cluster = exchange.fact(Fact::Cluster).map(|name| name.0).unwrap_or_default();
            let prints = [head.asked.place, head.asked.mark, body.place, body.mark].map(u64::to_le_bytes);
            let parts = prints.iter().map(<[u8; 8]>::as_slice).chain([cluster.as_slice()]);
            let asked = exchange.fingerprinter().of(parts);
            Question { asked, client: head.client, variants: head.variants }
        });
    }

    /// Returns true if responses of this API may be cached.
    pub fn may_be_kept(&self, config: &Config) -> bool {
        config.cached.is_some() && self.api.may_be_kept()
    }

    /// Returns the client and network whose shares of the cache the request counts against. One host call, unless
    /// addresses are taken from a header.
    pub fn asker(&self, exchange: &dyn Exchange) -> Asker {
        let head = self.head.as_ref();
        let network = head.and_then(|head| head.network);
        let prefixes = head.map_or_else(Prefixes::default, |head| head.prefixes);
        let peer = || exchange.peer().map(|address| prefixes.network(address));
        let network = network.or_else(peer).unwrap_or_default();
        let network = exchange.fingerprinter().of([network.as_slice()]);
        Asker { client: head.map_or(0, |head| head.asker), network: short(network) }
    }
}

/// Returns the part of the question that comes from the headers; `None` if the response must not be cached. A client
/// is identified by its API key or, if no keys are configured, by its network. A client with no API key, or an
/// ambiguous one, cannot be identified, and a client's name can be claimed by anyone, so their responses are not
/// cached. Nor are responses to a request in which a header that separates users of one key is absent, empty or
/// repeated.
fn head(exchange: &dyn Exchange, config: &Config) -> Option<Head> {
    let cached = config.cached.as_ref()?;
    let headers = exchange.request_headers();
    if headers.method() != b"POST" {
        return None;
    }
    let prints = exchange.fingerprinter();
    let client = config.clients.client(exchange);
    let [kind, name] = client.parts();
    let mut known = prints.start();
    [b"degradation", kind, name].into_iter().for_each(|part| known.add(part));
    for name in cached.scope.headers() {
        known.add(headers.only(name).filter(|value| !value.trim_ascii().is_empty())?);
    }
    let known = known.finish();
    let client = match client {
        _ if cached.scope.is_shared() => None,
        Client::Network(_) if config.clients.have_keys() => return None,
        Client::Name(_) | Client::Unknown => return None,
        Client::Key(_) | Client::Network(_) => Some(known),
    };
    let mut asked = prints.start();
    for name in &cached.asked {
        asked.add(name);
        headers.all(name).for_each(|value| asked.add(value));
        asked.add(&headers.all(name).count().to_le_bytes());
    }
    let network = || config.clients.network(exchange);
    Some(Head {
        asked: asked.finish(),
        client,
        variants: Variants::read(&prints, |name| headers.all(name)),
        asker: short(known),
        network: config.clients.trusts_hops().then(network).flatten(),
        prefixes: config.clients.prefixes(),
        is_authorized: KEYS.iter().any(|name| headers.all(name).next().is_some()),
    })
}

fn short(print: Fingerprint) -> u32 {
    let [a, b, c, d, ..] = print.mark.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_host::fake::FakeProxy;

    fn asker(document: &str, headers: &[(&str, &str)], peer: &str) -> Asker {
        let config = Config::read(document.as_bytes()).unwrap();
        let mut proxy = FakeProxy::default();
        proxy.peer = Some(peer.parse().unwrap());
        let usual = [(":method", "POST"), (":path", "/v1/chat/completions"), ("authorization", "Bearer a")];
        let exchange = proxy.exchange(&[&usual, headers].concat());
        Asked::of_head(&exchange, &config).asker(&exchange)
    }

    #[test]
    fn an_asker_is_a_client_and_its_trusted_network() {
        let direct = r#"{"tiers":{"cached":{}}}"#;
        let behind = r#"{"address":{"trusted_hops":1},"tiers":{"cached":{}}}"#;
        let from = |text| [("x-forwarded-for", text)];
        let one = asker(direct, &[], "10.0.0.1");
        assert_eq!(one, asker(direct, &from("1.1.1.1"), "10.0.0.1"));
        assert_eq!(one.client, asker(direct, &[], "10.0.0.2").client);
        assert_ne!(one.network, asker(direct, &[], "10.0.0.2").network);
        let other = asker(behind, &from("1.1.1.1"), "10.0.0.1");
        assert_eq!(other, asker(behind, &from("1.1.1.1"), "10.0.0.2"));
        assert_ne!(other.network, asker(behind, &from("1.1.1.2"), "10.0.0.1").network);
    }

    #[test]
    fn clients_that_share_their_answers_have_shares_of_their_own() {
        let shared = r#"{"client":["x-user"],"tiers":{"cached":{"scope":"shared"}}}"#;
        let of = |user| asker(shared, &[("x-user", user)], "10.0.0.1");
        assert_ne!(of("1").client, of("2").client);
        assert_eq!(of("1").network, of("2").network);
    }
}
