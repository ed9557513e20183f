//! Envoy's configuration for a test: one listener whose filter chain is the one to prove, in front of an
//! upstream or of an answer that Envoy gives itself.

use serde_json::{Value, json};
use std::env;
use std::path::{Path, PathBuf};

/// Whether the filters are tried in the composite module, each as the only one in it, rather than each in its own: so says
/// the variable `COMPOSITE` of the environment, and nothing else asks for that.
pub fn tries_composite() -> bool {
    env::var_os("COMPOSITE").is_some()
}

/// Whether `root_id` is one of the filters that the composite module holds, and is tried there.
fn is_in_composite(root_id: &str) -> bool {
    tries_composite() && tidegate_chain::http_filters().any(|filter| filter.root_id == root_id)
}

/// What listens, and what it does with a request.
#[derive(Clone)]
pub struct Listener {
    guards: Vec<Value>,
    filters: Vec<Value>,
    upstream: Option<u16>,
    trusts_clients: bool,
    upgrades: bool,
    upstream_speaks_http2: bool,
    holds: u32,
    clusters: Vec<Value>,
}

/// The port of [`Listener::to`] at which nobody is: a cluster without endpoints.
pub const NOBODY: u16 = 0;

/// The checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

/// The root ids of all modules: one for each filter of the list, and the composite.
pub fn root_ids() -> impl Iterator<Item = &'static str> {
    tidegate_chain::FILTERS.into_iter().map(|filter| filter.root_id).chain(["tidegate"])
}

/// A module as an HTTP filter: `product` is its path below `dist/`. Where the composite is tried, the same filter in that.
pub fn module(product: &str, root_id: &str, configuration: &str) -> Value {
    if is_in_composite(root_id) {
        let document = format!("{{\"{}\": {configuration}}}", root_id.replace('-', "_"));
        return wasm("http", "tidegate.wasm", "tidegate", &document);
    }
    wasm("http", product, root_id, configuration)
}

/// These filters as one chain in their order and one in the opposite order. Where the composite is tried, all in that, which
/// has an order of its own.
pub fn chains(filters: &[(&str, Value)]) -> Vec<Vec<Value>> {
    if tries_composite() {
        let documents = filters.iter().map(|(name, document)| (name.replace('-', "_"), document.clone()));
        let document = Value::Object(documents.collect());
        return vec![vec![wasm("http", "tidegate.wasm", "tidegate", &document.to_string())]];
    }
    let chain =
        filters.iter().map(|(name, document)| module(&format!("{name}.wasm"), name, &document.to_string()));
    let chain: Vec<Value> = chain.collect();
    vec![chain.clone(), chain.into_iter().rev().collect()]
}

/// How Envoy's log begins to say that `root_id` has refused a configuration, for this reason.
pub fn refusal(root_id: &str, reason: &str) -> String {
    if is_in_composite(root_id) {
        return format!("tidegate configuration refused: {}.{reason}", root_id.replace('-', "_"));
    }
    format!("{root_id} configuration refused: {reason}")
}

/// The `connection-guard` module, a network filter.
pub fn connection_guard(configuration: &Value) -> Value {
    wasm("network", "connection-guard.wasm", "connection-guard", &configuration.to_string())
}

fn wasm(kind: &str, product: &str, root_id: &str, configuration: &str) -> Value {
    let file = checkout().join("dist").join(product);
    assert!(file.exists(), "{} is missing: run `make build` first", file.display());
    json!({
        "name": root_id,
        "typed_config": {
            "@type": format!("type.googleapis.com/envoy.extensions.filters.{kind}.wasm.v3.Wasm"),
            "config": {
                "name": root_id,
                "root_id": root_id,
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": "tidegate",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": file } },
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration,
                },
            },
        },
    })
}

/// The `rate-limit` module.
pub fn rate_limit(configuration: &Value) -> Value {
    module("rate-limit.wasm", "rate-limit", &configuration.to_string())
}

impl Listener {
    /// With these HTTP filters; answers 200 by itself.
    pub fn new(filters: impl IntoIterator<Item = Value>) -> Self {
        Self {
            guards: Vec::new(),
            filters: filters.into_iter().collect(),
            upstream: None,
            trusts_clients: false,
            upgrades: false,
            upstream_speaks_http2: false,
            holds: 1 << 20,
            clusters: Vec::new(),
        }
    }

    /// Behind this network filter.
    pub fn behind(mut self, guard: Value) -> Self {
        self.guards.push(guard);
        self
    }

    /// Sends what passes to this port.
    pub fn to(self, upstream: u16) -> Self {
        Self { upstream: Some(upstream), ..self }
    }

    /// Lets WebSockets through, over HTTP/2 too.
    pub fn upgrading(self) -> Self {
        Self { upgrades: true, ..self }
    }

    /// Speaks HTTP/2 with the upstream.
    pub fn by_http2(self) -> Self {
        Self { upstream_speaks_http2: true, ..self }
    }

    /// Beside a cluster of this name at this port, which speaks HTTP/2 or HTTP/1.1. No request is routed to it.
    pub fn beside(mut self, cluster: &str, port: u16, speaks_http2: bool) -> Self {
        self.clusters.push(upstream(cluster, port, speaks_http2));
        self
    }

    /// Believes the `x-envoy-*` headers that clients send.
    pub fn trusting_clients(self) -> Self {
        Self { trusts_clients: true, ..self }
    }

    /// Holds so many bytes of a body.
    pub fn holding(self, holds: u32) -> Self {
        Self { holds, ..self }
    }

    /// The listener as Envoy reads it, on this port.
    pub fn resource(&self, port: u16) -> Value {
        let action = match self.upstream {
            None => json!({ "direct_response": { "status": 200, "body": { "inline_string": "ok" } } }),
            Some(_) => json!({ "route": { "cluster": "upstream", "timeout": "30s" } }),
        };
        let mut route = json!({ "match": { "prefix": "/" } });
        let members = route.as_object_mut().expect("an object");
        members.extend(action.as_object().expect("an object").clone());
        let trusted = if self.trusts_clients { "127.0.0.1" } else { "192.0.2.1" };
        let upgrades = json!([{ "upgrade_type": "websocket" }]);
        let upgrades = if self.upgrades { upgrades } else { json!([]) };
        let mut filters = self.filters.clone();
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }));
        let mut network_filters = self.guards.clone();
        network_filters.push(json!({
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "front",
                    "codec_type": "AUTO",
                    "use_remote_address": true,
                    "internal_address_config": { "cidr_ranges": [
                        { "address_prefix": trusted, "prefix_len": 32 } ] },
                    "max_request_headers_kb": 96,
                    "common_http_protocol_options": { "max_headers_count": 1000 },
                    "stream_idle_timeout": "60s",
                    "upgrade_configs": upgrades,
                    "http2_protocol_options": { "allow_connect": self.upgrades },
                    "access_log": [{
                        "name": "envoy.access_loggers.file",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                            "path": "access.log",
                            "log_format": { "text_format_source": {
                                "inline_string": "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n" } },
                        },
                    }],
                    "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }] },
                    "http_filters": filters,
                },
        }));
        json!({
            "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": "front",
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
            "per_connection_buffer_limit_bytes": self.holds,
            "filter_chains": [{ "filters": network_filters }],
        })
    }

    /// The whole configuration, whose listener is read from `listeners` and again whenever that file is
    /// replaced.
    pub(crate) fn bootstrap(&self, listeners: &Path) -> Value {
        let upstream = upstream("upstream", self.upstream.unwrap_or(NOBODY), self.upstream_speaks_http2);
        let clusters: Vec<Value> = self.clusters.iter().cloned().chain([upstream]).collect();
        json!({
            "node": { "id": "test", "cluster": "test" },
            "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } } },
            "dynamic_resources": { "lds_config": { "path_config_source": { "path": listeners } } },
            "static_resources": { "clusters": clusters },
        })
    }
}

fn upstream(name: &str, port: u16, speaks_http2: bool) -> Value {
    let endpoint = |port: u16| json!({ "endpoint": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } } } });
    let endpoints: Vec<Value> = Some(port).filter(|port| *port != NOBODY).map(endpoint).into_iter().collect();
    let version = if speaks_http2 { "http2_protocol_options" } else { "http_protocol_options" };
    json!({
        "name": name,
        "connect_timeout": "1s",
        "circuit_breakers": { "thresholds": [{ "max_retries": 1024 }] },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { version: {} },
            },
        },
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] },
    })
}
