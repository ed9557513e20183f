//! The place of a text in a request, spelled as in the API's own errors (`messages[3].content[1].text`).

use super::{Key, Member};
use core::fmt;

const STEPS: usize = 10;

/// The role of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    Function,
    /// A role that no API defines.
    Other,
}

/// The place of a text. Its path ends before an unknown key, because such a key is the client's own text, and after ten
/// steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) role: Option<Role>,
    steps: [Step; STEPS],
    depth: u8,
    /// The depth of the innermost container whose members are [`Member`]s.
    top: u8,
    /// A count of the members read so far, which identifies the member's value that contains this place.
    value: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Unknown,
    Member(Member),
    Key(Key),
    Index(u32),
}

impl Role {
    /// Returns the role of this name. Letter case is ignored, because some servers fold it.
    pub(super) fn named(name: &str) -> Self {
        let roles = [
            ("system", Self::System),
            ("developer", Self::Developer),
            ("user", Self::User),
            ("assistant", Self::Assistant),
            ("tool", Self::Tool),
            ("function", Self::Function),
            // The names that Gemini and Cohere use.
            ("model", Self::Assistant),
            ("chatbot", Self::Assistant),
        ];
        let found = roles.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(Self::Other, |(_, role)| role)
    }
}

impl Place {
    pub(super) const TOP: Self =
        Self { role: None, steps: [Step::Unknown; STEPS], depth: 0, top: 0, value: 0 };

    /// Returns the innermost member around this place, in the request or in an envelope.
    pub fn member(&self) -> Option<Member> {
        match self.step(self.top.checked_sub(1)?)? {
            Step::Member(member) => Some(member),
            _ => None,
        }
    }

    /// Returns the role of the message, if it has arrived: a role may follow the content that it governs.
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// Returns the index of the message, or of the element in another list.
    pub fn index(&self) -> Option<u32> {
        match self.step(self.top)? {
            Step::Index(index) => Some(index),
            _ => None,
        }
    }

    /// Returns a number that all places within one value of a member share, and no other places.
    pub const fn value(&self) -> u32 {
        self.value
    }

    /// Returns true if both places are in the same message.
    pub fn is_in_message_of(&self, other: &Self) -> bool {
        self.value == other.value && self.index() == other.index()
    }

    /// Returns the keys within the innermost member; `None` stands for an unknown key.
    pub(super) fn keys(&self) -> impl Iterator<Item = Option<Key>> {
        let steps = self.steps.iter().take(usize::from(self.depth)).skip(usize::from(self.top));
        steps.filter_map(|step| match step {
            Step::Unknown => Some(None),
            Step::Key(key) => Some(Some(*key)),
            Step::Member(_) | Step::Index(_) => None,
        })
    }

    /// Returns the last key. Below the end of the path, that is an unknown one.
    pub(super) fn last_key(&self) -> Option<Option<Key>> {
        if usize::from(self.depth) > STEPS { Some(None) } else { self.keys().last() }
    }

    /// Descends into a container.
    pub(super) fn descend(&mut self) {
        self.depth = self.depth.saturating_add(1);
        self.at(Step::Unknown);
    }

    /// Leaves a container.
    pub(super) const fn ascend(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Makes the members of the current container those of a request. Returns the depth of the outer request, for
    /// [`Self::end_top`].
    pub(super) const fn begin_top(&mut self) -> u8 {
        core::mem::replace(&mut self.top, self.depth)
    }

    /// Returns to the outer request.
    pub(super) const fn end_top(&mut self, outer: u8) {
        self.top = outer;
    }

    /// Returns true if the next key is a member of a request.
    #[inline]
    pub(super) const fn is_top(&self) -> bool {
        self.depth == self.top
    }

    /// Returns true within the request itself, false within an envelope.
    pub(super) const fn is_outermost(&self) -> bool {
        self.top == 1
    }

    /// Returns the number of containers between the member and this place.
    #[inline]
    pub(super) const fn below_top(&self) -> u8 {
        self.depth.wrapping_sub(self.top)
    }

    /// Moves to an element of the current array.
    pub(super) fn at_index(&mut self, index: u32) {
        self.at(Step::Index(index));
    }

    /// Moves to a key of the current object.
    pub(super) fn at_key(&mut self, key: Option<Key>) {
        self.at(key.map_or(Step::Unknown, Step::Key));
    }

    /// Moves to a member of a request.
    pub(super) fn at_member(&mut self, member: Option<Member>) {
        self.value = self.value.wrapping_add(1);
        self.at(member.map_or(Step::Unknown, Step::Member));
    }

    fn at(&mut self, step: Step) {
        let last = usize::from(self.depth).wrapping_sub(1);
        if let Some(here) = self.steps.get_mut(last) {
            *here = step;
        }
    }

    fn step(&self, place: u8) -> Option<Step> {
        self.steps.get(usize::from(place)).copied().filter(|_| place < self.depth)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().take(usize::from(self.depth)).enumerate() {
            let dot = if place == 0 { "" } else { "." };
            match step {
                Step::Unknown => break,
                Step::Member(member) => write!(f, "{dot}{}", member.name())?,
                Step::Key(key) => write!(f, "{dot}{}", key.name())?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
