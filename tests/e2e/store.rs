//! Envoy's shared data keeps the contract that the fake store keeps.

use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::get;

#[test]
fn envoys_shared_data_keeps_the_store_contract() {
    let envoy =
        Envoy::with(Listener::new([module("tests/store-contract.wasm", "store-contract", "{}")])).start();
    for _ in 0..20 {
        let answer = envoy.connect().exchange(&get("/", &[])).expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }
}
