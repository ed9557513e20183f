//! The facts of a request.

use super::reading::Reading;
use super::{Class, Member, Place, Suspect};
use core::ops::Range;

/// The facts of a request so far. All counts saturate.
#[derive(Clone, Debug)]
pub struct Facts {
    pub(super) model: Option<Model>,
    /// Each member at most once.
    pub(super) members: Vec<(Member, Seen)>,
    /// The envelopes, each with the offset of its first member.
    pub(super) holders: Vec<(Member, u64)>,
    pub(super) first: [Option<First>; Class::ALL.len()],
    /// True if the outermost value is an object. No other body is a request.
    pub is_object: bool,
    /// Unicode scalar values in all texts together.
    pub characters: u64,
    /// Unicode scalar values in the longest message, the longest element of another list of texts, or the longest text
    /// outside any list.
    pub longest_message: u64,
    /// Elements of `messages` and its equivalents, and the objects in `input`.
    pub messages: u64,
    /// Prompts in `prompt`, `input` and their equivalents, as texts or lists of token ids. The model runs once for
    /// each.
    pub prompts: u64,
    /// Token ids in all prompts.
    pub token_ids: u64,
    /// Content parts by kind.
    pub parts: Parts,
    /// Pixels of all images whose data are in the body and state a size.
    pub pixels: u64,
    /// `thinking.budget_tokens`: the completion tokens that the model may spend on thinking.
    pub thinking_budget: Option<Seen>,
    /// Elements of `tools` and `functions`.
    pub tools: u64,
    /// Stop sequences and stop tokens.
    pub stops: u64,
    /// Tokens with a bias, and tokens of an allow-list.
    pub biases: u64,
    /// Unicode scalar values of schemas, grammars and expressions for guided decoding, and of stop sequences.
    pub guided: u64,
    /// The largest product of nested repetition counts in those expressions.
    pub repeats: u64,
    /// The deepest nesting of containers; 1 is a container of scalars.
    pub depth: u8,
    /// The first known member or key that occurs twice in one object. The facts are those of the last occurrence; the
    /// sink receives the texts of all.
    pub duplicate: Option<Place>,
    /// The first object whose type, after its data, denies that they are encoded. The sink did not receive these data.
    pub retyped: Option<Place>,
    /// True if a key occurs twice in one object. Detected only with a fingerprint, and only among the first members
    /// that [`Scanner`](super::Scanner) remembers.
    pub repeated_key: bool,
}

/// The name of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The first 256 bytes of the name, at most.
    pub name: String,
    /// True if the name is longer.
    pub is_cut: bool,
}

/// A member of a request that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The last value, or the most demanding one.
    pub value: Value,
    /// The byte offset of the key's opening quote.
    pub key_at: u64,
    /// The bytes of the value.
    pub range: Range<u64>,
    /// True if the name is spelled exactly, so that every server recognises it.
    pub is_exact: bool,
    /// True for a member of the request itself, false for one of an envelope.
    pub is_own: bool,
    /// True if other objects of the body have this member too. Of several numbers this is the most demanding.
    pub is_one_of_many: bool,
}

/// The value of a member, as far as a limit needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, which the APIs treat as absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A non-negative whole number as servers read it: `100`, `100.0`, `1e2` and `"100"` are equal.
    Integer(u64),
    /// A negative whole number, which some servers take as no limit and others refuse.
    Negative,
    /// Any other value.
    Other,
}

/// The first suspicious character of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// The character and its bytes in the body.
    pub suspect: Suspect,
    /// The text that contains it.
    pub place: Place,
}

/// Content parts by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Text, and parts without a kind of their own.
    pub text: u64,
    /// Images.
    pub image: u64,
    /// Audio.
    pub audio: u64,
    /// Files and documents.
    pub file: u64,
    /// Videos.
    pub video: u64,
    /// Tool calls, tool results and unknown kinds.
    pub other: u64,
}

/// The kind of a content part. If a part carries several kinds, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Text,
    File,
    Other,
    Video,
    Audio,
    Image,
}

impl Facts {
    pub(super) const fn new() -> Self {
        Self {
            model: None,
            members: Vec::new(),
            holders: Vec::new(),
            first: [const { None }; Class::ALL.len()],
            is_object: false,
            characters: 0,
            longest_message: 0,
            messages: 0,
            prompts: 0,
            token_ids: 0,
            parts: Parts { text: 0, image: 0, audio: 0, file: 0, video: 0, other: 0 },
            pixels: 0,
            thinking_budget: None,
            tools: 0,
            stops: 0,
            biases: 0,
            guided: 0,
            repeats: 1,
            depth: 0,
            duplicate: None,
            retyped: None,
            repeated_key: false,
        }
    }

    /// Returns the model's name, if it is a string.
    pub const fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// Returns true if the client asks for a streamed response.
    pub fn stream(&self) -> bool {
        self.member(Member::Stream).is_some_and(|seen| seen.value == Value::Bool(true))
    }

    /// Returns the smallest limit on completion tokens, if the request states one as a whole number.
    pub fn completion_tokens(&self) -> Option<u64> {
        let written = Member::COMPLETION_TOKENS.into_iter().filter_map(|member| self.member(member));
        let number = |seen: &Seen| if let Value::Integer(tokens) = seen.value { Some(tokens) } else { None };
        written.filter_map(number).min()
    }

    /// Returns true if the response depends on this request alone: it is not created later, and no conversation is
    /// extended.
    pub fn stands_alone(&self) -> bool {
        let absent = |value| matches!(value, Value::Null | Value::Bool(false));
        let members = [Member::Background, Member::Conversation];
        members.into_iter().all(|member| self.member(member).is_none_or(|seen| absent(seen.value)))
    }

    /// Returns a complete member of the request or of an envelope.
    pub fn member(&self, member: Member) -> Option<&Seen> {
        self.members.iter().find(|(seen, _)| *seen == member).map(|(_, seen)| seen)
    }

    /// Returns the offset of the first member of an envelope, after its brace.
    pub fn holder(&self, member: Member) -> Option<u64> {
        self.holders.iter().find(|(holder, _)| *holder == member).map(|(_, open)| *open)
    }

    /// Returns true if the request contains input for a model.
    pub fn asks(&self) -> bool {
        self.members.iter().any(|(member, seen)| member.asks() && seen.value != Value::Null)
    }

    /// Records a complete member. Of several in one object the last counts (`again`); of numbers in different objects
    /// the most demanding; of other values the one of the request itself (`outermost`).
    pub(super) fn see(&mut self, member: Member, seen: Seen, again: bool, outermost: bool) {
        let Some((_, known)) = self.members.iter_mut().find(|(known, _)| *known == member) else {
            self.members.push((member, seen));
            return;
        };
        let is_number = member.reading() == Reading::Number;
        let replaces = again && !known.is_one_of_many || outermost && !is_number;
        let is_one_of_many = known.is_one_of_many || !again;
        if replaces || seen.value.asks() > known.value.asks() {
            *known = seen;
        }
        known.is_one_of_many = is_one_of_many;
    }

    /// Returns the first suspicious character of a class.
    pub fn first(&self, class: Class) -> Option<&First> {
        self.first.get(class.index())?.as_ref()
    }
}

impl Value {
    /// Returns a rank by how much the value demands.
    const fn asks(self) -> (u8, u64) {
        match self {
            Self::Null | Self::Bool(_) => (0, 0),
            Self::Negative => (1, 0),
            Self::Integer(number) => (2, number),
            Self::Other => (3, 0),
        }
    }

    /// Reads a number, or a string that servers read as a number.
    pub(super) fn of_number(text: &str) -> Self {
        if let Ok(number) = text.parse() {
            return Self::Integer(number);
        }
        let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) else {
            return Self::Other;
        };
        if number.fract() != 0.0 {
            return Self::Other;
        }
        if number < 0.0 {
            return Self::Negative;
        }
        format!("{:.0}", number.abs()).parse().map_or(Self::Other, Self::Integer)
    }
}

impl Parts {
    pub(super) const fn add(&mut self, part: Part) {
        let count = match part {
            Part::Text => &mut self.text,
            Part::Image => &mut self.image,
            Part::Audio => &mut self.audio,
            Part::File => &mut self.file,
            Part::Video => &mut self.video,
            Part::Other => &mut self.other,
        };
        *count = count.saturating_add(1);
    }
}

impl Part {
    /// Returns the kind that a `type` names.
    pub(super) fn typed(name: &str) -> Self {
        match name {
            "text" | "input_text" | "output_text" | "summary_text" | "refusal" => Self::Text,
            "image" | "image_url" | "input_image" | "image_embeds" | "image_pil" => Self::Image,
            "audio" | "audio_url" | "input_audio" => Self::Audio,
            "file" | "input_file" | "document" => Self::File,
            "video" | "video_url" | "input_video" => Self::Video,
            _ => Self::Other,
        }
    }
}
