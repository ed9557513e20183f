//! The unit that a rule counts. Admission is the same for every unit. The unit determines the member of the document
//! that holds a rule's rate, its description, and the headers that report a client's level.

/// The unit that a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests, each at a cost of 1.
    Requests,
    /// LLM tokens: a request costs what its body asks for.
    Tokens,
}

/// The header names in which an API reports a client's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderNames {
    /// The header for the capacity.
    pub limit: &'static str,
    /// The header for the rest.
    pub remaining: &'static str,
    /// The header for the time until the bucket is full.
    pub reset: &'static str,
}

impl Unit {
    /// Returns the plural, as documents and headers use it: `requests`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }

    /// Returns the singular: `request`.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Requests => "request",
            Self::Tokens => "token",
        }
    }

    /// Returns true if the cost of a request depends on its body.
    pub const fn needs_body(self) -> bool {
        match self {
            Self::Requests => false,
            Self::Tokens => true,
        }
    }

    /// Returns the headers of OpenAI's API.
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

    /// Returns the headers of Anthropic's API.
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
