//! Where in a request a text stands, as the API's errors name it (`messages[3].content[1].text`).

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
    /// One that the API does not know.
    Other,
}

/// Where a text stands. Its path ends before a key that is not known by name, since that is the client's own text, and
/// after ten steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) role: Option<Role>,
    steps: [Step; STEPS],
    depth: u8,
    /// Of the containers that it is in, the innermost whose members are [`Member`]s.
    top: u8,
    /// Of all values of members that have been read, the one that it is in.
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
    /// As servers name it, in any letter case, since some fold it.
    pub(super) fn named(name: &str) -> Self {
        let roles = [
            ("system", Self::System),
            ("developer", Self::Developer),
            ("user", Self::User),
            ("assistant", Self::Assistant),
            ("tool", Self::Tool),
            ("function", Self::Function),
            // Gemini's and Cohere's.
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

    /// The innermost member that it is in, of the request or of what holds the rest of it.
    pub fn member(&self) -> Option<Member> {
        match self.step(self.top.checked_sub(1)?)? {
            Step::Member(member) => Some(member),
            _ => None,
        }
    }

    /// Whose message it is in, if the message has said so yet: a role may come behind the content that it is for.
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// The message, or the element of another list, that it is in.
    pub fn index(&self) -> Option<u32> {
        match self.step(self.top)? {
            Step::Index(index) => Some(index),
            _ => None,
        }
    }

    /// The same for all places in one value of a member, wherever that stands.
    pub const fn value(&self) -> u32 {
        self.value
    }

    /// Whether another place is in the same message.
    pub fn is_in_message_of(&self, other: &Self) -> bool {
        self.value == other.value && self.index() == other.index()
    }

    /// The keys that it is under, within the innermost member; `None` for one that is not known by name.
    pub(super) fn keys(&self) -> impl Iterator<Item = Option<Key>> {
        let steps = self.steps.iter().take(usize::from(self.depth)).skip(usize::from(self.top));
        steps.filter_map(|step| match step {
            Step::Unknown => Some(None),
            Step::Key(key) => Some(Some(*key)),
            Step::Member(_) | Step::Index(_) => None,
        })
    }

    /// The last of them; what is deeper than the path goes is under one that is not known.
    pub(super) fn last_key(&self) -> Option<Option<Key>> {
        if usize::from(self.depth) > STEPS { Some(None) } else { self.keys().last() }
    }

    /// Enters a container.
    pub(super) fn descend(&mut self) {
        self.depth = self.depth.saturating_add(1);
        self.at(Step::Unknown);
    }

    /// Leaves a container.
    pub(super) const fn ascend(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// The members of the container that was descended into are those of a request. What it is in instead so far.
    pub(super) const fn begin_top(&mut self) -> u8 {
        core::mem::replace(&mut self.top, self.depth)
    }

    /// They are no more.
    pub(super) const fn end_top(&mut self, outer: u8) {
        self.top = outer;
    }

    /// Whether a member of a request would be the next that is read.
    #[inline]
    pub(super) const fn is_top(&self) -> bool {
        self.depth == self.top
    }

    /// Whether these members are of the request itself.
    pub(super) const fn is_outermost(&self) -> bool {
        self.top == 1
    }

    /// So many containers inside a member's value.
    #[inline]
    pub(super) const fn below_top(&self) -> u8 {
        self.depth.wrapping_sub(self.top)
    }

    /// To an element of the array that was descended into.
    pub(super) fn at_index(&mut self, index: u32) {
        self.at(Step::Index(index));
    }

    /// To a member of the object that was descended into.
    pub(super) fn at_key(&mut self, key: Option<Key>) {
        self.at(key.map_or(Step::Unknown, Step::Key));
    }

    /// To a member of a request.
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
