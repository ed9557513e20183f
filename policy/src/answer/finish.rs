//! The reason why a response ended, as the APIs state it: `finish_reason`, `stop_reason`, `done_reason`,
//! `finishReason`.
//!
//! Sources: the API references of OpenAI, Anthropic, Gemini and Ollama; vLLM, SGLang, TGI and llama.cpp's server.

/// The reason why a response ended. The greatest of several choices' reasons counts, which is the least complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finish {
    /// The model stopped by itself, or for an unknown reason.
    Complete,
    /// The token limit was reached.
    Length,
    /// A content filter intervened.
    Filtered,
    /// The response was aborted.
    Aborted,
}

impl Finish {
    /// Reads a reason in lower case.
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

    /// Returns true if the response is incomplete.
    pub fn is_cut(self) -> bool {
        self != Self::Complete
    }
}
