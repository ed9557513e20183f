//! The size of a request body that Envoy buffers for filters that wait for its end, before it responds with 413
//! itself: the listener's connection buffer and, for HTTP/2, the window of a stream, unless a virtual host or route
//! sets a larger one.

use serde_json::{Map, Value};

/// The smallest buffer that any request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Size, in bytes.
    pub bytes: u64,
    /// Setting that determines the size.
    pub setting: &'static str,
}

const CONNECTION: &str = "per_connection_buffer_limit_bytes";
const WINDOW: &str = "initial_stream_window_size";
const REQUEST: &str = "request_body_buffer_limit";

/// The buffer size of a listener that sets none, in bytes.
const DEFAULT: u64 = 1 << 20;

/// Returns the buffer of a listener, or of the one that an EnvoyFilter of Istio patches; `None` if these members are
/// neither.
pub fn of(members: &Map<String, Value>) -> Option<Buffer> {
    if members.contains_key("filter_chains") {
        let connection = number(members, CONNECTION).unwrap_or(DEFAULT);
        let window =
            least_of(members, &|members| number(members.get("http2_protocol_options")?.as_object()?, WINDOW));
        let request = least_of(members, &|members| Some(of_routes(members.get("virtual_hosts")?)));
        return Some(smallest(connection, window, request.unwrap_or(0)));
    }
    let patches = members.get("configPatches").and_then(Value::as_array)?;
    let said = |key: &str| {
        let values = patches.iter().filter_map(|patch| patch.get("patch")?.get("value")?.as_object());
        values.filter_map(|value| number(value, key)).next()
    };
    Some(smallest(said(CONNECTION).unwrap_or(DEFAULT), None, said(REQUEST).unwrap_or(0)))
}

fn smallest(connection: u64, window: Option<u64>, request: u64) -> Buffer {
    let raised = |bytes: u64, setting: &'static str| match bytes < request {
        true => Buffer { bytes: request, setting: REQUEST },
        false => Buffer { bytes, setting },
    };
    let connection = raised(connection, CONNECTION);
    match window.map(|window| raised(window, WINDOW)) {
        Some(window) if window.bytes < connection.bytes => window,
        _ => connection,
    }
}

/// Returns the smallest buffer that these virtual hosts set for a request that they send to a cluster.
fn of_routes(hosts: &Value) -> u64 {
    let hosts = hosts.as_array().into_iter().flatten().filter_map(Value::as_object);
    let limits = hosts.flat_map(|host| {
        let own = number(host, REQUEST);
        let routes =
            host.get("routes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        routes
            .filter(|route| route.contains_key("route"))
            .map(move |route| number(route, REQUEST).or(own).unwrap_or(0))
    });
    limits.min().unwrap_or(0)
}

fn number(members: &Map<String, Value>, key: &str) -> Option<u64> {
    members.get(key).and_then(Value::as_u64)
}

/// Returns the smallest value that `find` finds in these members or anywhere within.
fn least_of(members: &Map<String, Value>, find: &dyn Fn(&Map<String, Value>) -> Option<u64>) -> Option<u64> {
    let mut rest: Vec<&Value> = members.values().collect();
    let mut least = find(members);
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => {
                least = least.into_iter().chain(find(members)).min();
                rest.extend(members.values());
            }
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    least
}
