//! The response to a refused request: which rule it broke, the rule's limit, what was found and where, never the text
//! itself. It tells the client not to retry the same request, since no wait would help.

use core::fmt::Write;
use tidegate_host::reply::{ErrorObject, Reply};
use tidegate_policy::inference::Member;
use tidegate_policy::json::{Fault, Invalid};
use tidegate_policy::prompt::{Breach, PromptLimits, Rule};

/// The reason for a refusal.
#[derive(Clone, Copy, Debug)]
pub enum Refusal<'a> {
    /// A breach of the limits on its prompt.
    Prompt(&'a Breach, &'a PromptLimits),
    /// A body of more than this many bytes.
    Body(u64),
    /// More completion tokens than this limit, and this thinking budget, which does not fit into the limit.
    Budget(u64, u64),
    /// More completion tokens than this limit, requested in several places, among them this member.
    Several(u64, Member),
    /// A request without a known question.
    Unread,
    /// A body that nests deeper than this.
    Depth(u8),
    /// A body that is not JSON, or nests deeper than this.
    Json(Invalid, u8),
    /// A body that is JSON but not an object.
    NoObject,
    /// A media type that is neither read nor passed.
    ContentType,
    /// A content coding.
    ContentEncoding,
}

/// The code that clients look for before they shorten a prompt.
const TOO_LONG: &str = "context_length_exceeded";

/// Returns the response to a request that the rule `label` refuses.
pub fn refusal(label: &str, why: Refusal<'_>) -> Reply {
    let (status, code, text) = sentence(label, why);
    let param = param(why);
    let message = match code {
        "context_length_exceeded" => text,
        _ => format!("Input rule '{label}' refuses this request: {text}"),
    };
    let error =
        ErrorObject { message: &message, kind: "invalid_request_error", param: param.as_deref(), code };
    Reply::error(status, error, format!("tidegate.input_limit.{label}")).never_retry()
}

fn param(why: Refusal<'_>) -> Option<String> {
    match why {
        Refusal::Budget(..) => return Some("thinking.budget_tokens".to_owned()),
        Refusal::Several(_, member) => return Some(member.name().to_owned()),
        _ => {}
    }
    let Refusal::Prompt(Breach { rule, place, .. }, _) = why else { return None };
    match (rule, place) {
        (Rule::CompletionTokens(member) | Rule::Choices(member) | Rule::Logprobs(member), _) => {
            Some(member.name().to_owned())
        }
        (Rule::Messages, _) => Some("messages".to_owned()),
        (Rule::Tools, _) => Some("tools".to_owned()),
        (_, place) => place.map(|place| place.to_string()),
    }
}

fn sentence(label: &str, why: Refusal<'_>) -> (u16, &'static str, String) {
    match why {
        Refusal::Prompt(breach, limits) => {
            let (code, text) = prompt_sentence(label, breach, limits);
            (400, code, text)
        }
        Refusal::Body(limit) => (
            413,
            "request_too_large",
            format!("its body is larger than the {limit} bytes that are accepted."),
        ),
        Refusal::Budget(limit, budget) => {
            let text = format!(
                "it asks for more than the {limit} completion tokens that are accepted, and its thinking budget of \
                 {budget} does not fit into those."
            );
            (400, "max_tokens_too_large", text)
        }
        Refusal::Several(limit, member) => {
            let text = format!(
                "it asks for more than the {limit} completion tokens that are accepted, by '{}' in several places.",
                member.name()
            );
            (400, "max_tokens_too_large", text)
        }
        Refusal::Unread => {
            let text = "it has none of the members by which a model is asked, such as 'messages', 'prompt' or 'input'.";
            (400, "unread", text.to_owned())
        }
        Refusal::Depth(limit) => {
            let text = format!("it nests deeper than the {limit} levels that are accepted.");
            (400, "too_deeply_nested", text)
        }
        Refusal::Json(Invalid { at, what: Fault::TooDeep }, limit) => {
            let text = format!("at byte {at}, it nests deeper than the {limit} levels that are accepted.");
            (400, "too_deeply_nested", text)
        }
        Refusal::Json(Invalid { at, what }, _) => {
            (400, "invalid_json", format!("at byte {at}, it is no JSON: {}.", fault(what)))
        }
        Refusal::NoObject => (400, "invalid_json", "its body is no JSON object.".to_owned()),
        Refusal::ContentType => (
            415,
            "unsupported_content_type",
            "its content-type is not accepted; send application/json.".to_owned(),
        ),
        Refusal::ContentEncoding => {
            (415, "unsupported_content_encoding", "its body is compressed; send it as it is.".to_owned())
        }
    }
}

fn prompt_sentence(label: &str, breach: &Breach, limits: &PromptLimits) -> (&'static str, String) {
    let role = |index: usize| limits.role_characters.get(index).map(|(_, limit)| *limit);
    let (code, what, limit) = match breach.rule {
        Rule::Characters => (TOO_LONG, "characters in all its texts", limits.characters),
        Rule::MessageCharacters => (TOO_LONG, "characters in one message", limits.message_characters),
        Rule::RoleCharacters(index) => (TOO_LONG, "characters in the messages of one role", role(index)),
        Rule::Messages => ("too_many_messages", "messages", limits.messages),
        Rule::Prompts => ("too_many_prompts", "prompts", limits.prompts),
        Rule::TokenIds => (TOO_LONG, "token ids", limits.token_ids),
        Rule::Tools => ("too_many_tools", "tools", limits.tools),
        Rule::Images => ("too_many_images", "images", limits.images),
        Rule::CompletionTokens(_) => ("max_tokens_too_large", "completion tokens", limits.completion_tokens),
        Rule::Choices(_) => ("too_many_choices", "choices", limits.choices),
        Rule::Pixels => ("too_many_pixels", "pixels", limits.pixels),
        Rule::Audios => ("too_many_audios", "recordings", limits.audios),
        Rule::Videos => ("too_many_videos", "videos", limits.videos),
        Rule::Work => ("too_much_work", "prompts times choices times completion tokens", limits.work),
        Rule::Logprobs(_) => ("too_many_logprobs", "log probabilities for each token", limits.logprobs),
        Rule::Stops => ("too_many_stop_sequences", "sequences that end an answer", limits.stops),
        Rule::Biases => ("too_many_logit_biases", "tokens that it makes likelier", limits.biases),
        Rule::Repeats => ("guide_too_large", "repetitions in what a decoder must follow", limits.repeats),
        Rule::Guided => ("guide_too_long", "characters that a decoder must follow", limits.guided),
        Rule::DuplicateKey => return ("duplicate_key", "this member occurs twice.".to_owned()),
        Rule::Forbidden(_) => {
            let text = format!("it holds the character U+{:04X}, which is not accepted.", breach.found);
            return ("forbidden_characters", text);
        }
        Rule::Denied(_) => return ("denied_content", "it says what is not accepted.".to_owned()),
    };
    if code == TOO_LONG {
        let (limit, unit) = (limit.unwrap_or(0), if what == "token ids" { "tokens" } else { "characters" });
        let text = format!(
            "This model's maximum context length is {limit} {unit}. Input rule '{label}' refuses this request: it has {} \
             or more {what}, at most {limit} are accepted. Please reduce the length of the messages.",
            breach.found
        );
        return (code, text);
    }
    let mut text = match breach.found {
        u64::MAX if matches!(breach.rule, Rule::Logprobs(_)) => {
            format!("it asks for {what} without a number of them")
        }
        u64::MAX => format!("it asks for {what} by what is no whole number"),
        found => format!("it has {found} or more {what}"),
    };
    let _ = write!(text, ", at most {} are accepted.", limit.unwrap_or(0));
    (code, text)
}

const fn fault(what: Fault) -> &'static str {
    match what {
        Fault::Unexpected => "this byte cannot stand here",
        Fault::Trailing => "something follows the value",
        Fault::ControlCharacter => "a control character stands in a string",
        Fault::Escape => "this is no escape",
        Fault::LoneSurrogate => "half a surrogate pair",
        Fault::Utf8 => "these bytes are no UTF-8",
        Fault::TooDeep => "it nests too deep",
        Fault::Incomplete => "it ends too early",
    }
}
