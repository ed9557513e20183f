//! The reference configuration of `envoy/envoy.yaml`, run as it is but for where its files, its server and its
//! clients are, and for what a test changes in it to wait less.

use crate::bootstrap::checkout;
use crate::envoy::Envoy;
use crate::upstream::Upstream;
use std::fs;

/// Starts it in front of `upstream`, with each text of `changes` replaced by what stands beside it; all of them
/// must occur.
pub fn start(upstream: &Upstream, changes: &[(&str, &str)]) -> Envoy {
    let modules = format!("{}/dist/", checkout().display());
    let server = format!("address: 127.0.0.1, port_value: {}", upstream.port());
    let places = [
        ("/etc/envoy/", modules.as_str()),
        ("address: model-server, port_value: 8000", &server),
        ("port_value: 9901", "port_value: 0"),
    ];
    let written = fs::read_to_string(checkout().join("envoy/envoy.yaml")).expect("envoy/envoy.yaml");
    let text = changes.iter().chain(&places).fold(written, |text, (from, to)| {
        assert!(text.contains(from), "envoy/envoy.yaml has no {from:?}");
        text.replace(from, to)
    });
    Envoy::from_bootstrap(|port| {
        text.replace("0.0.0.0, port_value: 8080", &format!("127.0.0.1, port_value: {port}"))
    })
}
