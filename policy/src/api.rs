//! Recognises the API of a path by its last words, whatever precedes them (`/v1`, `/openai/v1`, `/api/v3`). Inference
//! decides the health of a cluster, and its responses may be cached. Requests that create, list or administer something
//! do neither. An unknown path counts as inference whose responses are not cached.
//!
//! Sources: the API references of OpenAI, Anthropic, Cohere, Gemini and Ollama, and the routes that vLLM, SGLang, TGI,
//! TEI and llama.cpp's server register.

/// The dialect of an API, which decides where it reads a key and what its errors look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's dialect, the most common one.
    #[default]
    OpenAi,
    /// Anthropic's dialect, for messages, their batches and token counts.
    Anthropic,
    /// The dialect of Ollama's native API.
    Ollama,
}

/// The operations of Ollama under `/api`.
const OLLAMA: [&[u8]; 12] = [
    b"chat",
    b"generate",
    b"embed",
    b"embeddings",
    b"tags",
    b"ps",
    b"show",
    b"create",
    b"copy",
    b"delete",
    b"pull",
    b"push",
];

impl Dialect {
    /// Returns the dialect of a canonical path (see [`crate::path`]).
    pub fn of(path: &[u8]) -> Self {
        let mut words = path.split(|byte| *byte == b'/').filter(|word| !word.is_empty());
        let mut before = words.next().unwrap_or_default();
        let mut is_message = before == b"messages";
        let mut is_ollama = false;
        for word in words {
            if before == b"threads" {
                return Self::OpenAi;
            }
            let belongs = before == b"messages" && matches!(word, b"batches" | b"count_tokens");
            if belongs {
                return Self::Anthropic;
            }
            is_message = word == b"messages";
            is_ollama = before == b"api" && OLLAMA.contains(&word);
            before = word;
        }
        match (is_message, is_ollama) {
            (true, _) => Self::Anthropic,
            (_, true) => Self::Ollama,
            _ => Self::OpenAi,
        }
    }
}

/// An API of a model server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's Chat Completions.
    Chat,
    /// OpenAI's Completions.
    Completion,
    /// Anthropic's Messages.
    Message,
    /// OpenAI's Responses.
    Response,
    /// Embeddings, of OpenAI, Ollama or TEI.
    Embedding,
    /// Reranking, of Cohere, vLLM, SGLang or TEI.
    Rerank,
    /// No inference: the request creates, lists or administers something, or needs no model.
    Management,
    /// Any other path.
    #[default]
    Other,
}

/// Collections of managed objects, and server operations other than inference.
const MANAGED: [&[u8]; 32] = [
    b"assistants",
    b"batches",
    b"containers",
    b"conversations",
    b"evals",
    b"files",
    b"fine_tuning",
    b"threads",
    b"uploads",
    b"vector_stores",
    b"realtime",
    b"mcp",
    b"tokenize",
    b"detokenize",
    b"apply-template",
    b"count_tokens",
    b"load_lora_adapter",
    b"unload_lora_adapter",
    b"health",
    b"metrics",
    b"slots",
    b"props",
    b"flush_cache",
    b"abort_request",
    b"sleep",
    b"wake_up",
    b"cancel",
    b"ServerLive",
    b"ServerReady",
    b"ModelReady",
    b"ModelMetadata",
    b"grpc.health.v1.Health",
];

impl Api {
    /// Returns the API of a canonical path (see [`crate::path`]).
    pub fn of(path: &[u8]) -> Self {
        let mut words = path.split(|byte| *byte == b'/').filter(|word| !word.is_empty());
        if words.clone().any(|word| MANAGED.contains(&word)) {
            return Self::Management;
        }
        let last = words.next_back().unwrap_or_default();
        match (words.next_back().unwrap_or_default(), last) {
            (b"chat", b"completions") => Self::Chat,
            (_, b"completions") => Self::Completion,
            (_, b"messages") => Self::Message,
            (_, b"responses") => Self::Response,
            (_, b"embeddings" | b"embed") => Self::Embedding,
            (_, b"rerank") => Self::Rerank,
            (_, b"models") => Self::Management,
            _ => Self::Other,
        }
    }

    /// Returns true if a request with a body makes a model work.
    pub const fn is_inference(self) -> bool {
        !matches!(self, Self::Management)
    }

    /// Returns true if equal requests may get the same response.
    pub const fn may_be_kept(self) -> bool {
        !matches!(self, Self::Management | Self::Other)
    }
}

/// Returns the model that a canonical path names, for APIs that read it there and not in the body: Azure's deployments,
/// the methods of Gemini and Vertex, the models of KServe, Triton and Bedrock.
///
/// Sources: the API references of Azure OpenAI, Gemini and Bedrock; KServe's Open Inference Protocol, V1 and V2.
pub fn model_in(path: &[u8]) -> Option<&[u8]> {
    let mut rest = path;
    while let Some(slash) = rest.iter().position(|byte| *byte == b'/') {
        let (collection, after) = rest.split_at_checked(slash)?;
        rest = after.get(1..)?;
        let found = match collection {
            b"models" | b"tunedModels" => {
                method_of(rest).or_else(|| before(rest, &[b"/versions/", b"/infer", b"/generate"]))
            }
            b"deployments" | b"engines" => before(rest, &[b"/"]),
            b"model" => before(rest, &[b"/invoke", b"/converse"]),
            _ => None,
        };
        if let Some(name) = found.filter(|name| !name.is_empty()) {
            return Some(name);
        }
    }
    None
}

/// Returns the text before `:method` at the end of a path.
fn method_of(rest: &[u8]) -> Option<&[u8]> {
    let colon = rest.iter().rposition(|byte| *byte == b':')?;
    let (name, method) = rest.split_at_checked(colon)?;
    (!method.contains(&b'/')).then_some(name)
}

fn before<'a>(rest: &'a [u8], ends: &[&[u8]]) -> Option<&'a [u8]> {
    let end = (0..rest.len())
        .find(|from| rest.get(*from..).is_some_and(|left| ends.iter().any(|end| left.starts_with(end))))?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_recognised_by_the_end_of_its_path() {
        for (path, api) in [
            ("/v1/chat/completions", Api::Chat),
            ("/openai/deployments/gpt-4o/chat/completions", Api::Chat),
            ("/v1/completions", Api::Completion),
            ("/v1/messages", Api::Message),
            ("/v1/responses", Api::Response),
            ("/v1/embeddings", Api::Embedding),
            ("/api/embed", Api::Embedding),
            ("/v2/rerank", Api::Rerank),
            ("/generate", Api::Other),
            ("/completion", Api::Other),
            ("/api/chat", Api::Other),
            ("/v1beta/models/gemini-2:generateContent", Api::Other),
            ("/v2/models/ensemble/infer", Api::Other),
            ("", Api::Other),
        ] {
            assert_eq!(Api::of(path.as_bytes()), api, "{path}");
        }
    }

    #[test]
    fn a_dialect_belongs_to_its_own_paths_only() {
        for path in [
            "/v1/messages",
            "/anthropic/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/messages/batches",
            "/v1/messages/batches/b_1/results",
            "/messages",
        ] {
            assert_eq!(Dialect::of(path.as_bytes()), Dialect::Anthropic, "{path}");
        }
        for path in ["/api/chat", "/ollama/api/generate", "/api/embed", "/api/tags"] {
            assert_eq!(Dialect::of(path.as_bytes()), Dialect::Ollama, "{path}");
        }
        for path in [
            "",
            "/",
            "/v1/chat/completions",
            "/api/v1/chat/completions",
            "/api",
            "/api/chat/completions",
            "/chat",
            "/v1/threads/t_1/messages",
            "/v1/messages/m_1",
            "/v1/responses",
        ] {
            assert_eq!(Dialect::of(path.as_bytes()), Dialect::OpenAi, "{path}");
        }
    }

    #[test]
    fn a_model_is_read_from_the_path_where_the_api_does_so() {
        let named =
            |path: &'static str| model_in(path.as_bytes()).map(|name| core::str::from_utf8(name).unwrap());
        for (path, model) in [
            ("/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
            ("/v1beta/models/gemini-2:generateContent", "gemini-2"),
            (
                "/v1/projects/p/locations/l/publishers/google/models/gemini-2:streamGenerateContent",
                "gemini-2",
            ),
            ("/v1beta/tunedModels/mine:generateContent", "mine"),
            ("/v2/models/x/infer", "x"),
            ("/v2/models/org/x/infer", "org/x"),
            ("/v2/models/x/versions/1/infer", "x"),
            ("/v2/models/x/generate_stream", "x"),
            ("/v1/models/x:predict", "x"),
            ("/v1/engines/davinci/completions", "davinci"),
            ("/model/anthropic.claude-v2:1/invoke", "anthropic.claude-v2:1"),
            ("/model/m/converse-stream", "m"),
        ] {
            assert_eq!(named(path), Some(model), "{path}");
        }
        for path in [
            "/v1/chat/completions",
            "/v1/models",
            "/v1/models/gpt-4o",
            "/v1/models/",
            "/deployments",
            "/models//infer",
            "",
        ] {
            assert_eq!(named(path), None, "{path}");
        }
    }

    #[test]
    fn management_is_no_inference() {
        for path in [
            "/v1/models",
            "/v1/batches",
            "/v1/files",
            "/v1/files/file-1/content",
            "/v1/vector_stores/vs_1/search",
            "/v1/threads/t_1/messages",
            "/v1/messages/batches",
            "/v1/messages/count_tokens",
            "/v1/responses/resp_1/cancel",
            "/v1/realtime/client_secrets",
            "/mcp",
            "/v1/load_lora_adapter",
            "/slots/0",
        ] {
            let api = Api::of(path.as_bytes());
            assert!(!api.is_inference() && !api.may_be_kept(), "{path}");
        }
    }
}
