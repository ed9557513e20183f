//! The token counts that a response reports. APIs that report them more than once do so cumulatively, so the largest
//! value of each count is kept and nothing is added up over events.
//!
//! OpenAI counts cached tokens within the prompt and reasoning within the completion. Anthropic counts cache reads and
//! writes beside its `input_tokens`, Gemini its thoughts beside its candidates, and llama.cpp's `timings` reused tokens
//! beside processed ones. The methods give all of them OpenAI's meaning.
//!
//! Sources: the API references of OpenAI, Anthropic, Gemini and Ollama; vLLM, SGLang, TGI and llama.cpp's server.

/// The token counts as reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    prompt: Option<u64>,
    input: Option<u64>,
    completion: Option<u64>,
    thoughts: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    reasoning: Option<u64>,
    processed: Option<u64>,
    reused: Option<u64>,
    predicted: Option<u64>,
}

/// The kind of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// The whole prompt.
    Prompt,
    /// The prompt without Anthropic's cache reads and writes.
    Input,
    /// The completion without Gemini's thoughts.
    Completion,
    Thoughts,
    Total,
    /// The cached part of the prompt.
    Cached,
    CacheRead,
    CacheWritten,
    Reasoning,
    /// `prompt_n`, `cache_n` and `predicted_n` of llama.cpp's `timings`.
    Processed,
    Reused,
    Predicted,
}

impl Usage {
    /// The usage without any count.
    pub(super) const NONE: Self = Self {
        prompt: None,
        input: None,
        completion: None,
        thoughts: None,
        total: None,
        cached: None,
        cache_read: None,
        cache_written: None,
        reasoning: None,
        processed: None,
        reused: None,
        predicted: None,
    };

    /// Returns the prompt's tokens, including cached ones.
    pub fn prompt(&self) -> Option<u64> {
        let cached = [self.cache_read, self.cache_written].into_iter().flatten();
        let with_cache = self.input.map(|input| cached.fold(input, u64::saturating_add));
        let timed = self.processed.map(|tokens| tokens.saturating_add(self.reused.unwrap_or(0)));
        self.prompt.or(with_cache).or(timed)
    }

    /// Returns the completion's tokens, including reasoning.
    pub fn completion(&self) -> Option<u64> {
        let whole = self.completion.map(|tokens| tokens.saturating_add(self.thoughts.unwrap_or(0)));
        whole.or(self.thoughts).or(self.predicted)
    }

    /// Returns all tokens: as reported, or the sum of prompt and completion.
    pub fn total(&self) -> Option<u64> {
        let sum = || Some(self.prompt()?.saturating_add(self.completion()?));
        self.total.or_else(sum)
    }

    /// Returns the prompt's tokens that were read from a cache.
    pub fn cached(&self) -> Option<u64> {
        self.cached.or(self.cache_read).or(self.reused)
    }

    /// Returns the prompt's tokens that were written to a cache.
    pub const fn cache_written(&self) -> Option<u64> {
        self.cache_written
    }

    /// Returns the completion's tokens that were reasoning.
    pub fn reasoning(&self) -> Option<u64> {
        self.reasoning.or(self.thoughts)
    }

    /// Returns true if any count was reported.
    pub fn is_reported(&self) -> bool {
        *self != Self::NONE
    }

    /// Records a reported count.
    pub(super) fn report(&mut self, count: Count, tokens: u64) {
        let known = match count {
            Count::Prompt => &mut self.prompt,
            Count::Input => &mut self.input,
            Count::Completion => &mut self.completion,
            Count::Thoughts => &mut self.thoughts,
            Count::Total => &mut self.total,
            Count::Cached => &mut self.cached,
            Count::CacheRead => &mut self.cache_read,
            Count::CacheWritten => &mut self.cache_written,
            Count::Reasoning => &mut self.reasoning,
            Count::Processed => &mut self.processed,
            Count::Reused => &mut self.reused,
            Count::Predicted => &mut self.predicted,
        };
        *known = (*known).max(Some(tokens));
    }

    /// Keeps the larger value of each count.
    pub(super) fn merge(&mut self, other: &Self) {
        let each = [
            (&mut self.prompt, other.prompt),
            (&mut self.input, other.input),
            (&mut self.completion, other.completion),
            (&mut self.thoughts, other.thoughts),
            (&mut self.total, other.total),
            (&mut self.cached, other.cached),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_written, other.cache_written),
            (&mut self.reasoning, other.reasoning),
            (&mut self.processed, other.processed),
            (&mut self.reused, other.reused),
            (&mut self.predicted, other.predicted),
        ];
        each.into_iter().for_each(|(known, other)| *known = (*known).max(other));
    }
}

/// A number that comes in pieces, saturating at `u64::MAX`. Decimals are dropped. A negative number, or one with an
/// exponent, does not count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digits {
    value: u64,
    has_point: bool,
    is_none: bool,
}

impl Digits {
    pub(super) fn add(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' if !self.has_point => {
                    let digit = u64::from(byte.saturating_sub(b'0'));
                    self.value = self.value.saturating_mul(10).saturating_add(digit);
                }
                b'0'..=b'9' => {}
                b'.' => self.has_point = true,
                _ => self.is_none = true,
            }
        }
    }

    pub(super) fn count(self) -> Option<u64> {
        (!self.is_none).then_some(self.value)
    }
}
