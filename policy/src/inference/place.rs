//! Where in a request a text stands, as the API's errors name it (`messages[3].content[1].text`).

use super::{Key, Member};
use core::fmt;

const STEPS: usize = 8;

/// Who speaks.
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
/// after eight steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) member: Option<Member>,
    pub(super) role: Option<Role>,
    steps: [Step; STEPS],
    depth: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Unknown,
    Key(Key),
    Index(u32),
}

impl Role {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" => Self::Tool,
            "function" => Self::Function,
            _ => Self::Other,
        }
    }
}

impl Place {
    pub(super) const TOP: Self = Self { member: None, role: None, steps: [Step::Unknown; STEPS], depth: 0 };

    /// The member of the top level that it is in.
    pub const fn member(&self) -> Option<Member> {
        self.member
    }

    /// Whose message it is in, if the message has said so yet: a role may come behind the content that it is for.
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// The message, or the element of another list, that it is in.
    pub fn index(&self) -> Option<u32> {
        match self.steps.first() {
            Some(Step::Index(index)) if self.depth > 0 => Some(*index),
            _ => None,
        }
    }

    /// The keys that it is under, within the member of the top level; `None` for one that is not known by name.
    pub(super) fn keys(&self) -> impl Iterator<Item = Option<Key>> {
        self.steps.iter().take(usize::from(self.depth)).filter_map(|step| match step {
            Step::Unknown => Some(None),
            Step::Key(key) => Some(Some(*key)),
            Step::Index(_) => None,
        })
    }

    /// The last of them; what is deeper than the path goes is under one that is not known.
    pub(super) fn last_key(&self) -> Option<Option<Key>> {
        if usize::from(self.depth) > STEPS { Some(None) } else { self.keys().last() }
    }

    /// Into a container.
    pub(super) fn descend(&mut self) {
        self.depth = self.depth.saturating_add(1);
        self.step(Step::Unknown);
    }

    /// Out of one.
    pub(super) const fn ascend(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// To an element of the array that was descended into.
    pub(super) fn at_index(&mut self, index: u32) {
        self.step(Step::Index(index));
    }

    /// To a member of the object that was descended into.
    pub(super) fn at_key(&mut self, key: Option<Key>) {
        self.step(key.map_or(Step::Unknown, Step::Key));
    }

    fn step(&mut self, step: Step) {
        let last = usize::from(self.depth).wrapping_sub(1);
        if let Some(here) = self.steps.get_mut(last) {
            *here = step;
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(member) = self.member else { return Ok(()) };
        f.write_str(member.name())?;
        for step in self.steps.iter().take(usize::from(self.depth)) {
            match step {
                Step::Unknown => break,
                Step::Key(key) => write!(f, ".{}", key.name())?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
