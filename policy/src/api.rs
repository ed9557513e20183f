//! Which API a path belongs to, by the words that it ends in, whatever stands before them (`/v1`, `/openai/v1`,
//! `/api/v3`). Inference is what a cluster is judged by, and what may be answered from kept answers; what creates,
//! lists or administers something is neither. A path that is not known is inference of a kind of its own: it is judged,
//! and its answers are not kept.
//!
//! Sources: the API references of OpenAI, Anthropic, Cohere, Gemini and Ollama, and the routes that vLLM, SGLang, TGI, TEI
//! and llama.cpp's server register.

/// An API of a model server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions.
    Completion,
    /// Anthropic's messages.
    Message,
    /// OpenAI's responses.
    Response,
    /// Embeddings, of OpenAI, Ollama or TEI.
    Embedding,
    /// Rerank, of Cohere, vLLM, SGLang or TEI.
    Rerank,
    /// What is no inference: it creates, lists or administers something, or costs a model nothing.
    Management,
    /// Any other.
    #[default]
    Other,
}

/// Collections whose members are created, listed and deleted, and what servers have beside inference.
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
    /// The API of a canonical path (see [`crate::path`]).
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

    /// Whether a request with a body asks a model to work.
    pub const fn is_inference(self) -> bool {
        !matches!(self, Self::Management)
    }

    /// Whether the same question may be given the same answer again.
    pub const fn may_be_kept(self) -> bool {
        !matches!(self, Self::Management | Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_known_by_how_its_path_ends() {
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
    fn what_creates_lists_or_administers_is_no_inference() {
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
