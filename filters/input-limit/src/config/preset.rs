//! The presets of limits that a configuration starts from. Each is complete; keys override single limits.
//!
//! `agent` is the default: it refuses what no client of a model server sends on purpose, and admits the rest. The
//! stricter presets are for operators who know what their clients send.

use serde::Deserialize;
use tidegate_policy::prompt::Treatment;

/// A complete set of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// One short question, with nothing in it that no one sees.
    Question,
    /// Conversations with people, documents and pictures.
    Chat,
    /// All that programs send: agents with many tools, batches of embeddings, uploads.
    #[default]
    Agent,
}

/// The limits of a preset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) body: u64,
    pub(super) chars: u32,
    pub(super) messages: u32,
    pub(super) prompts: u32,
    pub(super) token_ids: u32,
    pub(super) tools: u32,
    pub(super) images: u32,
    pub(super) pixels: u32,
    pub(super) audios: u32,
    pub(super) videos: u32,
    pub(super) completion_tokens: u32,
    pub(super) choices: u32,
    pub(super) work: u32,
    pub(super) logprobs: u32,
    pub(super) stops: u32,
    pub(super) biases: u32,
    pub(super) guided: u32,
    pub(super) repeats: u32,
    pub(super) depth: u32,
    /// Control, bidi, zero-width and private-use characters.
    pub(super) characters: [Treatment; 4],
}

use Treatment::{Allow, Strip};

const QUESTION: Numbers = Numbers {
    body: 1 << 20,
    chars: 1_024,
    messages: 64,
    prompts: 64,
    token_ids: 1_024,
    tools: 128,
    images: 16,
    pixels: 50_000_000,
    audios: 4,
    videos: 4,
    completion_tokens: 4_096,
    choices: 4,
    work: 16_384,
    logprobs: 20,
    stops: 16,
    biases: 300,
    guided: 16_384,
    repeats: 10_000,
    depth: 32,
    characters: [Strip, Strip, Strip, Allow],
};

const CHAT: Numbers = Numbers {
    body: 64 << 20,
    chars: 1_000_000,
    messages: 2_000,
    prompts: 2_048,
    token_ids: 300_000,
    tools: 256,
    images: 64,
    pixels: 400_000_000,
    audios: 32,
    videos: 8,
    completion_tokens: 32_768,
    choices: 8,
    work: 1_048_576,
    logprobs: 32,
    stops: 256,
    biases: 4_096,
    guided: 131_072,
    repeats: 100_000,
    depth: 64,
    characters: [Allow, Strip, Strip, Allow],
};

const AGENT: Numbers = Numbers {
    body: 64 << 20,
    chars: 8_000_000,
    messages: 20_000,
    prompts: 2_048,
    token_ids: 1_000_000,
    tools: 1_024,
    images: 256,
    pixels: 1_000_000_000,
    audios: 64,
    videos: 32,
    completion_tokens: 131_072,
    choices: 16,
    work: 8_388_608,
    logprobs: 128,
    stops: 1_024,
    biases: 65_536,
    guided: 262_144,
    repeats: 1_000_000,
    depth: 64,
    characters: [Allow, Strip, Strip, Allow],
};

impl Preset {
    pub(super) const fn numbers(self) -> Numbers {
        match self {
            Self::Question => QUESTION,
            Self::Chat => CHAT,
            Self::Agent => AGENT,
        }
    }
}
