//! What a rule counts. Admission is the same for every unit; a unit decides the words: the member of the document that
//! holds a rule's rate, the sentence that describes it, and the headers that tell a client its level.

/// What a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests, each of which costs 1.
    Requests,
    /// LLM tokens: a request costs what its body asks for.
    Tokens,
}

/// The names by which an API tells a client its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderNames {
    /// The capacity.
    pub limit: &'static str,
    /// How much is left.
    pub remaining: &'static str,
    /// When all of it is there again.
    pub reset: &'static str,
}

impl Unit {
    /// More than one of it, as documents and headers call it: `requests`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }

    /// One of it: `request`.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Requests => "request",
            Self::Tokens => "token",
        }
    }

    /// Whether a request's cost is known only once its body is.
    pub const fn needs_body(self) -> bool {
        match self {
            Self::Requests => false,
            Self::Tokens => true,
        }
    }

    /// The headers of OpenAI's API.
    ///
    /// Source: OpenAI, API reference, "Rate limits in headers".
    pub const fn openai(self) -> HeaderNames {
        match self {
            Self::Requests => HeaderNames {
                limit: "x-ratelimit-limit-requests",
                remaining: "x-ratelimit-remaining-requests",
                reset: "x-ratelimit-reset-requests",
            },
            Self::Tokens => HeaderNames {
                limit: "x-ratelimit-limit-tokens",
                remaining: "x-ratelimit-remaining-tokens",
                reset: "x-ratelimit-reset-tokens",
            },
        }
    }

    /// The headers of Anthropic's API.
    ///
    /// Source: Anthropic, API reference, "Rate limits", "Response headers".
    pub const fn anthropic(self) -> HeaderNames {
        match self {
            Self::Requests => HeaderNames {
                limit: "anthropic-ratelimit-requests-limit",
                remaining: "anthropic-ratelimit-requests-remaining",
                reset: "anthropic-ratelimit-requests-reset",
            },
            Self::Tokens => HeaderNames {
                limit: "anthropic-ratelimit-tokens-limit",
                remaining: "anthropic-ratelimit-tokens-remaining",
                reset: "anthropic-ratelimit-tokens-reset",
            },
        }
    }
}
