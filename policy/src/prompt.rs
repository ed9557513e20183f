//! Limits on a prompt, checked while it arrives: its size in total, in one message and for one role; the characters that it may
//! contain; the work that it may ask for. A rule is broken once, at the first character or value that breaks it, and the breach is
//! reported by place and size, never by its text.
//!
//! A message whose role comes after its content counts for every role until then, so nobody gains by that order.

mod watched;

#[cfg(test)]
mod tests;

pub use watched::Denied;

use crate::inference::{Class, Facts, Member, Place, Role, Suspect, TextSink, Value};
use crate::strips::Strips;
use watched::{Broken, Watched};

/// What to do with characters of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Leaves such characters in the text.
    Allow,
    /// Take out those that harm.
    Strip,
    /// Refuse the request for one that harms.
    Reject,
}

/// What a prompt may be. `None` is no limit.
#[derive(Clone, Debug)]
pub struct PromptLimits {
    /// Unicode scalar values in all texts together.
    pub characters: Option<u64>,
    /// The maximum number of characters in one message.
    pub message_characters: Option<u64>,
    /// In all messages of a role.
    pub role_characters: Vec<(Role, u64)>,
    /// Messages.
    pub messages: Option<u64>,
    /// Texts or lists of token ids that the model runs for.
    pub prompts: Option<u64>,
    /// Token ids.
    pub token_ids: Option<u64>,
    /// Tools and functions.
    pub tools: Option<u64>,
    /// Images.
    pub images: Option<u64>,
    /// Pixels of pictures whose data stand in the body.
    pub pixels: Option<u64>,
    /// Recordings.
    pub audios: Option<u64>,
    /// Videos.
    pub videos: Option<u64>,
    /// Completion tokens asked for.
    pub completion_tokens: Option<u64>,
    /// Choices asked for, or picked from.
    pub choices: Option<u64>,
    /// Prompts times choices times completion tokens.
    pub work: Option<u64>,
    /// Log probabilities for each token.
    pub logprobs: Option<u64>,
    /// Sequences that end an answer.
    pub stops: Option<u64>,
    /// Tokens that are made likelier.
    pub biases: Option<u64>,
    /// Unicode scalar values of what a decoder is made to follow.
    pub guided: Option<u64>,
    /// How often a part of that is repeated, by counts in counts.
    pub repeats: Option<u64>,
    /// Whether a member, or a key of a message, may occur twice.
    pub duplicate_keys: bool,
    /// In the order of [`Class::ALL`].
    pub classes: [Treatment; 4],
}

/// A rule of [`PromptLimits`], or a denied text by its place in their list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Too many characters.
    Characters,
    /// Too many characters in one message.
    MessageCharacters,
    /// In one role; its place in the list.
    RoleCharacters(usize),
    /// Too many messages.
    Messages,
    /// Too many prompts.
    Prompts,
    /// Too many token ids.
    TokenIds,
    /// Too many tools.
    Tools,
    /// Too many images.
    Images,
    /// Too many pixels.
    Pixels,
    /// Too many recordings.
    Audios,
    /// Too many videos.
    Videos,
    /// Too many completion tokens, asked for by this member.
    CompletionTokens(Member),
    /// Too many choices, asked for by this member.
    Choices(Member),
    /// Too many prompts times choices times completion tokens.
    Work,
    /// Too many log probabilities, asked for by this member.
    Logprobs(Member),
    /// Too many sequences that end an answer.
    Stops,
    /// Too many tokens made likelier.
    Biases,
    /// Too long a schema, grammar or expression.
    Guided,
    /// A part of one that is repeated too often.
    Repeats,
    /// A member or a key occurs twice.
    DuplicateKey,
    /// A character of this class.
    Forbidden(Class),
    /// A text that matches this pattern.
    Denied(usize),
}

/// That a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule that was broken.
    pub rule: Rule,
    /// Where, if it is in a text.
    pub place: Option<Place>,
    /// How many there are at the least; 0 where that is not the question.
    pub found: u64,
}

/// One prompt, as far as it has come.
#[derive(Debug, Default)]
pub struct Heard {
    characters: u64,
    message: u64,
    at: Option<Place>,
    roles: Vec<u64>,
    watched: Watched,
    sealed: u64,
    /// An enforced rule on texts is broken: nothing of the others is looked at any more.
    refused: bool,
    /// What is to be taken out.
    pub strips: Strips,
    broken: Vec<Rule>,
    new: Vec<Breach>,
}

/// Hears a prompt's texts under limits and denied texts.
pub struct Listener<'a> {
    /// What it may be.
    pub limits: &'a PromptLimits,
    /// What it must not say.
    pub denied: Option<&'a Denied>,
    /// Whether a broken rule refuses the request, and does not just count.
    pub enforces: &'a dyn Fn(Rule) -> bool,
    /// What has been heard.
    pub heard: &'a mut Heard,
}

impl Heard {
    /// The rules that were broken since the last call: first those on texts, in the order in which they were, then those
    /// on what is known of the request, `facts`.
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
            // A negative number asks for those of all tokens that the model knows.
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

/// Prompts times choices times completion tokens, of which no more than `most` are made.
pub fn work(facts: &Facts, most: Option<u64>) -> u64 {
    let largest = |members: &[Member]| {
        let asked = members.iter().map(|member| asked(facts, *member)).filter(|asked| *asked < u64::MAX);
        asked.max().unwrap_or(0).max(1)
    };
    let tokens = largest(&Member::COMPLETION_TOKENS).min(most.unwrap_or(u64::MAX));
    facts.prompts.max(1).saturating_mul(largest(&Member::CHOICES)).saturating_mul(tokens)
}

/// What a member asks for: a number that is none a server would take counts as more than any limit.
fn asked(facts: &Facts, member: Member) -> u64 {
    match facts.member(member).map(|seen| seen.value) {
        Some(Value::Integer(number)) => number,
        Some(Value::Other) => u64::MAX,
        Some(Value::Null | Value::Bool(_) | Value::Negative) | None => 0,
    }
}

impl Listener<'_> {
    /// No more texts come.
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

    /// It counts for nothing, and so it is looked through only as far as text may go.
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
