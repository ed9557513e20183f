//! Why a response ended, as the APIs say it: `finish_reason`, `stop_reason`, `done_reason`, `finishReason`.
//!
//! Sources: the API references of OpenAI, Anthropic, Gemini and Ollama; vLLM, SGLang, TGI and llama.cpp's server.

/// Why a response ended. Of several choices the reason that leaves the most undone counts, which is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finish {
    /// By itself, or for a reason that is not known.
    Complete,
    /// It reached the limit on its tokens.
    Length,
    /// A content filter ended it.
    Filtered,
    /// It was given up.
    Aborted,
}

impl Finish {
    /// Of a reason in lower case.
    pub fn of(reason: &[u8]) -> Self {
        match reason {
            b"length"
            | b"limit"
            | b"max_tokens"
            | b"max_output_tokens"
            | b"model_length"
            | b"model_context_window_exceeded" => Self::Length,
            b"content_filter" | b"safety" => Self::Filtered,
            b"abort" | b"cancelled" | b"error" => Self::Aborted,
            _ => Self::Complete,
        }
    }

    /// Whether the response is not complete.
    pub fn is_cut(self) -> bool {
        self != Self::Complete
    }
}
