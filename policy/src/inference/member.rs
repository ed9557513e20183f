//! The members of a request's top level that are read.

use super::reader::Reading;

macro_rules! members {
    ($($(#[$doc:meta])* $member:ident = $name:literal),* $(,)?) => {
        /// A member of the top level that is read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Member { $($(#[$doc])* $member),* }

        impl Member {
            /// Every member.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$member),*];

            /// As it is written.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$member => $name),* }
            }

            /// The member of this name.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$member),)* _ => None }
            }

            /// Its place in [`Self::ALL`].
            pub(super) fn index(self) -> usize {
                Self::ALL.iter().position(|member| *member == self).unwrap_or(Self::ALL.len())
            }
        }
    };
}

members! {
    /// Which model.
    Model = "model",
    /// Whether the answer streams.
    Stream = "stream",
    /// The chat so far.
    Messages = "messages",
    /// What legacy completions continue.
    Prompt = "prompt",
    /// What embeddings and responses read.
    Input = "input",
    /// A system prompt of responses.
    Instructions = "instructions",
    /// Anthropic's system prompt.
    System = "system",
    /// What follows the completion.
    Suffix = "suffix",
    /// The answer that is expected.
    Prediction = "prediction",
    /// What vLLM's templates write out beside the chat.
    Documents = "documents",
    /// What documents are ranked for.
    Query = "query",
    /// A template that replaces the model's own.
    ChatTemplate = "chat_template",
    /// What that template is given.
    ChatTemplateKwargs = "chat_template_kwargs",
    /// Tools that the model may call.
    Tools = "tools",
    /// Their older form.
    Functions = "functions",
    /// Which of them it must call.
    ToolChoice = "tool_choice",
    /// The shape of the answer.
    ResponseFormat = "response_format",
    /// The same, of responses.
    Text = "text",
    /// Completion tokens at most.
    MaxTokens = "max_tokens",
    /// Its newer name.
    MaxCompletionTokens = "max_completion_tokens",
    /// Its name in responses.
    MaxOutputTokens = "max_output_tokens",
    /// Completion tokens at least.
    MinTokens = "min_tokens",
    /// How long Anthropic's models think.
    Thinking = "thinking",
    /// How many choices.
    N = "n",
    /// How many completions the choices are taken from.
    BestOf = "best_of",
    /// Whether, or how many, log probabilities are answered.
    Logprobs = "logprobs",
    /// How many for each token.
    TopLogprobs = "top_logprobs",
    /// Whether the answer is made later, and asked for with another request.
    Background = "background",
    /// What the request and its answer are added to.
    Conversation = "conversation",
}

impl Member {
    /// How its value is read. Definitions of tools and what a template is given are text in all their strings, keys
    /// included, since templates write them out whole.
    pub(super) const fn reading(self) -> Reading {
        match self {
            Self::Messages
            | Self::Prompt
            | Self::Input
            | Self::Instructions
            | Self::System
            | Self::Suffix
            | Self::Prediction
            | Self::Query
            | Self::ResponseFormat
            | Self::Text => Reading::Text,
            Self::Tools
            | Self::Functions
            | Self::Documents
            | Self::ChatTemplate
            | Self::ChatTemplateKwargs => Reading::All,
            Self::Model => Reading::Model,
            Self::MaxTokens
            | Self::MaxCompletionTokens
            | Self::MaxOutputTokens
            | Self::MinTokens
            | Self::N
            | Self::BestOf => Reading::Number,
            Self::Thinking => Reading::Settings,
            _ => Reading::Nothing,
        }
    }
}
