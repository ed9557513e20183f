//! A default response in the format of the requested API, which the client's SDK accepts as an ordinary one: it has a
//! text, a finish reason and, if a stream was requested, events and an end. Its `id` begins with `tidegate`, its
//! usage is zero. The templates are in this folder, with `$id`, `$model` and `$message` in place of JSON strings.

use crate::asked::Asked;
use tidegate_policy::api::Api;

/// Returns the body of a response of status 200 that says `message`; `None` if the API has no such format.
pub fn body(asked: &Asked, message: &str, random: u64) -> Option<Vec<u8>> {
    let template = match (asked.api, asked.stream) {
        (Api::Chat, false) => include_str!("chat.json"),
        (Api::Chat, true) => include_str!("chat.sse"),
        (Api::Completion, false) => include_str!("completion.json"),
        (Api::Completion, true) => include_str!("completion.sse"),
        (Api::Message, false) => include_str!("message.json"),
        (Api::Message, true) => include_str!("message.sse"),
        (Api::Response, false) => include_str!("response.json"),
        (Api::Response, true) => include_str!("response.sse"),
        (Api::Embedding | Api::Rerank | Api::Management | Api::Other, _) => return None,
    };
    let id = format!("tidegate-{random:016x}");
    let values =
        [("id", id.as_str()), ("model", asked.model.as_deref().unwrap_or_default()), ("message", message)];
    Some(filled(template, &values).into_bytes())
}

fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut pieces = template.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let value = values.iter().find_map(|(name, value)| Some((value, piece.strip_prefix(name)?)));
        if let Some((value, rest)) = value {
            text += &serde_json::to_string(value).unwrap_or_default();
            text += rest;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use tidegate_policy::answer::{First, Form, Watch};

    fn asked(api: Api, stream: bool) -> Asked {
        Asked { api, stream, model: Some("a \"model\"\n".to_owned()), ..Asked::default() }
    }

    #[test]
    fn the_message_is_in_every_format() {
        for (api, pointer) in [
            (Api::Chat, "/choices/0/message/content"),
            (Api::Completion, "/choices/0/text"),
            (Api::Message, "/content/0/text"),
            (Api::Response, "/output/0/content/0/text"),
        ] {
            let message = "busy $id\n\n\"now\"";
            let body = body(&asked(api, false), message, 7).unwrap();
            let document: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(document.pointer(pointer).unwrap(), message);
            assert_eq!(document["id"], "tidegate-0000000000000007");
            assert_eq!(document["model"], "a \"model\"\n");
        }
    }

    #[test]
    fn a_stream_has_content_a_finish_reason_and_an_end() {
        for api in [Api::Chat, Api::Completion, Api::Message, Api::Response] {
            let shown =
                Watch::new(Form::Events).feed(&body(&asked(api, true), "busy\n\ndata: x", 7).unwrap());
            assert_eq!(shown.first, Some(First::Content));
            assert!(shown.is_whole() && (shown.finished || api == Api::Response), "{api:?}");
        }
    }

    #[test]
    fn an_api_without_a_format_has_no_default_response() {
        assert_eq!(body(&asked(Api::Other, false), "busy", 7), None);
        assert_eq!(body(&asked(Api::Embedding, false), "busy", 7), None);
    }
}
