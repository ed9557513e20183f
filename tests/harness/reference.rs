//! The reference configurations in `envoy/`, run as they are but for where their files, their servers and their
//! clients are, and for what a test changes in them to wait less.

use crate::bootstrap::{checkout, tries_composite};
use crate::envoy::Envoy;
use crate::upstream::Upstream;
use std::fs;

/// One module for each filter, and one for all.
pub const FILES: [&str; 2] = ["envoy.yaml", "envoy-composite.yaml"];

/// Their limits, so high that no test meets them.
pub const UNLIMITED: [(&str, &str); 3] = [
    (r#""rate": "20/s", "burst": 100"#, r#""rate": "9000/s", "burst": 9000"#),
    (r#""rate": "100/s", "burst": 300"#, r#""rate": "9000/s", "burst": 9000"#),
    (r#""rate": "500/s", "burst": 500"#, r#""rate": "9000/s", "burst": 9000"#),
];

/// The servers that they name: two of one region and one of another.
const SERVERS: [&str; 3] = ["model-server", "model-server-2", "model-server.far"];

/// Starts one of them in front of `upstream`, with each text of `changes` replaced by what stands beside it; all of
/// them must occur. Where the composite is tried, the one that has all filters in one module.
pub fn start(upstream: &Upstream, changes: &[(&str, &str)]) -> Envoy {
    let file = FILES[usize::from(tries_composite())];
    start_file(file, [upstream; 3], changes)
}

/// The same with this file and these servers.
pub fn start_file(file: &str, servers: [&Upstream; 3], changes: &[(&str, &str)]) -> Envoy {
    let modules = format!("{}/dist/", checkout().display());
    let named = SERVERS.map(|name| format!("address: {name}, port_value: 8000"));
    let there = servers.map(|server| format!("address: 127.0.0.1, port_value: {}", server.port()));
    let places = [("/etc/envoy/", modules.as_str()), ("port_value: 9901", "port_value: 0")];
    let servers = named.iter().zip(&there).map(|(name, place)| (name.as_str(), place.as_str()));
    let text = changes.iter().copied().chain(places).chain(servers).fold(read(file), |text, (from, to)| {
        assert!(text.contains(from), "envoy/{file} has no {from:?}");
        text.replace(from, to)
    });
    Envoy::from_bootstrap(|port| {
        text.replace("0.0.0.0, port_value: 8080", &format!("127.0.0.1, port_value: {port}"))
    })
}

/// The block of commented lines that begins with `first`, as it is and as it is meant.
pub fn block(file: &str, first: &str) -> [String; 2] {
    let text = read(file);
    let lines = text.split_inclusive('\n').skip_while(|line| line.trim_start() != format!("# {first}\n"));
    let commented: String = lines.take_while(|line| line.trim_start().starts_with('#')).collect();
    assert!(!commented.is_empty(), "envoy/{file} has no block # {first}");
    let meant = commented.split_inclusive('\n').map(|line| line.replacen("# ", "", 1)).collect();
    [commented, meant]
}

fn read(file: &str) -> String {
    fs::read_to_string(checkout().join("envoy").join(file))
        .unwrap_or_else(|error| panic!("envoy/{file}: {error}"))
}
