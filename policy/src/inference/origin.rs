//! The origin of a text, from its place and the role of its message. A text of uncertain origin belongs to every
//! origin: its role is unknown or has not arrived yet, or no rule here names its member.

use super::member::Elements;
use super::{Key, Member, Place, Role};

/// The party that a text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The application's operator: system and developer messages, `system`, `instructions`.
    System,
    /// The user: user messages, and prompts outside messages.
    User,
    /// The model's earlier responses.
    Assistant,
    /// The results of tools.
    ToolResult,
    /// The arguments of tool calls.
    Arguments,
    /// Definitions of tools and of the response format.
    Tools,
    /// Documents, templates and their variables, predicted output.
    Other,
}

/// A set of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origins(u8);

/// The strand of a message that a text continues. Texts of the same strand are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strand {
    /// The content of the message.
    Said,
    /// The result of a tool, in a message of another role.
    Result,
    /// The arguments of a tool call.
    Arguments,
    /// Names, refusals, reasoning and everything else.
    Beside,
}

impl Origin {
    /// All origins.
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
    /// All origins.
    pub const ALL: Self = Self(0x7F);

    /// Builds a set of these origins.
    pub fn of(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self(origins.into_iter().fold(0, |bits, origin| bits | origin.bit()))
    }

    /// Returns true if the two sets have an origin in common.
    pub const fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Returns true if `others` is a subset.
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
    /// All strands.
    pub const ALL: [Self; 4] = [Self::Said, Self::Result, Self::Arguments, Self::Beside];

    /// Returns the strand's position in [`Self::ALL`].
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
    /// Returns the strand that the text at this place continues.
    pub fn strand(&self) -> Strand {
        if self.holds_arguments() {
            return Strand::Arguments;
        }
        let is_said = match self.last_key() {
            Some(Some(Key::Content | Key::Text | Key::Output)) | None => true,
            Some(_) => false,
        };
        if !is_said {
            Strand::Beside
        } else if self.holds_result() {
            Strand::Result
        } else {
            Strand::Said
        }
    }

    /// Returns every origin that the text at this place may have.
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
        let origin = if self.holds_arguments() {
            Some(Origin::Arguments)
        } else if self.holds_result() {
            Some(Origin::ToolResult)
        } else {
            by_role.or(by_member)
        };
        origin.map_or(Origins::ALL, Origins::from)
    }

    /// Returns the same place in a message of another role.
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

    /// Returns true within `tool_calls[].function.arguments`, `function_call.arguments`, an item of the Responses API,
    /// or Anthropic's `input`.
    fn holds_arguments(&self) -> bool {
        let is_call = |key| matches!(key, Some(Key::Arguments | Key::Input | Key::Args));
        self.is_list_of_messages() && self.keys().any(is_call)
    }

    /// Returns true within an `output` item of the Responses API, or within a content part that has content itself, as
    /// Anthropic's `tool_result` has.
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
