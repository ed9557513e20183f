//! The specification: the facts of a request, read from a complete tree.

use super::facts::Part;
use super::member::Elements;
use super::reading::Reading;
use super::*;

/// Keys whose value may be text and whose name appears in the place.
const NAMED: &[&str] = &[
    "content",
    "text",
    "name",
    "refusal",
    "thinking",
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
    "parts",
    "message",
    "functionCall",
    "functionResponse",
];
const WHOLE: &[&str] = &[
    "arguments",
    "parameters",
    "input",
    "input_schema",
    "schema",
    "json_schema",
    "variables",
    "args",
    "response",
    "outputs",
];
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
    "kind",
    "mimeType",
    "mime_type",
];
const ENCODED: &[&str] = &["data", "result", "images", "multimodal_data", "bytes"];
const IMAGES: &[&str] = &["image_url", "image", "image_embeds", "inlineData", "inline_data"];
const SOUNDS: &[&str] = &["input_audio", "audio_url", "audio"];
const VIDEOS: &[&str] = &["video_url", "video"];
const FILES: &[&str] = &["file", "file_data", "fileData", "file_id", "file_url"];
const NOTHING: &[&str] = &[
    "filename",
    "url",
    "encrypted_content",
    "signature",
    "thought_signature",
    "thoughtSignature",
    "fileUri",
    "cache_control",
];

#[derive(Default)]
pub(super) struct Expected {
    /// Pairs of place and text, sorted.
    pub(super) texts: Vec<(String, String)>,
    /// Suspicious characters in texts and labels, sorted.
    pub(super) suspects: Vec<char>,
    /// All values of known members, and true for those of the request itself.
    pub(super) members: Vec<(Member, Json, bool)>,
    pub(super) longest_message: u64,
    pub(super) messages: u64,
    pub(super) prompts: u64,
    pub(super) token_ids: u64,
    pub(super) tools: u64,
    pub(super) stops: u64,
    pub(super) biases: u64,
    pub(super) guided: u64,
    pub(super) parts: Parts,
    pub(super) depth: u8,
    pub(super) characters: u64,
    /// Signed characters, which the sink receives but which did not count at that time.
    pub(super) sealed: u64,
    message: u64,
}

/// A path that ends before a client's own key, or after ten steps.
#[derive(Clone, Default)]
struct Path {
    text: String,
    steps: u8,
    ended: bool,
}

impl Path {
    fn step(&self, step: &str) -> Self {
        let ended = self.ended || self.steps == 10;
        let step = if self.steps == 0 { step.trim_start_matches('.') } else { step };
        let text = if ended { self.text.clone() } else { format!("{}{step}", self.text) };
        Self { text, steps: self.steps + 1, ended }
    }

    fn ended(&self) -> Self {
        Self { ended: true, steps: self.steps + 1, ..self.clone() }
    }
}

type Members = serde_json::Map<String, Json>;

pub(super) fn of(json: &Json) -> Expected {
    let mut expected = Expected { depth: depth(json), ..Expected::default() };
    if let Json::Object(members) = json {
        expected.request(members, &Path::default());
    }
    expected.texts.sort();
    expected.suspects.sort_unstable();
    expected
}

/// Counts the elements of a list and of its nested lists.
fn media(json: &Json) -> u64 {
    let element = |element: &Json| if element.is_array() { media(element) } else { 1 };
    json.as_array().map_or(0, |list| list.iter().map(element).sum())
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

/// Counts the elements of nested lists, except those that are lists.
fn elements(json: &Json) -> u64 {
    let element = |element: &Json| u64::from(!element.is_array()) + elements(element);
    match json {
        Json::Array(list) => list.iter().map(element).sum(),
        Json::Object(members) => members.values().map(elements).sum(),
        _ => 0,
    }
}

fn keys(json: &Json) -> u64 {
    match json {
        Json::Array(list) => list.iter().map(keys).sum(),
        Json::Object(members) => members.len() as u64 + members.values().map(keys).sum::<u64>(),
        _ => 0,
    }
}

/// Counts the characters of all strings and keys.
fn characters(json: &Json) -> u64 {
    let length = |text: &str| text.chars().count() as u64;
    match json {
        Json::String(text) => length(text),
        Json::Array(list) => list.iter().map(characters).sum(),
        Json::Object(members) => members.iter().map(|(key, value)| length(key) + characters(value)).sum(),
        _ => 0,
    }
}

pub(super) fn value(member: Member, json: &Json) -> Value {
    match json {
        Json::Number(number) if number.as_i64().is_some_and(|number| number < 0) => Value::Negative,
        Json::String(text) if member.reading() == Reading::Number => match text.trim().parse::<i64>() {
            Ok(number) => u64::try_from(number).map_or(Value::Negative, Value::Integer),
            Err(_) => Value::Other,
        },
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_u64().map_or(Value::Other, Value::Integer),
        _ => Value::Other,
    }
}

/// Returns true if the whole string looks encoded and is too long to be delivered as text.
fn looks_encoded(text: &str) -> bool {
    let encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(&byte);
    let in_link = |byte: u8| text.starts_with("data:") && b":;,.".contains(&byte);
    text.len() > 64 && text.bytes().all(|byte| encoded(byte) || in_link(byte))
}

impl Expected {
    /// Reads the members of a request or an envelope.
    fn request(&mut self, members: &Members, path: &Path) {
        for (name, value) in members {
            let (member, reading) = Member::read_as(name, true);
            let member = member.map(|(member, _)| member);
            let at = if member.is_some() { path.step(&format!(".{name}")) } else { path.ended() };
            self.message = 0;
            if let Some(member) = member.filter(|_| reading != Reading::Envelope) {
                self.members.push((member, value.clone(), path.steps == 0));
                self.list(member, value);
            }
            match reading {
                Reading::Envelope => self.envelope(value, &at, 0),
                Reading::Stop => {
                    self.stops += u64::from(value.is_string()) + elements(value);
                    self.guided += characters(value);
                }
                Reading::Guide => self.guided += characters(value),
                Reading::Bias => self.biases += elements(value) + keys(value),
                Reading::Text | Reading::All | Reading::Encoded | Reading::Unknown => match value {
                    Json::Array(list) => {
                        for (index, element) in list.iter().enumerate() {
                            self.message = 0;
                            self.read(element, reading, &at.step(&format!("[{index}]")), None);
                            if member == Some(Member::System) {
                                self.part(element);
                            }
                        }
                    }
                    other => self.read(other, reading, &at, None),
                },
                _ => {}
            }
        }
    }

    fn envelope(&mut self, json: &Json, path: &Path, lists: u8) {
        match json {
            Json::Object(members) => self.request(members, path),
            Json::Array(list) => {
                for (index, element) in list.iter().enumerate() {
                    if lists == 0 {
                        self.message = 0;
                    }
                    self.envelope(element, &path.step(&format!("[{index}]")), lists + 1);
                }
            }
            Json::String(text) => self.shaped(path, text, None),
            _ => {}
        }
    }

    /// Counts the elements of a member's list.
    fn list(&mut self, member: Member, value: &Json) {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let count = |is: fn(&Json) -> bool| list.iter().filter(|element| is(element)).count() as u64;
        match member.elements() {
            Elements::Messages => self.messages += list.len() as u64,
            Elements::Tools => self.tools += list.len() as u64,
            Elements::Media(part) => {
                let media = u64::from(value.is_string() || value.is_object()) + media(value);
                (0..media).for_each(|_| self.parts.add(part));
            }
            Elements::Prompts | Elements::Items => {
                if member.elements() == Elements::Items {
                    self.messages += count(Json::is_object);
                }
                self.prompts += count(|element| element.is_string() || element.is_array());
                let lone = value.is_string() || list.first().is_some_and(Json::is_number);
                self.prompts += u64::from(lone);
            }
            Elements::Others => {}
        }
        if member.holds_tokens() {
            self.token_ids += tokens(value);
        }
    }

    fn text(&mut self, path: &Path, text: &str) {
        self.texts.push((path.text.clone(), text.to_owned()));
        self.count(text.chars().count() as u64);
        self.look_through(text);
    }

    fn count(&mut self, characters: u64) {
        self.characters += characters;
        self.message += characters;
        self.longest_message = self.longest_message.max(self.message);
    }

    /// Reads a string that is either encoded or text.
    fn shaped(&mut self, path: &Path, text: &str, holder: Option<&Members>) {
        let is_text = |holder: &Members| {
            holder.get("type").and_then(Json::as_str).is_some_and(|name| Part::typed(name) == Part::Text)
        };
        match looks_encoded(text) {
            true if holder.is_some_and(is_text) => self.count(text.len() as u64),
            true => {}
            false => self.text(path, text),
        }
    }

    fn look_through(&mut self, text: &str) {
        self.suspects.extend(text.chars().filter(|character| Class::of(*character).is_some()));
    }

    fn read(&mut self, json: &Json, reading: Reading, path: &Path, holder: Option<&Members>) {
        match json {
            Json::String(text) if matches!(reading, Reading::Encoded | Reading::Unknown) => {
                self.shaped(path, text, holder);
            }
            Json::String(text) => self.text(path, text),
            Json::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.read(element, reading, &path.step(&format!("[{index}]")), None);
                }
            }
            Json::Object(members) if reading == Reading::All => {
                for (key, value) in members {
                    self.text(&path.ended(), key);
                    self.read(value, reading, &path.ended(), None);
                }
            }
            Json::Object(members) => {
                let others = if reading == Reading::Unknown { reading } else { Reading::Text };
                for (key, value) in members {
                    self.member(members, key, value, others, path);
                }
            }
            _ => {}
        }
    }

    fn member(&mut self, members: &Members, key: &str, value: &Json, others: Reading, path: &Path) {
        let is = |keys: &[&str]| keys.contains(&key);
        let below = path.step(&format!(".{key}"));
        let is_type = |names: &[&str]| {
            members.get("type").and_then(Json::as_str).is_some_and(|name| names.contains(&name))
        };
        match value {
            _ if [IMAGES, SOUNDS, VIDEOS, FILES, NOTHING].iter().any(|keys| is(keys)) => {}
            _ if key == "data" && is_type(&["base64", "redacted_thinking"]) => {}
            Json::String(label) if is(LABELS) && label.len() <= 64 => self.look_through(label),
            Json::String(text) if key == "thinking" => {
                let signed =
                    members.get("signature").and_then(Json::as_str).is_some_and(|text| !text.is_empty());
                self.texts.push((below.text.clone(), text.clone()));
                let length = text.chars().count() as u64;
                self.sealed += length;
                self.count(if signed { 0 } else { length });
            }
            _ if is(ENCODED) => self.read(value, Reading::Encoded, &below, Some(members)),
            _ if is(LABELS) => self.read(value, Reading::Text, &below, None),
            _ if is(WHOLE) => self.read(value, Reading::All, &below, None),
            _ if is(NAMED) => self.read(value, Reading::Text, &below, None),
            _ => self.read(value, others, &path.ended(), Some(members)),
        }
        match key {
            "content" | "output" | "parts" => {
                value.as_array().into_iter().flatten().for_each(|element| self.part(element));
            }
            "images" => self.parts.image += media(value),
            _ => {}
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
            Some("video" | "video_url" | "input_video") => "video",
            Some(_) => "other",
        };
        let kinds = [(IMAGES, "image"), (SOUNDS, "audio"), (VIDEOS, "video"), (FILES, "file")];
        let carried: Vec<_> = kinds.iter().filter(|(keys, _)| has(keys)).map(|(_, kind)| *kind).collect();
        let count = match carried.first().copied().unwrap_or(named) {
            "text" => &mut self.parts.text,
            "image" => &mut self.parts.image,
            "audio" => &mut self.parts.audio,
            "file" => &mut self.parts.file,
            "video" => &mut self.parts.video,
            _ => &mut self.parts.other,
        };
        *count += 1;
    }
}
