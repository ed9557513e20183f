//! The document as an operator writes it. A route's keys override the general ones.

use super::{LABELS, MAX_RULES, preset::Preset};
use serde::Deserialize;
use tidegate_config::list::List;
use tidegate_config::range::{ANY, Count, GIB, Size};
use tidegate_config::shadow::{self, Shadow};
use tidegate_config::text::{MediaType, RuleName};
use tidegate_limits::when::RawWhen;
use tidegate_policy::inference::Origin;
use tidegate_policy::prompt::Treatment;

/// A number of which 0 is no limit, and which the preset says where it is not written.
pub(super) type Limit = Option<Count<0, ANY>>;

/// Hands the limits that can be written for all and for a route to a macro, with what else it is to see.
macro_rules! limits {
    ($then:ident $($rest:tt)*) => {
        $then! {
            [
                /// The set of numbers that the keys below have where they are not written. A route that names one begins
                /// with its numbers, and takes none of those written above it.
                preset: Option<Preset>,
                /// The size of a body, also of one that is not read. At most `128MiB` for bodies that are read, since several
                /// copies must fit into the 1 GiB of a worker's VM; up to `1GiB` in a route with `scan: false`. By default the
                /// preset's.
                max_body: Option<Size<1, GIB>>,
                /// Unicode scalar values of all texts together, tool definitions included: an emoji may be several, `\u4f60`
                /// is one. `0` removes the limit, here and in all keys down to `max_guided_repeats`. By default the preset's.
                max_chars: Limit,
                /// Characters of one message, or of one element of another list. No limit by default.
                max_message_chars: Limit,
                /// Characters of all messages of a role.
                max_role_chars: Option<RawRoles>,
                /// Messages, or items of `input`; of a batch those of all its requests, as for the keys below. By default the
                /// preset's.
                max_messages: Limit,
                /// Elements of `prompt`, `input` and the like: the model runs once for each. By default the preset's.
                max_prompts: Limit,
                /// Token ids in these. By default the preset's.
                max_token_ids: Limit,
                /// Elements of `tools` and `functions`. By default the preset's.
                max_tools: Limit,
                /// Images: content parts that carry one, and elements of `images` and `image_data`. By default the preset's.
                max_images: Limit,
                /// Pixels of all images whose data are in the body and whose header tells their size (PNG, JPEG, GIF, WebP,
                /// BMP). By default the preset's.
                max_pixels: Limit,
                /// Recordings: content parts that carry one, and elements of `audio_data`. By default the preset's.
                max_audios: Limit,
                /// Videos: content parts that carry one, and elements of `videos`. By default the preset's.
                max_videos: Limit,
                /// Completion tokens: each of `max_tokens`, `max_completion_tokens`, `max_output_tokens`, `n_predict`,
                /// `max_new_tokens`, `num_predict` and the like. By default the preset's number, with `exceed: clamp` and
                /// `unset: pass`.
                max_completion_tokens: Option<RawCompletionTokens>,
                /// Choices: each of `n`, `best_of`, `n_cmpl`, `candidateCount` and the like. By default the preset's.
                max_choices: Limit,
                /// Prompts times choices times completion tokens, after these are clamped. By default the preset's.
                max_work: Limit,
                /// Log probabilities for each token: each of `logprobs`, `top_logprobs`, `prompt_logprobs`, `n_probs` and the
                /// like; a negative number asks for all. By default the preset's.
                max_logprobs: Limit,
                /// Elements of `stop`, `stop_sequences`, `stop_token_ids` and `bad_words`. By default the preset's.
                max_stop: Limit,
                /// Members of `logit_bias` and `allowed_token_ids`. By default the preset's.
                max_logit_bias: Limit,
                /// Characters of schemas, grammars and expressions that a decoder is made to follow (`guided_json`, `grammar`,
                /// `regex`, `json_schema`, `format`, …), and of what ends a response. By default the preset's.
                max_guided_chars: Limit,
                /// How often a part of these is repeated, by counts within counts: 1,000,000 for `(a{1,1000}){1,1000}`. By
                /// default the preset's.
                max_guided_repeats: Limit,
                /// What happens to characters of texts, roles, types and ids that no reader sees.
                characters: Option<RawCharacters>,
            ]
            $($rest)*
        }
    };
}

macro_rules! document {
    ([$($(#[$about:meta])* $limit:ident: $type:ty,)*] struct $name:ident { $($own:tt)* }) => {
        #[derive(Default, Deserialize)]
        #[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$about])* pub(super) $limit: $type,)*
            $($own)*
        }

        impl $name {
            /// The limits alone.
            pub(super) const fn limits(&self) -> RawLimits {
                RawLimits { $($limit: self.$limit,)* }
            }
        }
    };
}

macro_rules! limits_alone {
    ([$($(#[$about:meta])* $limit:ident: $type:ty,)*]) => {
        /// The limits that can be written for all and for a route.
        #[derive(Clone, Copy, Default)]
        pub(super) struct RawLimits {
            $(pub(super) $limit: $type,)*
        }

        impl RawLimits {
            /// These, and where they are silent, `others`; nothing of those where these name a preset of their own.
            pub(super) fn or(self, others: Self) -> Self {
                match self.preset {
                    Some(_) => self,
                    None => Self { $($limit: self.$limit.or(others.$limit),)* },
                }
            }
        }
    };
}

limits! { limits_alone }

limits! { document
    struct Raw {
        /// How deep arrays and objects may nest. By default the preset's.
        pub(super) max_depth: Option<Count<1, 128>>,
        /// A member that is read comes twice in its object. Servers differ on which of them counts.
        pub(super) duplicate_keys: DuplicateKeys,
        /// A request to infer that has none of the members by which a model is asked.
        pub(super) unread: Unread,
        /// The servers behind the proxy. Unless all are named and none is Ollama or LocalAI, which do so, names of members are
        /// known in any letter case.
        pub(super) servers: Vec<Server>,
        /// Patterns that no text may match.
        pub(super) deny: List<RawDeny, 0, MAX_RULES>,
        /// Bodies of these types pass unread, up to `max_body`. With `application/grpc` the messages of gRPC calls pass as they
        /// come, and `max_body` applies to each of them.
        pub(super) pass_content_types: List<MediaType, 0, MAX_RULES>,
        /// Limits of their own for some requests. The first route that matches applies.
        pub(super) routes: List<RawRoute, 0, MAX_RULES>,
        /// Hold the request until its body is complete, so that a refused one costs the upstream nothing. Needs
        /// `allow_on_headers_stop_iteration: true` in Envoy's PluginConfig; without it every request with a body hangs.
        pub(super) hold_headers: bool,
        /// Rules that count, and refuse and change nothing: all (`true`), or those of a list.
        pub(super) shadow: Shadow<Named>,
    }
}

limits! { document
    struct RawRoute {
        /// The requests that the route is for; by default all.
        pub(super) when: RawWhen,
        /// `false`: the body is not read and goes on as it comes; only `max_body` applies. By default `true`.
        pub(super) scan: Option<bool>,
    }
}

/// The rules that have no name of their own.
#[derive(Debug)]
pub(super) struct Named;

impl shadow::Rules for Named {
    const NAMES: &'static [&'static str] = &LABELS;
    const OTHERS: &'static str = "deny";
}

#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoles {
    /// Of the role `system`, and of the top-level `system` and `instructions`. `0` admits no character; no limit by default,
    /// as for the other roles. Text whose role comes after it, or never, counts for every role.
    pub(super) system: Limit,
    /// Of the role `developer`.
    pub(super) developer: Limit,
    /// Of the role `user`, and of text outside messages.
    pub(super) user: Limit,
    /// Of the role `assistant`.
    pub(super) assistant: Limit,
    /// Of the role `tool`.
    pub(super) tool: Limit,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCompletionTokens {
    /// The most that a request may ask for. `0` removes the limit.
    pub(super) limit: Count<0, ANY>,
    /// A request asks for more. What depends on the number (`min_tokens`, a thinking budget) follows it; a request of which
    /// that is not possible is refused.
    #[serde(default)]
    pub(super) exceed: Exceed,
    /// A request asks for no number, or a negative one: some servers go on to the end of the context.
    #[serde(default)]
    pub(super) unset: Unset,
}

/// What happens to a request that asks for no number of completion tokens, or a negative one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub(super) enum Unset {
    /// The server's default applies.
    #[default]
    Pass,
    /// The limit is written, under the name that the request's API reads.
    Limit,
}

/// What happens to a request that asks for too many completion tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub(super) enum Exceed {
    /// The limit is written in place of the number.
    #[default]
    Clamp,
    /// The request is refused.
    Reject,
}

/// What happens to a member that comes twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub(super) enum DuplicateKeys {
    /// The request is refused.
    #[default]
    Reject,
    /// The last one counts, and the texts of all.
    Allow,
}

/// What happens to a request to infer in which nothing is known to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub(super) enum Unread {
    /// The request passes.
    #[default]
    Pass,
    /// The request is refused.
    Refuse,
}

/// A model server, or an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
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
    /// Control characters but tab, line feed and carriage return. Coloured output of tools is full of them. By default the
    /// preset's.
    pub(super) control: Option<RawTreatment>,
    /// Characters that turn a text around (U+202D, U+202E), and marks of direction beyond four in a row. By default the
    /// preset's.
    pub(super) bidi: Option<RawTreatment>,
    /// Zero-width characters that nothing around them calls for, and all in a row. By default the preset's.
    pub(super) zero_width: Option<RawTreatment>,
    /// Characters for private use. By default the preset's.
    pub(super) private_use: Option<RawTreatment>,
}

/// What happens to a character that harms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub(super) enum RawTreatment {
    /// It stays.
    Allow,
    /// It is taken out.
    Strip,
    /// The request is refused.
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
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeny {
    /// The name of the rule, once in the list: part of metrics, of the message and of the response code details.
    pub(super) name: RuleName,
    /// A regular expression of at most 1,024 bytes that must not match the empty text. It is searched in each text as it was
    /// meant, and in a normalised copy. `(?i)` ignores case; `\p{…}` is not known.
    pub(super) pattern: String,
    /// Whose texts are searched; by default all.
    #[serde(rename = "in")]
    pub(super) origins: Option<List<RawOrigin, 1, MAX_RULES>>,
    /// Count and refuse nobody.
    #[serde(default)]
    pub(super) shadow: bool,
}

/// Whose texts a pattern is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "snake_case")]
pub(super) enum RawOrigin {
    /// Roles `system` and `developer`, and the top-level `system` and `instructions`.
    System,
    /// Role `user`, and text outside messages: `prompt`, `input`, `suffix`, `query`.
    User,
    /// Role `assistant`.
    Assistant,
    /// Roles `tool` and `function`, `tool_result` blocks, and `output` of function calls.
    ToolResult,
    /// Arguments that tools are called with, whoever says them.
    Arguments,
    /// Definitions of tools and functions, and the schema of the response.
    Tools,
    /// `documents`, `prediction`, `chat_template` and its arguments.
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
