//! The role that a text belongs to, by its place and its message's role. A text that cannot be assigned belongs to all roles: an
//! unknown role, a role that has not arrived yet, and members that no rule here names.

use super::member::Elements;
use super::{Key, Member, Place, Role};

/// Whose a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The operator of the application: system and developer messages, `system`, `instructions`.
    System,
    /// The user: its messages, and prompts that are in no message.
    User,
    /// The model: what it said before.
    Assistant,
    /// A tool that has run.
    ToolResult,
    /// What a tool is called with.
    Arguments,
    /// Definitions of tools, and of the shape of the answer.
    Tools,
    /// Documents, templates and what they are given, a predicted answer.
    Other,
}

/// A set of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origins(u8);

/// What a text is joined to: the others of its message that are of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strand {
    /// What its role says.
    Said,
    /// What a tool answered, in a message of another role.
    Result,
    /// What a tool is called with.
    Arguments,
    /// Names, refusals, reasoning, whatever stands beside that.
    Beside,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 7] = [
        Self::System,
        Self::User,
        Self::Assistant,
        Self::ToolResult,
        Self::Arguments,
        Self::Tools,
        Self::Other,
    ];

    const fn bit(self) -> u8 {
        match self {
            Self::System => 1,
            Self::User => 1 << 1,
            Self::Assistant => 1 << 2,
            Self::ToolResult => 1 << 3,
            Self::Arguments => 1 << 4,
            Self::Tools => 1 << 5,
            Self::Other => 1 << 6,
        }
    }
}

impl Origins {
    /// Every origin.
    pub const ALL: Self = Self(0x7F);

    /// The set of these origins.
    pub fn of(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self(origins.into_iter().fold(0, |bits, origin| bits | origin.bit()))
    }

    /// Whether one is of these and of the others.
    pub const fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether all of the others are of these.
    pub const fn covers(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl From<Origin> for Origins {
    fn from(origin: Origin) -> Self {
        Self(origin.bit())
    }
}

impl Strand {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Said, Self::Result, Self::Arguments, Self::Beside];

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Said => 0,
            Self::Result => 1,
            Self::Arguments => 2,
            Self::Beside => 3,
        }
    }
}

impl Place {
    /// What its text is joined to.
    pub fn strand(&self) -> Strand {
        if self.holds_arguments() {
            return Strand::Arguments;
        }
        let is_said = match self.last_key() {
            Some(Some(Key::Content | Key::Text | Key::Output)) | None => true,
            Some(_) => false,
        };
        match () {
            () if !is_said => Strand::Beside,
            () if self.holds_result() => Strand::Result,
            () => Strand::Said,
        }
    }

    /// Whose its text may be.
    pub fn origins(&self) -> Origins {
        let by_role = match self.role() {
            Some(Role::System | Role::Developer) => Some(Origin::System),
            Some(Role::User) => Some(Origin::User),
            Some(Role::Assistant) => Some(Origin::Assistant),
            Some(Role::Tool | Role::Function) => Some(Origin::ToolResult),
            Some(Role::Other) | None => None,
        };
        let is_alone = self.index().is_none() && self.keys().next().is_none();
        let by_member = match self.member() {
            Some(member) if member.elements() == Elements::Messages => None,
            Some(Member::Input | Member::Items) if self.role().is_none() && self.is_element() => {
                Some(Origin::User)
            }
            Some(Member::Input | Member::Items) if self.index().is_some() => None,
            Some(Member::Text) if !is_alone && !self.is_element() => return Origin::Tools.into(),
            Some(member) if matches!(member.elements(), Elements::Prompts | Elements::Items) => {
                Some(Origin::User)
            }
            Some(
                Member::Suffix
                | Member::Query
                | Member::Message
                | Member::Content
                | Member::InputPrefix
                | Member::InputSuffix,
            ) => Some(Origin::User),
            Some(Member::Tools | Member::Functions | Member::ToolConfig | Member::ResponseFormat) => {
                return Origin::Tools.into();
            }
            Some(Member::ToolResults) => return Origin::ToolResult.into(),
            Some(Member::Arguments) => return Origin::Arguments.into(),
            Some(
                Member::Prediction
                | Member::Documents
                | Member::InputExtra
                | Member::Context
                | Member::Template
                | Member::ChatTemplate
                | Member::ChatTemplateKwargs,
            ) => return Origin::Other.into(),
            _ => None,
        };
        let origin = match () {
            () if self.holds_arguments() => Some(Origin::Arguments),
            () if self.holds_result() => Some(Origin::ToolResult),
            () => by_role.or(by_member),
        };
        origin.map_or(Origins::ALL, Origins::from)
    }

    /// The same, of a message of this role.
    #[must_use]
    pub const fn in_role(mut self, role: Option<Role>) -> Self {
        self.role = role;
        self
    }

    fn is_list_of_messages(&self) -> bool {
        let lists = [Elements::Messages, Elements::Items, Elements::Prompts];
        let is_one = |member: Member| lists.contains(&member.elements()) && member != Member::Text;
        self.index().is_some() && self.member().is_some_and(is_one)
    }

    /// In `tool_calls[].function.arguments`, `function_call.arguments`, an item of responses, or Anthropic's `input`.
    fn holds_arguments(&self) -> bool {
        let is_call = |key| matches!(key, Some(Key::Arguments | Key::Input | Key::Args));
        self.is_list_of_messages() && self.keys().any(is_call)
    }

    /// In an item `output` of responses, or in a content part that has content itself, as Anthropic's `tool_result`.
    fn holds_result(&self) -> bool {
        let mut contents = self.keys().filter(|key| matches!(key, Some(Key::Content)));
        let is_nested = contents.next().is_some() && contents.next().is_some();
        self.is_list_of_messages()
            && (is_nested
                || matches!(self.keys().next(), Some(Some(Key::Output)))
                || self.keys().any(|key| matches!(key, Some(Key::Response))))
    }

    fn is_element(&self) -> bool {
        self.index().is_some() && self.keys().next().is_none()
    }
}
