//! Judges a prompt as it streams in: its size in total, per message and per role, its characters, and the work that it
//! asks for. A rule is broken at most once, at the first character or value that breaks it. A breach is identified by
//! place and size, never by text.
//!
//! Until its role arrives, a message counts for every role, so clients gain nothing by writing the role last.

mod watched;

#[cfg(test)]
mod tests;

pub use watched::Denied;

use crate::inference::{Class, Facts, Member, Place, Role, Suspect, TextSink, Value};
use crate::strips::Strips;
use watched::{Broken, Watched};

/// The treatment of suspicious characters of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Leaves them in place.
    Allow,
    /// Removes the harmful ones.
    Strip,
    /// Refuses the request if one is harmful.
    Reject,
}

/// The limits of a prompt. `None` means no limit.
#[derive(Clone, Debug)]
pub struct PromptLimits {
    /// Unicode scalar values in all texts together.
    pub characters: Option<u64>,
    /// Unicode scalar values in one message.
    pub message_characters: Option<u64>,
    /// Unicode scalar values in all messages of a role.
    pub role_characters: Vec<(Role, u64)>,
    /// Number of messages.
    pub messages: Option<u64>,
    /// Number of texts or lists of token ids, for each of which the model runs once.
    pub prompts: Option<u64>,
    /// Token ids in all prompts.
    pub token_ids: Option<u64>,
    /// Number of tools and functions.
    pub tools: Option<u64>,
    /// Number of images.
    pub images: Option<u64>,
    /// Pixels of the images whose data are in the body.
    pub pixels: Option<u64>,
    /// Number of audio parts.
    pub audios: Option<u64>,
    /// Number of videos.
    pub videos: Option<u64>,
    /// Completion tokens that the request may ask for.
    pub completion_tokens: Option<u64>,
    /// Choices, or candidates for them, that the request may ask for.
    pub choices: Option<u64>,
    /// Prompts times choices times completion tokens.
    pub work: Option<u64>,
    /// Log probabilities for each token.
    pub logprobs: Option<u64>,
    /// Number of stop conditions.
    pub stops: Option<u64>,
    /// Number of biased or allowed tokens.
    pub biases: Option<u64>,
    /// Unicode scalar values of constraints on decoding.
    pub guided: Option<u64>,
    /// The product of nested repetition counts in these.
    pub repeats: Option<u64>,
    /// True if a member, or a key of a message, may occur twice.
    pub duplicate_keys: bool,
    /// The treatment of each class, in the order of [`Class::ALL`].
    pub classes: [Treatment; 4],
}

/// A rule of [`PromptLimits`], or a denied text by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Too many characters.
    Characters,
    /// Too many characters in one message.
    MessageCharacters,
    /// Too many characters in one role; its index in the list.
    RoleCharacters(usize),
    /// Too many messages.
    Messages,
    /// Too many prompts.
    Prompts,
    /// Too many token ids.
    TokenIds,
    /// Too many tools and functions.
    Tools,
    /// Too many images.
    Images,
    /// Too many pixels.
    Pixels,
    /// Too many audio parts.
    Audios,
    /// Too many videos.
    Videos,
    /// Too many completion tokens, requested by this member.
    CompletionTokens(Member),
    /// Too many choices, requested by this member.
    Choices(Member),
    /// Too many prompts times choices times completion tokens.
    Work,
    /// Too many log probabilities, requested by this member.
    Logprobs(Member),
    /// Too many stop conditions.
    Stops,
    /// Too many biased or allowed tokens.
    Biases,
    /// Too long a schema, grammar or expression.
    Guided,
    /// Too many repetitions in one of these.
    Repeats,
    /// A member or key that occurs twice.
    DuplicateKey,
    /// A harmful character of this class.
    Forbidden(Class),
    /// A text that matches the rule with this index.
    Denied(usize),
}

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The broken rule; a request breaks each at most once.
    pub rule: Rule,
    /// The text that breaks the rule, if it concerns texts.
    pub place: Option<Place>,
    /// The number found, as a lower bound, or 0 if the rule counts nothing. For [`Rule::Forbidden`] it is the
    /// character's code point.
    pub found: u64,
}

/// The state of one prompt.
#[derive(Debug, Default)]
pub struct Heard {
    characters: u64,
    message: u64,
    at: Option<Place>,
    roles: Vec<u64>,
    watched: Watched,
    sealed: u64,
    /// True once an enforced rule on texts is broken. All further texts are ignored.
    refused: bool,
    /// The characters to be removed.
    pub strips: Strips,
    broken: Vec<Rule>,
    new: Vec<Breach>,
}

/// Judges a prompt's texts by limits and denied texts.
pub struct Listener<'a> {
    /// The limits of the prompt.
    pub limits: &'a PromptLimits,
    /// The rules on what texts may not say.
    pub denied: Option<&'a Denied>,
    /// Returns true for a rule that refuses the request, and false for one that only counts.
    pub enforces: &'a dyn Fn(Rule) -> bool,
    /// The state of the prompt.
    pub heard: &'a mut Heard,
}

impl Heard {
    /// Returns the rules broken since the last call: first the rules on texts, in the order of their breaches, then the
    /// rules on `facts`.
    pub fn breaches(&mut self, limits: &PromptLimits, facts: &Facts) -> Vec<Breach> {
        for (rule, found, limit) in [
            (Rule::Messages, facts.messages, limits.messages),
            (Rule::Prompts, facts.prompts, limits.prompts),
            (Rule::TokenIds, facts.token_ids, limits.token_ids),
            (Rule::Tools, facts.tools, limits.tools),
            (Rule::Images, facts.parts.image, limits.images),
            (Rule::Pixels, facts.pixels, limits.pixels),
            (Rule::Audios, facts.parts.audio, limits.audios),
            (Rule::Videos, facts.parts.video, limits.videos),
            (Rule::Stops, facts.stops, limits.stops),
            (Rule::Biases, facts.biases, limits.biases),
            (Rule::Repeats, facts.repeats, limits.repeats),
            (Rule::Guided, facts.guided, limits.guided),
        ] {
            self.limit(rule, None, found, limit);
        }
        for member in Member::COMPLETION_TOKENS {
            let rule = Rule::CompletionTokens(member);
            self.limit(rule, None, asked(facts, member), limits.completion_tokens);
        }
        for member in Member::CHOICES {
            self.limit(Rule::Choices(member), None, asked(facts, member), limits.choices);
        }
        for member in Member::LOGPROBS {
            // A negative number asks for the log probabilities of the whole vocabulary.
            let all = facts.member(member).is_some_and(|seen| seen.value == Value::Negative);
            let found = if all { u64::MAX } else { asked(facts, member) };
            self.limit(Rule::Logprobs(member), None, found, limits.logprobs);
        }
        let duplicate = facts.duplicate.filter(|_| !limits.duplicate_keys).or(facts.retyped);
        if let Some(place) = duplicate {
            self.breach(Rule::DuplicateKey, Some(&place), 0);
        }
        core::mem::take(&mut self.new)
    }

    fn limit(&mut self, rule: Rule, place: Option<&Place>, found: u64, limit: Option<u64>) {
        if limit.is_some_and(|limit| found > limit) {
            self.breach(rule, place, found);
        }
    }

    fn breach(&mut self, rule: Rule, place: Option<&Place>, found: u64) {
        if !self.broken.contains(&rule) {
            self.broken.push(rule);
            self.new.push(Breach { rule, place: place.copied(), found });
        }
    }
}

/// Returns prompts times choices times completion tokens, of which at most `most` will be generated.
pub fn work(facts: &Facts, most: Option<u64>) -> u64 {
    let largest = |members: &[Member]| {
        let asked = members.iter().map(|member| asked(facts, *member)).filter(|asked| *asked < u64::MAX);
        asked.max().unwrap_or(0).max(1)
    };
    let tokens = largest(&Member::COMPLETION_TOKENS).min(most.unwrap_or(u64::MAX));
    facts.prompts.max(1).saturating_mul(largest(&Member::CHOICES)).saturating_mul(tokens)
}

/// Returns the number that a member asks for. A value that no server accepts exceeds every limit.
fn asked(facts: &Facts, member: Member) -> u64 {
    match facts.member(member).map(|seen| seen.value) {
        Some(Value::Integer(number)) => number,
        Some(Value::Other) => u64::MAX,
        Some(Value::Null | Value::Bool(_) | Value::Negative) | None => 0,
    }
}

impl Listener<'_> {
    /// Ends the prompt.
    pub fn finish(&mut self) {
        if let Some(place) = self.heard.at {
            self.end_message(&place);
        }
    }

    fn begin_text(&mut self, place: &Place) {
        if let Some(before) = self.heard.at.filter(|before| !before.is_in_message_of(place)) {
            self.end_message(&before);
        }
        self.heard.at = Some(*place);
    }

    fn end_message(&mut self, place: &Place) {
        (self.heard.at, self.heard.message) = (None, 0);
        if let Some(denied) = self.denied.filter(|_| !self.heard.refused) {
            let broken = self.heard.watched.end_of_message(denied, place);
            self.says(broken);
        }
    }

    fn watch(&mut self, place: &Place, text: &str) {
        if let Some(denied) = self.denied.filter(|_| !self.heard.refused) {
            let broken = self.heard.watched.piece(denied, place, text);
            self.says(broken);
        }
    }

    #[inline]
    fn says(&mut self, broken: Option<Broken>) {
        let Some((mut left, place)) = broken else { return };
        while left != 0 && !self.heard.refused {
            let lowest = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            self.breach(Rule::Denied(usize::try_from(lowest).unwrap_or(0)), &place, 0);
        }
    }

    fn breach(&mut self, rule: Rule, place: &Place, found: u64) {
        self.heard.breach(rule, Some(place), found);
        self.heard.refused = self.heard.refused || (self.enforces)(rule);
    }

    fn limit(&mut self, rule: Rule, place: &Place, found: u64, limit: Option<u64>) {
        if limit.is_some_and(|limit| found > limit) {
            self.breach(rule, place, found);
        }
    }

    fn count(&mut self, place: &Place, count: u64) {
        let limits = self.limits;
        let number = |index: u32| u64::from(index).saturating_add(1);
        if place.member() == Some(Member::Messages) {
            self.limit(Rule::Messages, place, place.index().map_or(0, number), limits.messages);
        }
        self.heard.characters = self.heard.characters.saturating_add(count);
        self.limit(Rule::Characters, place, self.heard.characters, limits.characters);
        if limits.message_characters.is_some() {
            self.heard.message = self.heard.message.saturating_add(count);
            self.limit(Rule::MessageCharacters, place, self.heard.message, limits.message_characters);
        }
        if limits.role_characters.is_empty() {
            return;
        }
        self.heard.roles.resize(limits.role_characters.len(), 0);
        let in_messages = place.member().is_some_and(Member::holds_messages);
        for (index, (role, limit)) in limits.role_characters.iter().enumerate() {
            let counts = match place.role() {
                Some(found) => found == *role,
                None => in_messages || *role == Role::User,
            };
            if let Some(total) = self.heard.roles.get_mut(index).filter(|_| counts) {
                *total = total.saturating_add(count);
                let total = *total;
                self.limit(Rule::RoleCharacters(index), place, total, Some(*limit));
            }
        }
    }
}

impl TextSink for Listener<'_> {
    fn piece(&mut self, place: &Place, text: &str) {
        if self.heard.refused {
            return;
        }
        self.begin_text(place);
        self.count(place, u64::try_from(text.chars().count()).unwrap_or(u64::MAX));
        self.watch(place, text);
    }

    fn end_of_text(&mut self, place: &Place) {
        if self.heard.refused {
            return;
        }
        self.begin_text(place);
        if let Some(denied) = self.denied {
            self.heard.watched.end_of_text(denied, place);
        }
        if place.index().is_none() {
            self.end_message(place);
        }
    }

    fn end_of_message(&mut self, place: &Place) {
        if self.heard.refused {
            return;
        }
        self.begin_text(place);
        self.end_message(place);
    }

    fn suspect(&mut self, place: &Place, suspect: &Suspect) {
        if self.heard.refused || !suspect.is_harmful {
            return;
        }
        let treatment = Class::ALL.iter().position(|class| *class == suspect.class);
        match treatment.and_then(|index| self.limits.classes.get(index)) {
            Some(Treatment::Strip) => self.heard.strips.add(place, suspect),
            Some(Treatment::Reject) => {
                self.breach(Rule::Forbidden(suspect.class), place, u64::from(suspect.character));
            }
            Some(Treatment::Allow) | None => {}
        }
    }

    /// Signed text does not count, so it is searched only up to the limit for text.
    fn sealed(&mut self, place: &Place, text: &str) {
        let count = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        self.heard.sealed = self.heard.sealed.saturating_add(count);
        if self.heard.refused || self.limits.characters.is_some_and(|most| self.heard.sealed > most) {
            return;
        }
        self.begin_text(place);
        self.watch(place, text);
    }

    fn unheard(&mut self, place: &Place, characters: u64) {
        if !self.heard.refused {
            self.count(place, characters);
        }
    }
}
