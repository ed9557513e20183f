use super::*;
use serde_json::{Value, json};
use tidegate_host::fake::{FakeLink, FakeProxy};
use tidegate_host::store::ATTEMPTS;
use tidegate_policy::identity::Prefixes;
use tidegate_policy::timestamp::SECOND;

fn guard(document: &Value) -> ConnectionGuard {
    ConnectionGuard::configure(document.to_string().as_bytes()).expect("it is right")
}

fn proxy(guard: &ConnectionGuard) -> FakeProxy {
    let mut proxy = FakeProxy::running(guard);
    proxy.peer = Some("192.0.2.7".parse().expect("an address"));
    proxy
}

fn open<'a>(guard: &ConnectionGuard, proxy: &'a FakeProxy) -> (Guarded, FakeLink<'a>, Fate) {
    let (mut connection, link) = (guard.connection(), proxy.link());
    let fate = connection.on_open(&link);
    (connection, link, fate)
}

fn receive(connection: &mut Guarded, link: &FakeLink<'_>, bytes: &[u8]) -> Fate {
    *link.buffer.borrow_mut() = bytes.to_vec();
    connection.on_data(link, bytes.len())
}

fn counter(proxy: &FakeProxy, what: &str) -> u32 {
    proxy.counter(&format!("tidegate.connection_guard.{what}"))
}

#[test]
fn a_connection_that_says_nothing_is_closed_by_the_timeout() {
    let guard = guard(&json!({}));
    let proxy = proxy(&guard);
    let (mut connection, link, fate) = open(&guard, &proxy);
    assert_eq!((fate, proxy.alarm.get()), (Fate::Keep, Some(Timestamp::from_nanos(10 * SECOND))));
    proxy.advance(10 * SECOND);
    assert_eq!(connection.on_alarm(&link), Fate::Close);
    assert_eq!(counter(&proxy, "rejected.header_timeout"), 1);
}

#[test]
fn a_head_that_trickles_is_closed_by_the_rate_on_a_later_request_too() {
    let guard = guard(&json!({}));
    let proxy = proxy(&guard);
    let (mut connection, link, _) = open(&guard, &proxy);
    assert_eq!(receive(&mut connection, &link, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Fate::Keep);
    proxy.advance(3_600 * SECOND);
    assert_eq!(connection.on_alarm(&link), Fate::Keep);
    assert_eq!(receive(&mut connection, &link, b"GET / HTTP/1.1\r\n"), Fate::Keep);
    proxy.advance(3 * SECOND);
    assert_eq!(connection.on_alarm(&link), Fate::Close);
    assert_eq!(counter(&proxy, "rejected.header_rate"), 1);
}

#[test]
fn an_idle_connection_only_renews_its_lease() {
    let guard = guard(&json!({ "max_connections_per_address": 1 }));
    let proxy = proxy(&guard);
    let (mut connection, link, _) = open(&guard, &proxy);
    assert_eq!(receive(&mut connection, &link, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Fate::Keep);
    for _ in 0..100 {
        let at = proxy.alarm.get().expect("a renewal");
        assert!(at.as_nanos() > proxy.now.get());
        proxy.now.set(at.as_nanos());
        assert_eq!(connection.on_alarm(&link), Fate::Keep);
        let (kept, written) = (proxy.alarm.get(), proxy.store.swaps());
        assert_eq!(open(&guard, &proxy).2, Fate::Close);
        assert_eq!(proxy.store.swaps(), written, "a refusal writes nothing");
        proxy.alarm.set(kept);
    }
    assert_eq!(counter(&proxy, "rejected.too_many_connections"), 100);
    assert!(proxy.now.get() > 2_000 * SECOND);
}

#[test]
fn a_connection_that_is_gone_makes_room_for_another() {
    let guard = guard(&json!({ "max_connections_per_address": 1 }));
    let proxy = proxy(&guard);
    let (mut first, link, _) = open(&guard, &proxy);
    assert_eq!(open(&guard, &proxy).2, Fate::Close);
    first.on_close(&link);
    assert_eq!(open(&guard, &proxy).2, Fate::Keep);
    assert_eq!((proxy.store.entries(), counter(&proxy, "admitted")), (1, 2));
}

#[test]
fn a_connection_that_was_lost_with_its_worker_is_not_counted_for_ever() {
    let guard = guard(&json!({ "max_connections_per_address": 1 }));
    let proxy = proxy(&guard);
    let _lost = open(&guard, &proxy);
    assert_eq!(open(&guard, &proxy).2, Fate::Close);
    proxy.advance(60 * SECOND);
    assert_eq!(open(&guard, &proxy).2, Fate::Keep);
}

#[test]
fn a_lost_race_is_retried_and_losing_all_follows_the_failure_mode() {
    for (mode, fate) in [("deny", Fate::Close), ("allow", Fate::Keep)] {
        let guard = guard(&json!({ "failure_mode": mode, "memory": "33536B" }));
        let proxy = proxy(&guard);
        let print = proxy_print(&proxy);
        let key = guard.config.table.set(print.place);
        proxy.store.lose_swap_of(&key, ATTEMPTS, b"");
        assert_eq!(open(&guard, &proxy).2, fate);
        assert_eq!(counter(&proxy, "contended"), 1);
        proxy.store.lose_swap_of(&key, 3, b"");
        assert_eq!(open(&guard, &proxy).2, Fate::Keep);
    }
}

fn proxy_print(proxy: &FakeProxy) -> tidegate_policy::fingerprint::Fingerprint {
    use tidegate_host::plugin::Proxy;
    let network = Prefixes::default().network(proxy.peer.expect("set"));
    proxy.fingerprinter().of([network.as_slice()])
}

#[test]
fn exempt_networks_and_sockets_without_an_address_are_not_counted() {
    let guard = guard(&json!({ "max_connections_per_address": 1, "exempt": ["192.0.2.0/24"] }));
    let mut proxy = proxy(&guard);
    (0..3).for_each(|_| assert_eq!(open(&guard, &proxy).2, Fate::Keep));
    proxy.peer = None;
    (0..3).for_each(|_| assert_eq!(open(&guard, &proxy).2, Fate::Keep));
    assert_eq!(proxy.store.loads(), 0);
}

#[test]
fn shadow_mode_counts_and_closes_nothing() {
    let guard = guard(&json!({ "max_connections_per_address": 1, "shadow": true }));
    let proxy = proxy(&guard);
    let _first = open(&guard, &proxy);
    let (mut connection, link, fate) = open(&guard, &proxy);
    assert_eq!((fate, counter(&proxy, "shadowed")), (Fate::Keep, 1));
    proxy.advance(10 * SECOND);
    assert_eq!(connection.on_alarm(&link), Fate::Keep);
    assert_eq!((counter(&proxy, "shadowed"), proxy.alarm.get()), (2, None));
}

#[test]
fn a_request_costs_no_access_to_the_store() {
    let guard = guard(&json!({}));
    let proxy = proxy(&guard);
    let (mut connection, link, _) = open(&guard, &proxy);
    let before = (proxy.store.loads(), proxy.store.swaps());
    assert_eq!(before, (1, 1));
    (0..9).for_each(|_| {
        receive(&mut connection, &link, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    });
    assert_eq!((proxy.store.loads(), proxy.store.swaps()), before);
}
