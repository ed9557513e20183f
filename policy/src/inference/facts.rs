//! What is known of a request so far.

use super::reading::Reading;
use super::{Class, Member, Place, Suspect};
use core::ops::Range;

/// What is known of a request so far. All counts saturate.
#[derive(Clone, Debug)]
pub struct Facts {
    pub(super) model: Option<Model>,
    /// The members that were found, each once.
    pub(super) members: Vec<(Member, Seen)>,
    /// What holds the rest of the request, and where its members begin.
    pub(super) holders: Vec<(Member, u64)>,
    pub(super) first: [Option<First>; Class::ALL.len()],
    /// The body's outermost value is an object: no other body is a request.
    pub is_object: bool,
    /// Unicode scalar values in all texts together.
    pub characters: u64,
    /// Unicode scalar values in the longest message, or in the longest element of another list of texts, or in a text
    /// that is in no list.
    pub longest_message: u64,
    /// Elements of `messages` and the like, and of `input` those that are objects.
    pub messages: u64,
    /// Texts, or lists of token ids, of `prompt`, `input` and the like: as many as the model runs for.
    pub prompts: u64,
    /// Token ids in these.
    pub token_ids: u64,
    /// Content parts by kind.
    pub parts: Parts,
    /// Pixels of all pictures whose data stand in the body and tell.
    pub pixels: u64,
    /// Tokens that the model may think, of the completion tokens: `thinking.budget_tokens`.
    pub thinking_budget: Option<Seen>,
    /// Elements of `tools` and `functions`.
    pub tools: u64,
    /// Sequences and tokens that end an answer.
    pub stops: u64,
    /// Tokens that are made likelier, or the only ones.
    pub biases: u64,
    /// Unicode scalar values of schemas, grammars and expressions that a decoder is made to follow, and of what ends an answer.
    pub guided: u64,
    /// The most that a part of these is repeated, by counts in counts.
    pub repeats: u64,
    /// Containers at their deepest, 1 for a container of scalars.
    pub depth: u8,
    /// The first member or key that is known and occurred twice in its object; the facts are of the last occurrence, and
    /// texts of all are heard.
    pub duplicate: Option<Place>,
    /// The first object that took back, behind its data, that these are encoded: they were not heard.
    pub retyped: Option<Place>,
    /// A key occurred twice in some object. Known only when fingerprints are made, and among the first members that
    /// [`Scanner`](super::Scanner) remembers.
    pub repeated_key: bool,
}

/// A model's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Its first 256 bytes, at most.
    pub name: String,
    /// Whether the name was longer and has been cut.
    pub is_cut: bool,
}

/// A member of the top level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The value of the member.
    pub value: Value,
    /// Where its key begins, the quote included.
    pub key_at: u64,
    /// Where its value is.
    pub range: Range<u64>,
    /// Its name is written to the letter, so that every server knows it.
    pub is_exact: bool,
    /// It is of the request itself, and not of what holds the rest of it.
    pub is_own: bool,
    /// There are others of it elsewhere in the body: this is the one that asks for most.
    pub is_one_of_many: bool,
}

/// A value, as far as a limit cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, which the APIs take for absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that is not negative, as servers read it: `100`, `100.0`, `1e2` and `"100"` are one.
    Integer(u64),
    /// A negative whole number: some servers take it for no limit, and others refuse it.
    Negative,
    /// Any other value, such as a fraction, a text or a list.
    Other,
}

/// The first suspicious character of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// The character.
    pub suspect: Suspect,
    /// The place of its text.
    pub place: Place,
}

/// Content parts by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Text and what has no other kind.
    pub text: u64,
    /// Images.
    pub image: u64,
    /// Sound.
    pub audio: u64,
    /// Files and documents.
    pub file: u64,
    /// Videos.
    pub video: u64,
    /// Calls of tools and their results, and what is not known.
    pub other: u64,
}

/// Of a part that carries several, the last of these counts.
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

    /// The model's name, if it is a string.
    pub const fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// Whether the answer is to be streamed.
    pub fn stream(&self) -> bool {
        self.member(Member::Stream).is_some_and(|seen| seen.value == Value::Bool(true))
    }

    /// How many completion tokens are asked for at most, if a whole number says so.
    pub fn completion_tokens(&self) -> Option<u64> {
        let written = Member::COMPLETION_TOKENS.into_iter().filter_map(|member| self.member(member));
        let number = |seen: &Seen| if let Value::Integer(tokens) = seen.value { Some(tokens) } else { None };
        written.filter_map(number).min()
    }

    /// Whether an answer says no more than this request asks: it is not made later, and nothing is added to for it.
    pub fn stands_alone(&self) -> bool {
        let absent = |value| matches!(value, Value::Null | Value::Bool(false));
        let members = [Member::Background, Member::Conversation];
        members.into_iter().all(|member| self.member(member).is_none_or(|seen| absent(seen.value)))
    }

    /// A member, once it is complete: of the request itself, or of what holds the rest of it.
    pub fn member(&self, member: Member) -> Option<&Seen> {
        self.members.iter().find(|(seen, _)| *seen == member).map(|(_, seen)| seen)
    }

    /// Where the members begin of an object in the request that holds the rest of it, behind its brace.
    pub fn holder(&self, member: Member) -> Option<u64> {
        self.holders.iter().find(|(holder, _)| *holder == member).map(|(_, open)| *open)
    }

    /// Whether a model is asked about anything.
    pub fn asks(&self) -> bool {
        self.members.iter().any(|(member, seen)| member.asks() && seen.value != Value::Null)
    }

    /// A member's value is complete. Of several in one object the last counts (`again`: there was one), of numbers in different
    /// ones the one that asks for most, and of others that of the request itself (`outermost`).
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

    /// The first suspicious character of a class.
    pub fn first(&self, class: Class) -> Option<&First> {
        self.first.get(class.index())?.as_ref()
    }
}

impl Value {
    /// How much it asks for, to be compared.
    const fn asks(self) -> (u8, u64) {
        match self {
            Self::Null | Self::Bool(_) => (0, 0),
            Self::Negative => (1, 0),
            Self::Integer(number) => (2, number),
            Self::Other => (3, 0),
        }
    }

    /// Of a number, or of a string that servers read as one.
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
    /// Of a part of this `type`.
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
