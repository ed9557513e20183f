//! Who counts as one client, whatever it writes into headers that its API does not read.

use serde_json::{Value, json};
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, post};
use tidegate_tests::upstream::Upstream;

const BURST: usize = 3;
const ASKED: usize = 12;

fn envoy(upstream: &Upstream, more: &Value) -> Envoy {
    let requests = json!({ "rate": "1/h", "burst": BURST });
    let mut document = json!({ "limits": [{ "name": "client", "per": ["client"], "requests": requests }] });
    if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
        document.extend(more.clone());
    }
    let filter = module("rate-limit.wasm", "rate-limit", &document.to_string());
    Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start()
}

/// How many of [`ASKED`] requests are admitted, each on a connection of its own.
fn admitted(envoy: &Envoy, request: impl Fn(usize) -> Vec<u8>) -> usize {
    let status = |n| envoy.connect().exchange(&request(n)).expect("an answer").status;
    (0..ASKED).filter(|n| status(*n) == 200).count()
}

#[test]
fn a_client_that_rotates_the_header_that_its_api_does_not_read_is_one_client() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream, &json!({}));
    let sends = |path: &'static str, authorization: String, key: String| {
        post(path, &[("authorization", &authorization), ("x-api-key", &key)], b"{}")
    };
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        let rotating = |n| sends(path, format!("Bearer junk-{n}"), format!("constant{path}"));
        let shown = admitted(&envoy, rotating);
        assert_eq!(shown, BURST, "{path}");
    }
    for path in ["/v1/chat/completions", "/v1/embeddings"] {
        let rotating = |n| sends(path, format!("Bearer constant{path}"), format!("junk-{n}"));
        assert_eq!(admitted(&envoy, rotating), BURST, "{path}");
    }
    let alone = |n: usize| post("/v1/chat/completions", &[("x-api-key", ["a", "b"][n % 2])], b"{}");
    assert_eq!(admitted(&envoy, alone), 2 * BURST, "a key that is the only one counts anywhere");
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_key_that_can_be_read_in_two_ways_is_no_key_and_a_signed_client_is_known_by_its_name() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream, &json!({}));
    let junk = |n| get("/v1/models", &[("x-api-key", &format!("valid, junk{n}"))]);
    assert_eq!(admitted(&envoy, junk), BURST, "the address counts");
    let signed = |key: &str, n: usize| {
        let scope = "20261128/eu-1/bedrock/aws4_request";
        let value = format!("AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host, Signature=9f{n}");
        get("/v1/models", &[("authorization", &value)])
    };
    assert_eq!(admitted(&envoy, |n| signed("AKIA1", n)), BURST);
    assert_eq!(admitted(&envoy, |n| signed("AKIA2", n)), BURST);
    let digest = |user: &str, n: usize| {
        let value = format!("Digest realm=\"a, b\", username=\"{user}\", nc={n:08}, response=\"{n}\"");
        get("/v1/models", &[("authorization", &value)])
    };
    assert_eq!(admitted(&envoy, |n| digest("u1", n)), BURST);
    assert_eq!(admitted(&envoy, |n| digest("u2", n)), BURST);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_written_list_of_headers_counts_as_it_is_written() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream, &json!({ "client": ["authorization", "x-api-key", "address"] }));
    let both =
        |n| post("/v1/messages", &[("authorization", "Bearer a"), ("x-api-key", &format!("{n}"))], b"{}");
    assert_eq!(admitted(&envoy, both), BURST);
}

#[test]
fn an_ipv4_address_in_ipv6_is_itself_and_prefixes_are_the_operators() {
    let upstream = Upstream::start();
    let hops = |more: Value| {
        let mut address = json!({ "trusted_hops": 2 });
        address.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        envoy(&upstream, &json!({ "client": ["address"], "address": address }))
    };
    let from = |address: &str| get("/v1/models", &[("x-forwarded-for", address)]);
    let usual = hops(json!({}));
    let spelt =
        ["1.2.3.4", "::ffff:1.2.3.4", "64:ff9b::1.2.3.4", "2002:102:304:7::1", "[2002:102:304::9]:80"];
    assert_eq!(admitted(&usual, |n| from(spelt[n % spelt.len()])), BURST);
    assert_eq!(admitted(&usual, |n| from(&format!("2001:db8:1:{n}::1"))), ASKED, "each /64 by default");
    let wide = hops(json!({ "ipv4_prefix": 24, "ipv6_prefix": 56 }));
    assert_eq!(admitted(&wide, |n| from(&format!("2001:db8:1:{n}::1"))), BURST);
    assert_eq!(admitted(&wide, |n| from(&format!("1.2.3.{n}"))), BURST);
    assert_eq!(admitted(&wide, |n| from(&format!("1.2.{n}.1"))), ASKED - 1, "1.2.3.0/24 was spent");
}
