//! Whose answers a client gets: its own, whatever tells it apart from others.

use super::*;

#[test]
fn no_client_gets_the_answer_of_another_unless_they_share() {
    let upstream = Upstream::scripted(numbered());
    let envoy = start(keeping(json!({})), &upstream);
    let send = |path: &str, headers: &[(&str, &str)]| {
        envoy.connect().exchange(&post(path, headers, &body("x", false))).expect("an answer")
    };
    let victim = [("authorization", "Bearer sk-1")];
    assert_eq!(text(&send(CHAT, &victim)), "answer 0");
    let others: [&[(&str, &str)]; 7] = [
        &[("authorization", "Bearer sk-2")],
        &[("authorization", "Bearer sk-1"), ("authorization", "Bearer sk-2")],
        &[("authorization", "Bearer sk-2"), ("x-api-key", "sk-1")],
        &[("authorization", "Bearer sk-1, Bearer sk-2")],
        &[("authorization", "Bearer sk-1"), ("anthropic-version", "1")],
        &[("x-forwarded-for", "127.0.0.1")],
        &[],
    ];
    for headers in others {
        assert_eq!(send(CHAT, headers).status, 200);
    }
    upstream.cut();
    for headers in [others[1], others[3], others[5], others[6]] {
        assert_eq!(send(CHAT, headers).status, 503, "{headers:?}: nobody can tell whose that is");
    }
    for (number, headers) in [(0, &victim[..]), (1, others[0]), (3, others[2]), (5, others[4])] {
        assert_eq!(text(&send(CHAT, headers)), format!("answer {number}"), "{headers:?}");
    }
    assert_eq!(send("/v1/completions", &victim).status, 503, "another path is another question");
    assert_eq!(send(CHAT, &[("authorization", "Bearer sk-1"), ("host", "other")]).status, 503);
    envoy.assert_no_vm_restarted();

    let cache = Kept::new(json!({ "scope": "shared" }));
    assert!(cache.gives_again(&post(CHAT, &KEY, &body("x", false)), good_with("cache-control: public\r\n")));
    assert!(cache.gives(&post(CHAT, &[("authorization", "Bearer sk-2")], &body("x", false))));
}

#[test]
fn another_credential_beside_the_same_key_is_another_client() {
    let cache = Kept::new(json!({}));
    let ask = |more: &[(&str, &str)]| post(CHAT, &[&KEY[..], more].concat(), &body("x", false));
    assert!(cache.gives_again(&ask(&[]), good_with("")));
    for more in [("x-api-key", "user-1"), ("api-key", "user-1"), ("cookie", "session=1")] {
        assert!(!cache.gives(&ask(&[more])), "{more:?}");
        assert!(cache.gives_again(&ask(&[more]), good_with("")), "{more:?}");
        assert!(!cache.gives(&ask(&[(more.0, "session=2")])), "{more:?}");
    }
    assert!(cache.gives(&ask(&[])));
}

#[test]
fn users_behind_one_key_are_told_apart_by_the_headers_that_the_scope_names() {
    let cache = Kept::new(json!({ "scope": { "headers": ["X-User-Id", "x-tenant"] } }));
    let ask = |more: &[(&str, &str)]| post(CHAT, &[&KEY[..], more].concat(), &body("x", false));
    let mine = [("x-user-id", "1"), ("x-tenant", "a")];
    assert!(cache.gives_again(&ask(&mine), good_with("vary: x-user-id\r\n")));
    for other in [
        &[("x-user-id", "2"), mine[1]][..],
        &[mine[0], ("x-tenant", "b")],
        &[("x-user-id", "a"), ("x-tenant", "1")],
    ] {
        assert!(!cache.gives(&ask(other)), "{other:?}");
        assert!(cache.gives_again(&ask(other), good_with("")), "{other:?}");
    }
    for nobody in
        [&[][..], &mine[..1], &[mine[0], ("x-tenant", " ")], &[mine[0], mine[1], ("x-user-id", "1")]]
    {
        assert!(!cache.gives_again(&ask(nobody), good_with("")), "{nobody:?}");
    }
    assert!(cache.gives(&ask(&mine)));
    assert!(!cache.gives(&post(
        CHAT,
        &[("authorization", "Bearer sk-2"), mine[0], mine[1]],
        &body("x", false)
    )));
}

/// An Envoy with two clusters, `upstream` and `b`, and this route before the one to the first.
fn routed(configuration: Value, upstreams: &[Upstream; 2], route: Value) -> Envoy {
    let filter = filter(configuration);
    let cluster = |name: &str, upstream: &Upstream| {
        let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": upstream.port() } });
        json!({ "name": name, "connect_timeout": "1s", "load_assignment": { "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }] } })
    };
    let clusters = [cluster("upstream", &upstreams[0]), cluster("b", &upstreams[1])];
    Envoy::from_bootstrap(|port| {
        let mut listener = Listener::new([filter]).to(upstreams[0].port()).resource(port);
        listener.as_object_mut().expect("an object").remove("@type");
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        routes.as_array_mut().expect("a list").insert(0, route);
        json!({ "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } } },
            "static_resources": { "listeners": [listener], "clusters": clusters } })
        .to_string()
    })
}

#[test]
fn the_same_question_to_another_cluster_is_another_question() {
    let upstreams = [Upstream::scripted(|_| said("of a")), Upstream::scripted(|_| said("of b"))];
    let by_pool =
        json!({ "prefix": "/", "headers": [{ "name": "x-pool", "string_match": { "exact": "b" } }] });
    let to_b = json!({ "match": by_pool, "route": { "cluster": "b", "timeout": "30s" } });
    let envoy = routed(keeping(json!({ "fresh": "10m" })), &upstreams, to_b);
    let ask = |more: &[(&str, &str)]| {
        let asked = post(CHAT, &[&KEY[..], more].concat(), &body("x", false));
        text(&envoy.connect().exchange(&asked).expect("an answer"))
    };
    for _ in 0..2 {
        assert_eq!((ask(&[]), ask(&[("x-pool", "b")])), (json!("of a"), json!("of b")));
    }
    assert_eq!(upstreams.map(|upstream| upstream.seen().len()), [1, 1]);
}

#[test]
fn what_a_route_takes_out_of_an_answer_is_not_obeyed() {
    let upstreams = [(); 2].map(|()| Upstream::scripted(|_| good_with("cache-control: no-cache\r\n")));
    let takes_out = json!({ "match": { "prefix": "/v1/chat/" }, "response_headers_to_remove": ["cache-control"],
        "route": { "cluster": "b", "timeout": "30s" } });
    let envoy = routed(keeping(json!({})), &upstreams, takes_out);
    assert_eq!((ask(&envoy, "x").status, envoy.counter("degradation.kept")), (200, 1));
}
