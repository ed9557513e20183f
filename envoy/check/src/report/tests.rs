use super::*;
use serde_json::{Value, json};

const SHIPPED: [(&str, &str); 7] = [
    ("envoy.yaml", include_str!("../../../envoy.yaml")),
    ("envoy-composite.yaml", include_str!("../../../envoy-composite.yaml")),
    ("istio/composite.yaml", include_str!("../../../istio/composite.yaml")),
    ("istio/hold-headers.yaml", include_str!("../../../istio/hold-headers.yaml")),
    ("gateway/composite.yaml", include_str!("../../../gateway/composite.yaml")),
    ("istio/chain.yaml", include_str!("../../../istio/chain.yaml")),
    ("gateway/chain.yaml", include_str!("../../../gateway/chain.yaml")),
];

fn told(document: &Value, module: Option<&str>) -> Report {
    report("file", &document.to_string(), module)
}

fn plugin(root_id: &str, document: &Value) -> Value {
    json!({ "config": {
        "root_id": root_id,
        "vm_config": { "vm_id": "tidegate" },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": document.to_string(),
        },
    } })
}

fn trial(root_id: &str, document: &Value) -> Trial {
    (Module::named(root_id).unwrap().check)(document.to_string().as_bytes()).unwrap().trial
}

#[test]
fn every_shipped_configuration_is_valid() {
    for (name, text) in SHIPPED {
        let report = report(name, text, None);
        assert!(report.is_right && report.to_string().contains("memory: at most"), "{report}");
    }
}

#[test]
fn an_invalid_document_is_reported_with_its_path_and_a_sentence() {
    let limits =
        json!({ "limits": [{ "name": "a", "per": [], "requests": { "rate": "10/fortnight", "burst": 1 } }] });
    let expected = [
        "limits[0].requests.rate: invalid value: string \"10/fortnight\"",
        "expected a rate such as 10/s, 600/min, 100/h or 50/d",
    ];
    for (file, place) in [
        (limits.clone(), "file: rate-limit\n"),
        (json!({ "filters": [plugin("rate-limit", &limits)] }), "file: rate-limit at filters[0].config\n"),
    ] {
        let report = told(&file, None);
        assert!(!report.is_right && report.to_string().starts_with(place), "{report}");
        assert!(expected.iter().all(|part| report.to_string().contains(part)), "{report}");
    }
}

#[test]
fn a_misspelled_name_is_reported_with_the_nearest_known_one() {
    for (document, nearest) in [
        (json!({ "max_cuont": 1 }), "did you mean `max_count`?"),
        (json!({ "control_bytes": "rejct" }), "did you mean `reject`?"),
    ] {
        let report = told(&document, Some("header-limit")).to_string();
        assert!(report.contains(nearest), "{report}");
    }
    let report = told(&json!({ "colour": 1 }), Some("header-limit")).to_string();
    assert!(report.contains("unknown field `colour`") && !report.contains("did you mean"), "{report}");
}

#[test]
fn a_valid_document_is_described_in_plain_words() {
    let report = told(
        &json!({ "limits": [
            { "name": "chat", "per": ["client"], "requests": { "rate": "10/min", "burst": 5 },
              "when": { "path_prefix": "/v1/", "methods": ["POST"] }, "exceed": { "delay": "2s" }, "shadow": true },
        ] }),
        None,
    );
    assert!(report.is_right);
    for part in [
        "chat: 10 requests per minute, bursts of 5",
        "each client (x-api-key before authorization on Anthropic's paths, authorization before x-api-key on all others",
        "not charged: /health, /metrics, CORS preflights",
        "POST to /v1/…",
        "held for up to 2s, then 429",
        "shadow",
        "at most 16777120 bytes (16 MiB)",
        "up to 128 requests on each worker",
    ] {
        assert!(report.to_string().contains(part), "{part}: {report}");
    }
}

#[test]
fn yaml_is_taken_like_json() {
    let yaml = "limits:\n- { name: a, per: [], requests: { rate: 1/s, burst: 2 } }\n";
    let report = report("file", yaml, None);
    assert!(
        report.is_right && report.to_string().contains("1 request per second, bursts of 2"),
        "{}",
        report.to_string()
    );
}

#[test]
fn headers_that_cannot_be_held_are_reported() {
    let document = json!({ "hold_headers": true });
    assert!(told(&document, Some("slow-client")).is_right);
    let mut file = plugin("slow-client", &document);
    let report = told(&file, None);
    assert!(
        !report.is_right && report.to_string().contains("allow_on_headers_stop_iteration"),
        "{}",
        report.to_string()
    );
    file["config"]["allow_on_headers_stop_iteration"] = json!(true);
    assert!(told(&file, None).is_right);
}

#[test]
fn a_configuration_that_is_not_a_string_is_refused_as_by_the_module() {
    let mut file = plugin("slow-client", &json!({}));
    file["config"]["configuration"] =
        json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": {} });
    let report = told(&file, None);
    assert!(!report.is_right && report.to_string().contains("StringValue"), "{report}");
}

#[test]
fn an_ambiguous_document_is_refused() {
    for (text, parts) in [
        ("{}", ["MODULE=", "rate-limit"]),
        ("{\"limits\": [", ["no JSON", "line 1"]),
        ("a: [", ["no YAML", "1"]),
        ("- 1", ["no document", "rate-limit"]),
        ("static_resources: {}", ["MODULE=", "slow-client"]),
    ] {
        let report = report("file", text, None);
        assert!(
            !report.is_right && parts.iter().all(|part| report.to_string().contains(part)),
            "{}",
            report.to_string()
        );
    }
    assert!(!told(&json!({}), Some("rate-limiter")).is_right);
    assert!(told(&json!({}), Some("header-limit")).is_right);
}

#[test]
fn host_calls_are_what_the_readme_says() {
    let limit = json!({ "name": "a", "per": ["client"], "requests": { "rate": "1/s", "burst": 3 } });
    let one = trial("rate-limit", &json!({ "limits": [limit] }));
    assert_eq!(one.admitted[0].1.all, 5 + 4);
    let (before, refused) = one.refused.unwrap();
    assert_eq!((before, refused.all, refused.writes), (3, 6, 0));
    let bare = trial("rate-limit", &json!({ "limits": [limit], "headers_on_admitted": false }));
    assert_eq!(bare.admitted[0].1.all, 5);

    assert_eq!(trial("header-limit", &json!({})).admitted[0].1.all, 1 + 1);
    let guard = trial("connection-guard", &json!({}));
    let costs: Vec<_> =
        guard.admitted.iter().map(|(_, calls)| (calls.all, calls.reads + calls.writes)).collect();
    assert_eq!(costs, [(3 + 2, 2), (2, 0), (1 + 2, 2)]);
    assert_eq!(guard.refused.map(|(before, _)| before), Some(128));
}

#[test]
fn a_buffer_that_does_not_follow_the_largest_body_is_wrong() {
    let named = |name: &str| SHIPPED.iter().find(|(known, _)| *known == name).expect("it is shipped").1;
    let (request, connection) = ("request_body_buffer_limit: ", "per_connection_buffer_limit_bytes: ");
    let window = "initial_stream_window_size: 65536";
    let without = (request, "include_attempt_count_in_response: false # ");
    let less_for_one =
        ("timeout: 0s }\n", "timeout: 0s }\n                request_body_buffer_limit: 4096\n");
    let cases = [
        ("envoy-composite.yaml", vec![("83886080", "67108863")], "request_body_buffer_limit is 67108863"),
        ("envoy.yaml", vec![less_for_one], "initial_stream_window_size is 65536"),
        ("envoy.yaml", vec![without], "initial_stream_window_size is 65536"),
        ("envoy.yaml", vec![without, (window, "")], "per_connection_buffer_limit_bytes is 1048576"),
        (
            "envoy.yaml",
            vec![without, (window, ""), (connection, "bind_to_port: true # ")],
            "bytes is 1048576",
        ),
        (
            "istio/hold-headers.yaml",
            vec![("83886080", "67108863")],
            "per_connection_buffer_limit_bytes is 67108863",
        ),
        (
            "istio/hold-headers.yaml",
            vec![("per_connection_buffer_limit_bytes: 83886080", "enable_mptcp: false")],
            "per_connection_buffer_limit_bytes is 1048576",
        ),
    ];
    for (file, changes, found) in cases {
        let changed = changes.iter().fold(named(file).to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{file} has no {from}");
            text.replace(from, to)
        });
        let small = report(file, &changed, None);
        let said = format!("{found}, and bodies of up to 67108864 bytes");
        assert!(!small.is_right && small.to_string().contains(&said), "{changes:?}: {small}");
    }
}

#[test]
fn a_buffer_for_requests_alone_is_enough() {
    let (_, text) =
        SHIPPED.iter().find(|(name, _)| *name == "istio/hold-headers.yaml").expect("it is shipped");
    let alone =
        text.replace("per_connection_buffer_limit_bytes: 83886080", "request_body_buffer_limit: 83886080");
    let report = report("file", &alone, None);
    assert!(report.is_right, "{report}");
}

#[test]
fn the_json_report_says_the_same() {
    let file = json!({ "filters": [plugin("slow-client", &json!({ "hold_headers": true }))] });
    let told = serde_json::to_value(told(&file, None)).unwrap();
    assert_eq!(
        (&told["file"], &told["is_right"], told.get("problem")),
        (&json!("file"), &json!(false), None)
    );
    let document = &told["documents"][0];
    assert_eq!(
        (&document["root_id"], &document["path"]),
        (&json!("slow-client"), &json!("filters[0].config"))
    );
    let about: Vec<_> = document["told"].as_array().unwrap().iter().map(|told| &told["about"]).collect();
    assert!(about.contains(&&json!("rule")) && about.contains(&&json!("host_calls")), "{told}");
    assert_eq!(about.last(), Some(&&json!("wrong")), "{told}");
    let problem = serde_json::to_value(report("file", "- 1", None)).unwrap();
    assert!(problem["problem"].as_str().is_some_and(|problem| problem.contains("no document")), "{problem}");
}
