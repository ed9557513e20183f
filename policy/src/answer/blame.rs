//! Decides who is at fault for an error inside a response of status 200, by the HTTP status that the error would have had. It is
//! written as a number (`code`, `status`) or in the words that servers use for one (`type`, `code`, `status`); a number has
//! precedence over a word. An error with neither is the server's failure.
//!
//! Sources: the error types of OpenAI, Anthropic and Gemini (`google.rpc.Code`), vLLM's and SGLang's (Python's names of HTTP
//! statuses), llama.cpp's `error_type` and TGI's `error_type`.

/// The party to blame for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client: no server could do what it asked for.
    Client,
    /// Nobody: the server is overloaded.
    Load,
    /// The server.
    Server,
}

const LOAD: [&[u8]; 8] = [
    b"rate_limit",
    b"ratelimit",
    b"overloaded",
    b"too_many_requests",
    b"toomanyrequests",
    b"resource_exhausted",
    b"throttl",
    b"slow_down",
];

const CLIENT: [&[u8]; 24] = [
    b"invalid",
    b"badrequest",
    b"bad_request",
    b"context_length",
    b"context_size",
    b"context_window",
    b"authentication",
    b"unauthenticated",
    b"unauthorized",
    b"permission",
    b"forbidden",
    b"not_found",
    b"notfound",
    b"unsupported",
    b"not_supported",
    b"too_large",
    b"validation",
    b"content_filter",
    b"content_policy",
    b"insufficient_quota",
    b"billing",
    b"unprocessable",
    b"failed_precondition",
    b"out_of_range",
];

impl Blame {
    /// Returns the blame for an HTTP status; `None` if it is no error.
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            429 | 529 => Some(Self::Load),
            400..500 | 501 | 505 => Some(Self::Client),
            500..600 => Some(Self::Server),
            _ => None,
        }
    }

    /// Returns the blame for a word that stands for a status; `None` if it is unknown.
    pub fn of_word(word: &[u8]) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let names =
            |names: &[&[u8]]| names.iter().any(|name| word.windows(name.len()).any(|part| part == *name));
        if names(&LOAD) { Some(Self::Load) } else { names(&CLIENT).then_some(Self::Client) }
    }
}

/// The hints so far on who is to blame for an error.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    number: Option<Blame>,
    word: Option<Blame>,
}

impl Said {
    /// Reads a number where a status may stand.
    pub(super) fn number(&mut self, text: &[u8]) {
        let status = core::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        self.number = self.number.or(status.and_then(Blame::of_status));
    }

    /// Reads a word, or a quoted number, where the kind of an error may stand.
    pub(super) fn word(&mut self, text: &[u8]) {
        self.number(text);
        self.word = match (self.word, Blame::of_word(text)) {
            (Some(Blame::Load), _) | (_, None) => self.word,
            (_, known) => known,
        };
    }

    /// Returns these hints, or `other` if there are none.
    pub(super) fn or(self, other: Self) -> Self {
        Self { number: self.number.or(other.number), word: self.word.or(other.word) }
    }

    /// Returns the party to blame.
    pub(super) fn blame(self) -> Blame {
        self.number.or(self.word).unwrap_or(Blame::Server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_who_is_to_blame() {
        for (status, blame) in [
            (200, None),
            (400, Some(Blame::Client)),
            (404, Some(Blame::Client)),
            (429, Some(Blame::Load)),
            (501, Some(Blame::Client)),
            (500, Some(Blame::Server)),
            (503, Some(Blame::Server)),
            (529, Some(Blame::Load)),
            (600, None),
        ] {
            assert_eq!(Blame::of_status(status), blame, "{status}");
        }
    }

    #[test]
    fn the_words_of_many_servers_are_known() {
        for word in ["rate_limit_exceeded", "overloaded_error", "RESOURCE_EXHAUSTED", "TooManyRequestsError"]
        {
            assert_eq!(Blame::of_word(word.as_bytes()), Some(Blame::Load), "{word}");
        }
        for word in [
            "invalid_request_error",
            "BadRequestError",
            "context_length_exceeded",
            "exceed_context_size_error",
            "INVALID_ARGUMENT",
            "NotFoundError",
            "authentication_error",
            "insufficient_quota",
            "request_too_large",
        ] {
            assert_eq!(Blame::of_word(word.as_bytes()), Some(Blame::Client), "{word}");
        }
        for word in ["", "server_error", "api_error", "InternalServerError", "unavailable_error", "tokens"] {
            assert_eq!(Blame::of_word(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn a_number_takes_precedence_over_a_word_and_load_over_other_words() {
        let mut said = Said::default();
        assert_eq!(said.blame(), Blame::Server);
        said.word(b"invalid_request_error");
        assert_eq!(said.blame(), Blame::Client);
        said.word(b"rate_limit_exceeded");
        said.word(b"invalid_request_error");
        assert_eq!(said.blame(), Blame::Load);
        said.word(b"500");
        said.number(b"400");
        assert_eq!(said.blame(), Blame::Server);
        let mut odd = Said::default();
        odd.number(b"50001");
        odd.number(b"-1");
        assert_eq!(odd.blame(), Blame::Server);
    }
}
