//! The significant members of OpenAI's chat and completion chunks, of Anthropic's and the Responses API's events, and
//! of errors. Members known to show nothing are a closed list. Any other is [`Member::Unknown`], which is content
//! unless its value is empty.

/// The kind of an open container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Elsewhere,
    Event,
    Choices,
    Choice,
    Delta,
    Response,
    Error,
    /// A container whose members and elements are content.
    Content,
    /// A container whose members and elements are unknown.
    Unknown,
}

/// The kind of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Member {
    #[default]
    Other,
    Choices,
    Delta,
    Content,
    Unknown,
    Reason,
    Response,
    Error,
    Kind,
    /// A member where the status of an error may stand.
    Fault,
}

/// The kind of a text, by its `type` or `object`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Other,
    /// An event that is known to show nothing.
    Empty,
    /// The end of a response.
    Stop,
    /// The end of an incomplete response.
    Cut,
    Error,
}

impl Kind {
    pub(super) fn of(word: &[u8]) -> Self {
        match word {
            b"error" | b"response.failed" => Self::Error,
            b"response.created"
            | b"response.in_progress"
            | b"response.queued"
            | b"message_start"
            | b"ping"
            | b"processing"
            | b"keepalive"
            | b"heartbeat" => Self::Empty,
            b"message_stop" | b"response.completed" => Self::Stop,
            b"response.incomplete" | b"response.cancelled" => Self::Cut,
            _ => Self::Other,
        }
    }
}

/// Returns the kind of the member `key` of an object in this place.
pub(super) fn member(place: Place, key: &[u8]) -> Member {
    match (place, key) {
        (Place::Event, b"choices") => Member::Choices,
        (Place::Event, b"response") => Member::Response,
        (Place::Event | Place::Response | Place::Error, b"error") => Member::Error,
        (Place::Event, b"type" | b"object") => Member::Kind,
        (Place::Event, b"code" | b"status" | b"error_type") => Member::Fault,
        (Place::Error, b"code" | b"status" | b"status_code" | b"http_status" | b"type") => Member::Fault,
        (Place::Event | Place::Choice, b"delta") => Member::Delta,
        (Place::Choice, b"text" | b"message") => Member::Content,
        (Place::Choice, b"finish_reason") | (Place::Delta, b"stop_reason") => Member::Reason,
        (
            Place::Event,
            b"id"
            | b"created"
            | b"model"
            | b"system_fingerprint"
            | b"service_tier"
            | b"usage"
            | b"provider"
            | b"obfuscation"
            | b"timings"
            | b"sequence_number",
        )
        | (
            Place::Choice,
            b"index" | b"logprobs" | b"stop_reason" | b"native_finish_reason" | b"matched_stop",
        )
        | (Place::Delta, b"role" | b"type" | b"stop_sequence") => Member::Other,
        (Place::Event | Place::Choice, _) => Member::Unknown,
        (Place::Delta, _) => Member::Content,
        _ => Member::Other,
    }
}
