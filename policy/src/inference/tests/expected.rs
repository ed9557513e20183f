//! The definition: what a scanner must find, read off a whole tree.

use super::*;

pub(super) const KEYS: &[&str] = &[
    "content",
    "text",
    "name",
    "refusal",
    "output",
    "function",
    "source",
    "data",
    "input",
    "arguments",
    "parameters",
    "schema",
    "json_schema",
    "input_schema",
    "variables",
    "role",
    "type",
    "id",
    "call_id",
    "tool_call_id",
    "status",
    "detail",
    "format",
    "media_type",
    "image_url",
    "image",
    "input_audio",
    "audio",
    "video_url",
    "file",
    "file_id",
    "file_data",
    "url",
    "signature",
    "cache_control",
    "encrypted_content",
    "thought_signature",
    "thinking",
    "result",
    "images",
    "budget_tokens",
];
/// Those of which the value may be text, and the place names them.
const NAMED: &[&str] = &[
    "content",
    "text",
    "name",
    "refusal",
    "thinking",
    "result",
    "images",
    "budget_tokens",
    "reasoning",
    "reasoning_content",
    "summary",
    "title",
    "context",
    "output",
    "tool_calls",
    "function",
    "function_call",
    "source",
    "description",
    "data",
];
const WHOLE: &[&str] =
    &["arguments", "parameters", "input", "input_schema", "schema", "json_schema", "variables"];
const LABELS: &[&str] = &[
    "role",
    "type",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "status",
    "detail",
    "format",
    "media_type",
];
const IMAGES: &[&str] = &["image_url", "image", "image_embeds"];
const SOUNDS: &[&str] = &["input_audio", "audio_url", "audio"];
const VIDEOS: &[&str] = &["video_url", "video"];
const FILES: &[&str] = &["file", "file_data", "file_id", "file_url"];
const NOTHING: &[&str] =
    &["filename", "url", "encrypted_content", "signature", "thought_signature", "cache_control"];

#[derive(Default)]
pub(super) struct Expected {
    /// Place and text, sorted.
    pub(super) texts: Vec<(String, String)>,
    /// In texts and labels, sorted.
    pub(super) suspects: Vec<char>,
    pub(super) longest_message: u64,
    pub(super) messages: u64,
    pub(super) prompts: u64,
    pub(super) token_ids: u64,
    pub(super) tools: u64,
    pub(super) parts: Parts,
    pub(super) depth: u8,
    pub(super) characters: u64,
    /// Of those that are heard, how many were not counted when they were.
    pub(super) sealed: u64,
}

/// A path that grows until a client's own key, or eight steps.
#[derive(Clone)]
struct Path {
    text: String,
    steps: u8,
    ended: bool,
}

impl Path {
    fn step(&self, step: &str) -> Self {
        let ended = self.ended || self.steps == 8;
        let text = if ended { self.text.clone() } else { format!("{}{step}", self.text) };
        Self { text, steps: self.steps + 1, ended }
    }

    fn ended(&self) -> Self {
        Self { ended: true, ..self.clone() }
    }
}

pub(super) fn of(json: &Json) -> Expected {
    let mut expected = Expected { depth: depth(json), ..Expected::default() };
    let Json::Object(members) = json else { return expected };
    for (name, value) in members {
        let whole = match &**name {
            "messages" | "prompt" | "input" | "instructions" | "system" | "suffix" | "prediction"
            | "query" => false,
            "response_format" | "text" => false,
            "tools" | "functions" | "documents" | "chat_template" | "chat_template_kwargs" => true,
            _ => continue,
        };
        let path = Path { text: name.clone(), steps: 0, ended: false };
        match value {
            Json::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    let counted = expected.characters;
                    expected.read(element, whole, &path.step(&format!("[{index}]")));
                    expected.longest_message = expected.longest_message.max(expected.characters - counted);
                    if name == "system" {
                        expected.part(element);
                    }
                }
            }
            other => {
                let counted = expected.characters;
                expected.read(other, whole, &path);
                expected.longest_message = expected.longest_message.max(expected.characters - counted);
            }
        }
        let elements = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let count = |is: fn(&Json) -> bool| elements.iter().filter(|element| is(element)).count() as u64;
        match &**name {
            "messages" => expected.messages += elements.len() as u64,
            "tools" | "functions" => expected.tools += elements.len() as u64,
            "prompt" | "input" => {
                if name == "input" {
                    expected.messages += count(Json::is_object);
                }
                expected.prompts += count(|element| element.is_string() || element.is_array());
                let lone = value.is_string() || elements.first().is_some_and(Json::is_number);
                expected.prompts += u64::from(lone);
                expected.token_ids += tokens(value);
            }
            _ => {}
        }
    }
    expected.texts.sort();
    expected.suspects.sort_unstable();
    expected
}

fn depth(json: &Json) -> u8 {
    match json {
        Json::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Json::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn tokens(json: &Json) -> u64 {
    let Json::Array(elements) = json else { return 0 };
    elements.iter().map(|element| if element.is_number() { 1 } else { tokens(element) }).sum()
}

pub(super) fn value(member: Member, json: &Json) -> Value {
    let numbers = ["max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens", "n", "best_of"];
    match json {
        Json::Number(number) if number.as_i64().is_some_and(|number| number < 0) => Value::Negative,
        Json::String(text) if numbers.contains(&member.name()) => match text.trim().parse::<i64>() {
            Ok(number) => u64::try_from(number).map_or(Value::Negative, Value::Integer),
            Err(_) => Value::Other,
        },
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_u64().map_or(Value::Other, Value::Integer),
        _ => Value::Other,
    }
}

impl Expected {
    fn text(&mut self, path: &Path, text: &str) {
        self.texts.push((path.text.clone(), text.to_owned()));
        self.characters += text.chars().count() as u64;
        self.look_through(text);
    }

    fn look_through(&mut self, text: &str) {
        self.suspects.extend(text.chars().filter(|character| Class::of(*character).is_some()));
    }

    fn read(&mut self, json: &Json, whole: bool, path: &Path) {
        match json {
            Json::String(text) => self.text(path, text),
            Json::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.read(element, whole, &path.step(&format!("[{index}]")));
                }
            }
            Json::Object(members) if whole => {
                for (key, value) in members {
                    self.text(path, key);
                    self.read(value, true, &path.ended());
                }
            }
            Json::Object(members) => {
                let encoded = matches!(
                    members.get("type").and_then(Json::as_str),
                    Some("base64" | "redacted_thinking")
                );
                for (key, value) in members {
                    self.member(members, key, value, encoded, path);
                }
            }
            _ => {}
        }
    }

    fn member(
        &mut self,
        members: &serde_json::Map<String, Json>,
        key: &str,
        value: &Json,
        encoded: bool,
        path: &Path,
    ) {
        let is = |keys: &[&str]| keys.contains(&key);
        let below = path.step(&format!(".{key}"));
        match value {
            _ if [IMAGES, SOUNDS, VIDEOS, FILES, NOTHING].iter().any(|keys| is(keys)) => {}
            _ if key == "data" && encoded => {}
            Json::String(label) if is(LABELS) && label.len() <= 64 => self.look_through(label),
            Json::String(text) if key == "thinking" => {
                let signed =
                    members.get("signature").and_then(Json::as_str).is_some_and(|text| !text.is_empty());
                self.texts.push((below.text.clone(), text.clone()));
                let length = text.chars().count() as u64;
                self.sealed += length;
                self.characters += if signed { 0 } else { length };
            }
            _ if is(LABELS) => self.read(value, false, &below),
            _ if is(WHOLE) => self.read(value, true, &below),
            _ if is(NAMED) => self.read(value, false, &below),
            _ => self.read(value, false, &path.ended()),
        }
        if matches!(key, "content" | "output") {
            value.as_array().into_iter().flatten().for_each(|element| self.part(element));
        }
    }

    fn part(&mut self, json: &Json) {
        let Json::Object(members) = json else { return };
        let has = |keys: &[&str]| keys.iter().any(|key| members.contains_key(*key));
        let named = match members.get("type").and_then(Json::as_str) {
            None | Some("text" | "input_text" | "output_text" | "summary_text" | "refusal") => "text",
            Some("image" | "image_url" | "input_image" | "image_embeds" | "image_pil") => "image",
            Some("audio" | "audio_url" | "input_audio") => "audio",
            Some("file" | "input_file" | "document") => "file",
            Some(_) => "other",
        };
        let kinds = [(IMAGES, "image"), (SOUNDS, "audio"), (VIDEOS, "other"), (FILES, "file")];
        let carried: Vec<_> = kinds.iter().filter(|(keys, _)| has(keys)).map(|(_, kind)| *kind).collect();
        let count = match carried.first().copied().unwrap_or(named) {
            "text" => &mut self.parts.text,
            "image" => &mut self.parts.image,
            "audio" => &mut self.parts.audio,
            "file" => &mut self.parts.file,
            _ => &mut self.parts.other,
        };
        *count += 1;
    }
}
