//! The document as an operator writes it. What a route writes stands in for what is written for all.

use super::preset::Preset;
use serde::Deserialize;
use tidegate_host::notation::{Whole, WrittenSize};
use tidegate_host::shadow::Shadow;
use tidegate_limits::when::RawWhen;
use tidegate_policy::inference::Origin;
use tidegate_policy::prompt::Treatment;

macro_rules! with_limits {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Default, Deserialize)]
        #[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            pub(super) preset: Option<Preset>,
            pub(super) max_body: Option<WrittenSize>,
            pub(super) max_chars: Option<Whole>,
            pub(super) max_message_chars: Option<Whole>,
            pub(super) max_role_chars: Option<RawRoles>,
            pub(super) max_messages: Option<Whole>,
            pub(super) max_prompts: Option<Whole>,
            pub(super) max_token_ids: Option<Whole>,
            pub(super) max_tools: Option<Whole>,
            pub(super) max_images: Option<Whole>,
            pub(super) max_pixels: Option<Whole>,
            pub(super) max_audios: Option<Whole>,
            pub(super) max_videos: Option<Whole>,
            pub(super) max_completion_tokens: Option<RawCompletionTokens>,
            pub(super) max_choices: Option<Whole>,
            pub(super) max_work: Option<Whole>,
            pub(super) max_logprobs: Option<Whole>,
            pub(super) max_stop: Option<Whole>,
            pub(super) max_logit_bias: Option<Whole>,
            pub(super) max_guided_chars: Option<Whole>,
            pub(super) max_guided_repeats: Option<Whole>,
            pub(super) characters: Option<RawCharacters>,
            $($own)*
        }

        impl $name {
            /// The limits alone.
            pub(super) const fn limits(&self) -> RawLimits {
                RawLimits {
                    preset: self.preset,
                    max_body: self.max_body,
                    max_chars: self.max_chars,
                    max_message_chars: self.max_message_chars,
                    max_role_chars: self.max_role_chars,
                    max_messages: self.max_messages,
                    max_prompts: self.max_prompts,
                    max_token_ids: self.max_token_ids,
                    max_tools: self.max_tools,
                    max_images: self.max_images,
                    max_pixels: self.max_pixels,
                    max_audios: self.max_audios,
                    max_videos: self.max_videos,
                    max_completion_tokens: self.max_completion_tokens,
                    max_choices: self.max_choices,
                    max_work: self.max_work,
                    max_logprobs: self.max_logprobs,
                    max_stop: self.max_stop,
                    max_logit_bias: self.max_logit_bias,
                    max_guided_chars: self.max_guided_chars,
                    max_guided_repeats: self.max_guided_repeats,
                    characters: self.characters,
                }
            }
        }
    };
}

with_limits! {
    struct Raw {
        pub(super) max_depth: Option<Whole>,
        #[serde(default)]
        pub(super) duplicate_keys: DuplicateKeys,
        #[serde(default)]
        pub(super) deny: Vec<RawDeny>,
        #[serde(default)]
        pub(super) unread: Unread,
        #[serde(default)]
        pub(super) servers: Vec<Server>,
        #[serde(default)]
        pub(super) pass_content_types: Vec<String>,
        #[serde(default)]
        pub(super) routes: Vec<RawRoute>,
        #[serde(default)]
        pub(super) hold_headers: bool,
        #[serde(default)]
        pub(super) shadow: Shadow,
    }
}

with_limits! {
    struct RawRoute {
        #[serde(default)]
        pub(super) when: RawWhen,
        pub(super) scan: Option<bool>,
    }
}

/// What can be written for all and for a route.
#[derive(Clone, Copy)]
pub(super) struct RawLimits {
    pub(super) preset: Option<Preset>,
    pub(super) max_body: Option<WrittenSize>,
    pub(super) max_chars: Option<Whole>,
    pub(super) max_message_chars: Option<Whole>,
    pub(super) max_role_chars: Option<RawRoles>,
    pub(super) max_messages: Option<Whole>,
    pub(super) max_prompts: Option<Whole>,
    pub(super) max_token_ids: Option<Whole>,
    pub(super) max_tools: Option<Whole>,
    pub(super) max_images: Option<Whole>,
    pub(super) max_pixels: Option<Whole>,
    pub(super) max_audios: Option<Whole>,
    pub(super) max_videos: Option<Whole>,
    pub(super) max_completion_tokens: Option<RawCompletionTokens>,
    pub(super) max_choices: Option<Whole>,
    pub(super) max_work: Option<Whole>,
    pub(super) max_logprobs: Option<Whole>,
    pub(super) max_stop: Option<Whole>,
    pub(super) max_logit_bias: Option<Whole>,
    pub(super) max_guided_chars: Option<Whole>,
    pub(super) max_guided_repeats: Option<Whole>,
    pub(super) characters: Option<RawCharacters>,
}

impl RawLimits {
    /// These, and where they are silent, `others`; nothing of those where these name a preset of their own.
    pub(super) fn or(self, others: Self) -> Self {
        if self.preset.is_some() {
            return self;
        }
        Self {
            preset: others.preset,
            max_body: self.max_body.or(others.max_body),
            max_chars: self.max_chars.or(others.max_chars),
            max_message_chars: self.max_message_chars.or(others.max_message_chars),
            max_role_chars: self.max_role_chars.or(others.max_role_chars),
            max_messages: self.max_messages.or(others.max_messages),
            max_prompts: self.max_prompts.or(others.max_prompts),
            max_token_ids: self.max_token_ids.or(others.max_token_ids),
            max_tools: self.max_tools.or(others.max_tools),
            max_images: self.max_images.or(others.max_images),
            max_pixels: self.max_pixels.or(others.max_pixels),
            max_audios: self.max_audios.or(others.max_audios),
            max_videos: self.max_videos.or(others.max_videos),
            max_completion_tokens: self.max_completion_tokens.or(others.max_completion_tokens),
            max_choices: self.max_choices.or(others.max_choices),
            max_work: self.max_work.or(others.max_work),
            max_logprobs: self.max_logprobs.or(others.max_logprobs),
            max_stop: self.max_stop.or(others.max_stop),
            max_logit_bias: self.max_logit_bias.or(others.max_logit_bias),
            max_guided_chars: self.max_guided_chars.or(others.max_guided_chars),
            max_guided_repeats: self.max_guided_repeats.or(others.max_guided_repeats),
            characters: self.characters.or(others.characters),
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoles {
    pub(super) system: Option<Whole>,
    pub(super) developer: Option<Whole>,
    pub(super) user: Option<Whole>,
    pub(super) assistant: Option<Whole>,
    pub(super) tool: Option<Whole>,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCompletionTokens {
    pub(super) limit: Whole,
    #[serde(default)]
    pub(super) exceed: Exceed,
    #[serde(default)]
    pub(super) unset: Unset,
}

/// What becomes of a request that asks for no number of completion tokens, or a negative one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Unset {
    #[default]
    Pass,
    Limit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Exceed {
    #[default]
    Clamp,
    Reject,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum DuplicateKeys {
    #[default]
    Reject,
    Allow,
}

/// What becomes of a request to infer that nothing is known to be asked in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Unread {
    #[default]
    Pass,
    Refuse,
}

/// What may stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Server {
    Vllm,
    Sglang,
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    Tgi,
    Tei,
    Triton,
    Ollama,
    LocalAi,
    OpenAi,
    Anthropic,
    Cohere,
    Gemini,
    Bedrock,
}

impl Server {
    /// Whether it knows a name in any letter case, as Go's `encoding/json` does.
    pub(super) const fn folds(self) -> bool {
        matches!(self, Self::Ollama | Self::LocalAi)
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCharacters {
    pub(super) control: Option<RawTreatment>,
    pub(super) bidi: Option<RawTreatment>,
    pub(super) zero_width: Option<RawTreatment>,
    pub(super) private_use: Option<RawTreatment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum RawTreatment {
    Allow,
    Strip,
    Reject,
}

impl From<RawTreatment> for Treatment {
    fn from(written: RawTreatment) -> Self {
        match written {
            RawTreatment::Allow => Self::Allow,
            RawTreatment::Strip => Self::Strip,
            RawTreatment::Reject => Self::Reject,
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeny {
    pub(super) name: String,
    pub(super) pattern: String,
    #[serde(rename = "in")]
    pub(super) origins: Option<Vec<RawOrigin>>,
    #[serde(default)]
    pub(super) shadow: bool,
}

/// Whose texts a pattern is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum RawOrigin {
    System,
    User,
    Assistant,
    ToolResult,
    Arguments,
    Tools,
    Other,
}

impl From<RawOrigin> for Origin {
    fn from(written: RawOrigin) -> Self {
        match written {
            RawOrigin::System => Self::System,
            RawOrigin::User => Self::User,
            RawOrigin::Assistant => Self::Assistant,
            RawOrigin::ToolResult => Self::ToolResult,
            RawOrigin::Arguments => Self::Arguments,
            RawOrigin::Tools => Self::Tools,
            RawOrigin::Other => Self::Other,
        }
    }
}
