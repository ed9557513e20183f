//! What a client may ask of the servers behind the reference, as it is shipped but for its limits: what asks a model to
//! work, and nothing that administers a server, however it is spelled.

use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, get};
use tidegate_tests::reference::{self, FILES, UNLIMITED};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{PATIENCE, http2, wait_for};

type Paths = [(&'static str, &'static [&'static str])];

/// By whose API it is, `POST` where no method stands before the path.
const OPEN: &Paths = &[
    (
        "OpenAI",
        &[
            "/v1/chat/completions",
            "/v1/chat/completions?beta=true",
            "GET /v1/chat/completions/chatcmpl-1",
            "GET /v1/chat/completions/chatcmpl-1/messages",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/responses",
            "GET /v1/responses/resp_1",
            "DELETE /v1/responses/resp_1",
            "/v1/responses/resp_1/cancel",
            "GET /v1/responses/resp_1/input_items",
            "/v1/responses/compact",
            "/v1/responses/input_tokens",
            "/v1/conversations",
            "GET /v1/conversations/conv_1/items/msg_1",
            "/v1/moderations",
            "/v1/audio/transcriptions",
            "/v1/audio/translations",
            "/v1/audio/speech",
            "/v1/images/generations",
            "/v1/images/edits",
            "/v1/images/variations",
            "GET /v1/models",
            "HEAD /v1/models",
            "GET /v1/models/meta-llama/Llama-3.1-8B",
            "/v1/files",
            "GET /v1/files",
            "GET /v1/files/file-1/content",
            "DELETE /v1/files/file-1",
            "/v1/uploads",
            "/v1/uploads/upload_1/parts",
            "/v1/uploads/upload_1/complete",
            "/v1/batches",
            "GET /v1/batches/batch_1",
            "/v1/batches/batch_1/cancel",
        ],
    ),
    (
        "gateways",
        &[
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            "/openai/deployments/whisper/audio/transcriptions",
            "/openai/deployments/ada/embeddings",
            "/openai/v1/chat/completions",
            "/openai/v1/responses",
            "GET /openai/v1/models",
            "/v1beta/openai/chat/completions",
            "/anthropic/v1/messages",
        ],
    ),
    (
        "Anthropic",
        &[
            "/v1/messages",
            "/v1/messages?beta=true",
            "/v1/messages/count_tokens",
            "/v1/messages/batches",
            "GET /v1/messages/batches/msgbatch_1",
            "GET /v1/messages/batches/msgbatch_1/results",
            "/v1/messages/batches/msgbatch_1/cancel",
            "DELETE /v1/messages/batches/msgbatch_1",
            "/v1/complete",
        ],
    ),
    (
        "vLLM",
        &[
            "/score",
            "/v1/score",
            "/rerank",
            "/v1/rerank",
            "/v2/rerank",
            "/v2/embed",
            "/pooling",
            "/classify",
            "/tokenize",
            "/detokenize",
            "/inference/v1/generate",
            "/invocations",
        ],
    ),
    (
        "SGLang",
        &[
            "/generate",
            "/encode",
            "/classify",
            "/v1/classify",
            "/v1/tokenize",
            "/v1/detokenize",
            "/vertex_generate",
        ],
    ),
    (
        "llama.cpp",
        &[
            "/completion",
            "/completions",
            "/chat/completions",
            "/chat/completions/input_tokens",
            "/v1/chat/completions/input_tokens",
            "/responses",
            "/infill",
            "/embedding",
            "/embeddings",
            "/reranking",
            "/v1/reranking",
            "/apply-template",
            "/audio/transcriptions",
            "GET /models",
        ],
    ),
    ("TGI, TEI", &["/", "/generate_stream", "/chat_tokenize", "/vertex", "/embed", "/embed_all"]),
    ("TEI", &["/embed_sparse", "/predict", "/similarity", "/decode"]),
    (
        "Ollama",
        &[
            "HEAD /",
            "/api/chat",
            "/api/generate",
            "/api/embed",
            "/api/embeddings",
            "GET /api/tags",
            "/api/show",
            "GET /api/version",
        ],
    ),
    ("Cohere", &["/v1/chat", "/v2/chat", "/v1/embed", "/v1/generate"]),
    (
        "Gemini",
        &[
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            "/v1/models/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini-2.5-flash:countTokens",
            "/v1beta/models/text-embedding-004:embedContent",
            "/v1beta/models/text-embedding-004:batchEmbedContents",
            "GET /v1beta/models",
            "GET /v1beta/models/gemini-2.5-flash",
        ],
    ),
];

const CLOSED: &Paths = &[
    (
        "vLLM",
        &[
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
            "GET /metrics",
            "GET /tokenizer_info",
            "GET /server_info",
            "GET /version",
            "GET /load",
            "GET /ping",
            "/sleep",
            "/wake_up",
            "GET /is_sleeping",
            "/collective_rpc",
            "/reset_prefix_cache",
            "/reset_mm_cache",
            "/start_profile",
            "/stop_profile",
            "/scale_elastic_ep",
            "/pause",
            "/resume",
            "/abort_requests",
            "/update_weights",
            "/init_weight_transfer_engine",
            "GET /docs",
            "GET /openapi.json",
        ],
    ),
    (
        "SGLang",
        &[
            "/flush_cache",
            "GET /flush_cache",
            "/clear_hicache_storage_backend",
            "/update_weights_from_disk",
            "/update_weights_from_tensor",
            "/update_weights_from_distributed",
            "/update_weight_version",
            "/init_weights_update_group",
            "GET /get_weights_by_name",
            "/release_memory_occupation",
            "/resume_memory_occupation",
            "/load_lora_adapter",
            "/unload_lora_adapter",
            "/abort_request",
            "/slow_down",
            "/open_session",
            "/close_session",
            "/configure_logging",
            "/pause_generation",
            "/set_internal_state",
            "/freeze_gc",
            "/generate_from_file",
            "GET /get_model_info",
            "GET /get_server_info",
            "GET /health_generate",
            "GET /v1/loads",
        ],
    ),
    (
        "llama.cpp",
        &[
            "GET /slots",
            "/slots/0?action=erase",
            "GET /props",
            "/props",
            "GET /lora-adapters",
            "/lora-adapters",
            "/models/load",
            "/models/unload",
            "/v1/chat/completions/control",
            "GET /cors-proxy?url=http://169.254.169.254/",
            "/cors-proxy",
            "/tools",
            "GET /",
            "GET /index.html",
        ],
    ),
    (
        "Ollama",
        &[
            "/api/pull",
            "/api/push",
            "/api/create",
            "/api/copy",
            "DELETE /api/delete",
            "/api/blobs/sha256:0",
            "GET /api/ps",
            "/api/me",
            "/api/signout",
            "/api/experimental/web_fetch",
            "DELETE /v1/models/llama3",
            "/v1/models",
        ],
    ),
    ("TGI, TEI", &["GET /info", "GET /v2/health/ready"]),
    ("Triton", &["/v2/repository/index", "/v2/repository/models/x/unload", "GET /v2"]),
    (
        "OpenAI",
        &[
            "/v1/fine_tuning/jobs",
            "GET /v1/organization/admin_api_keys",
            "GET /v1/chat/completions/other",
            "GET /v1",
            "GET /v1/",
        ],
    ),
    (
        "in another spelling",
        &[
            "//flush_cache",
            "/v1/../flush_cache",
            "/v1/%2e%2e/flush_cache",
            "/v1/.%2E/flush_cache",
            "/v1/chat/completions/../../../flush_cache",
            "/v1/files/x/../../../flush_cache",
            "/v1/files;/../../flush_cache",
            "GET /v1/models/../../metrics",
            "GET /v1/models/..\\..\\metrics",
            "/./flush_cache",
            "/flush_cache/",
            "/flush_cache/.",
            "/FLUSH_CACHE",
            "/Api/Pull",
            "/%66lush_cache",
            "/flush_cache;a=b",
            "/flush_cache?/v1/chat/completions",
            "/flush_cache/v1/chat/completions",
            "/v1/chat/completions/",
            "/v1/chat/completions;a=b",
            "/V1/chat/completions",
            "/v1/files/a/b",
            "/openai/deployments/a/b/chat/completions",
            "/v1beta/models/a/b:generateContent",
            "/v1beta/models/a:generateContent/b",
        ],
    ),
];

fn request(written: &str) -> (&str, &str) {
    written.split_once(' ').unwrap_or(("POST", written))
}

fn ask(envoy: &Envoy, method: &str, path: &str) -> Answer {
    let body = if method == "POST" { "{}" } else { "" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer sk-1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    envoy.connect().exchange(request.as_bytes()).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

#[test]
fn what_asks_a_model_to_work_is_open_on_every_server() {
    for file in FILES {
        let upstream = Upstream::answering(|seen| {
            let length = if seen.method == "HEAD" { 0 } else { 2 };
            let body = if length == 0 { "" } else { "ok" };
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
        });
        let envoy = reference::start_file(file, [&upstream; 3], &UNLIMITED);
        for (server, paths) in OPEN {
            for (method, path) in paths.iter().map(|written| request(written)) {
                upstream.forget();
                let answer = ask(&envoy, method, path);
                let seen: Vec<String> = upstream.seen().into_iter().map(|seen| seen.target).collect();
                assert_eq!(
                    (answer.status, seen),
                    (200, vec![path.to_owned()]),
                    "{file}, {server}: {method} {path}"
                );
            }
        }
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn all_else_is_closed_however_it_is_spelled_and_says_so() {
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = reference::start_file(file, [&upstream; 3], &UNLIMITED);
        for (server, paths) in CLOSED {
            for (method, path) in paths.iter().map(|written| request(written)) {
                let answer = ask(&envoy, method, path);
                assert_eq!(answer.status, 404, "{file}, {server}: {method} {path}");
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/json"),
                    "{file}: {method} {path}"
                );
                let error = answer.json()["error"].clone();
                assert_eq!(error["code"], "unknown_url", "{error}");
                assert_eq!(error["type"], "invalid_request_error", "{error}");
                let message = error["message"].as_str().expect("a text");
                let found = format!("Unknown request URL: {method} /");
                assert!(message.starts_with(&found) && message.contains("operator"), "{message}");
            }
        }
        let named = ask(&envoy, "POST", "/v1/../flush_cache?a=b").json()["error"]["message"].to_string();
        assert!(named.contains("POST /flush_cache. "), "{named}");
        for (path, location) in [
            ("/v1%2f..%2fflush_cache", "/v1/../flush_cache"),
            ("/v1/files/x%2F..%2F..%2F..%2Fflush_cache", "/flush_cache"),
            ("/v1/files/x%5c..%5c..%5c..%5cflush_cache", "/flush_cache"),
        ] {
            let answer = ask(&envoy, "POST", path);
            assert_eq!(answer.status, 307, "{file}: {path}");
            let told = answer.header("location").expect("a location").to_owned();
            assert!(told == location || told == "/flush_cache", "{path}: {told}");
            assert_eq!(ask(&envoy, "POST", &told).status, 404, "{file}: {told}");
        }
        assert!(!(200..400).contains(&ask(&envoy, "OPTIONS", "*").status), "{file}");
        let whole = ask(&envoy, "POST", "http://test/flush_cache");
        assert_eq!(whole.status, 404, "{file}: a whole URL");
        let fields = http2::get(b"/v1/../metrics", &[]);
        assert_eq!(http2::exchange(envoy.front(), &fields).expect("an answer").status, 404, "{file}: HTTP/2");
        assert!(upstream.seen().is_empty(), "{file}: {:?}", upstream.seen());
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn who_tries_many_paths_meets_the_limits() {
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = reference::start_file(file, [&upstream; 3], &[]);
        let statuses: Vec<u16> =
            (0..400).map(|path| ask(&envoy, "GET", &format!("/{path}")).status).collect();
        let of = |status: u16| statuses.iter().filter(|found| **found == status).count();
        assert!(of(404) >= 100 && of(429) > 0 && of(404) + of(429) == 400, "{file}: {statuses:?}");
        assert_eq!(envoy.counter("degradation.failures"), 0);
        assert!(upstream.seen().is_empty());
    }
}

#[test]
fn health_is_asked_of_envoy_and_is_that_of_the_servers() {
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = reference::start_file(file, [&upstream; 3], &[]);
        let health =
            || envoy.connect().exchange(&get("/health?from=balancer", &[])).expect("an answer").status;
        wait_for("health", PATIENCE, || (health() == 200).then_some(()));
        assert!(upstream.seen().is_empty(), "{file}");
        upstream.cut();
        wait_for("the end of it", PATIENCE, || (health() == 503).then_some(()));
    }
}
