//! The conversion of the document as written ([`Raw`]) into an enforceable [`Config`]. A value that cannot be
//! enforced is refused with its path, what was found and what is accepted. Every key has a default that protects.

use std::collections::BTreeSet;
use tidegate_config::shadow::Shadow;
use tidegate_config::text::MediaType;
use tidegate_config::{ConfigError, parse};
use tidegate_host::exchange::Exchange;
use tidegate_limits::when::When;
use tidegate_policy::denied_text;
use tidegate_policy::inference::{Class, Origin, Origins, Role};
use tidegate_policy::prompt::{Denied, PromptLimits, Rule, Treatment};
use written::{
    DuplicateKeys, Exceed, Limit, Named, Raw, RawCharacters, RawDeny, RawLimits, RawRoles, RawTreatment,
    Unread, Unset,
};

mod preset;
mod written;

pub use preset::Preset;

/// Maximum size of a body that is read, in bytes. A VM has 1 GiB for what has arrived, the buffered copy, the edits
/// and the edited body.
const LARGEST_READ: u64 = 128 << 20;
const MAX_RULES: usize = denied_text::Rules::MAX;

/// The rules without a name of their own, in the order of their counters.
pub const LABELS: [&str; 30] = [
    "max_body",
    "content_type",
    "content_encoding",
    "json",
    "max_depth",
    "duplicate_keys",
    "max_chars",
    "max_message_chars",
    "max_role_chars",
    "max_messages",
    "max_prompts",
    "max_token_ids",
    "max_tools",
    "max_images",
    "max_completion_tokens",
    "max_choices",
    "control",
    "bidi",
    "zero_width",
    "private_use",
    "max_pixels",
    "max_audios",
    "max_videos",
    "max_work",
    "max_logprobs",
    "max_stop",
    "max_logit_bias",
    "max_guided_chars",
    "max_guided_repeats",
    "unread",
];

/// The enforceable configuration.
#[derive(Debug)]
pub struct Config {
    /// Limits of specific routes; the first match applies.
    pub routes: Vec<(When, Limits)>,
    /// Limits of all other routes.
    pub limits: Limits,
    /// Maximum nesting depth of a body.
    pub max_depth: u8,
    /// True if member names match only when spelled exactly, because no server behind the proxy accepts other
    /// spellings.
    pub exact_names: bool,
    /// True if an inference request without a known question is refused.
    pub refuses_unread: bool,
    /// Phrases that no text may contain.
    pub denied: Option<Denied>,
    /// Names of the rules on those phrases.
    pub denied_names: Vec<String>,
    /// Media types that pass unread, in lower case.
    pub pass_content_types: Vec<Vec<u8>>,
    /// True if the request is held until its body is complete.
    pub hold_headers: bool,
    shadow: Vec<bool>,
}

/// The limits of a request.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum size of the body, in bytes.
    pub body: u64,
    /// Limits on the prompt; `None` if it is not read.
    pub prompt: Option<PromptLimits>,
    /// True if too large a number of completion tokens is reduced instead of refused.
    pub clamp: bool,
    /// True if the limit is inserted into a request that sets no number of completion tokens.
    pub set: bool,
}

impl Limits {
    /// Returns true if a request may have to be edited.
    pub fn may_rewrite(&self) -> bool {
        let strips = |prompt: &PromptLimits| prompt.classes.contains(&Treatment::Strip);
        self.prompt.as_ref().is_some_and(|prompt| strips(prompt) || self.clamp || self.set)
    }
}

impl Config {
    /// Parses a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let written = raw.limits();
        let duplicates = raw.duplicate_keys == DuplicateKeys::Allow;
        let shadowed = raw.shadow;
        let mut routes = Vec::with_capacity(raw.routes.len());
        for (index, mut route) in raw.routes.into_iter().enumerate() {
            let path = format!("routes[{index}].");
            let when = When::new(core::mem::take(&mut route.when), &format!("{path}when"))?;
            let reads = route.scan != Some(false);
            let limits = limits(route.limits().or(written), reads, duplicates, &shadowed, &path)?;
            routes.push((when, limits));
        }
        let preset = raw.preset.unwrap_or_default();
        let max_depth = raw.max_depth.map_or(preset.numbers().depth, |depth| depth.number());
        let shadow = LABELS.iter().map(|label| shadowed.holds(label));
        let shadow = shadow.chain(raw.deny.iter().map(|rule| shadowed.is_all() || rule.shadow)).collect();
        Ok(Self {
            routes,
            limits: limits(written, true, duplicates, &shadowed, "")?,
            max_depth: u8::try_from(max_depth).unwrap_or(u8::MAX),
            exact_names: !raw.servers.is_empty() && !raw.servers.iter().any(|server| server.folds()),
            refuses_unread: raw.unread == Unread::Refuse,
            denied: denied(&raw.deny)?,
            denied_names: names(&raw.deny)?,
            pass_content_types: raw.pass_content_types.iter().map(in_lower_case).collect(),
            hold_headers: raw.hold_headers,
            shadow,
        })
    }

    /// Returns the limits at an index that [`Self::place`] returned.
    pub fn at(&self, place: usize) -> &Limits {
        self.routes.get(place).map_or(&self.limits, |(_, limits)| limits)
    }

    /// Returns the index of the limits of a request.
    pub fn place(&self, exchange: &dyn Exchange) -> usize {
        self.routes.iter().position(|(when, _)| when.applies(exchange)).unwrap_or(usize::MAX)
    }

    /// Returns the index of a rule among the counters.
    pub fn rule(&self, rule: Rule) -> usize {
        let label = match rule {
            Rule::Characters => "max_chars",
            Rule::MessageCharacters => "max_message_chars",
            Rule::RoleCharacters(_) => "max_role_chars",
            Rule::Messages => "max_messages",
            Rule::Prompts => "max_prompts",
            Rule::TokenIds => "max_token_ids",
            Rule::Tools => "max_tools",
            Rule::Images => "max_images",
            Rule::CompletionTokens(_) => "max_completion_tokens",
            Rule::Choices(_) => "max_choices",
            Rule::Pixels => "max_pixels",
            Rule::Audios => "max_audios",
            Rule::Videos => "max_videos",
            Rule::Work => "max_work",
            Rule::Logprobs(_) => "max_logprobs",
            Rule::Stops => "max_stop",
            Rule::Biases => "max_logit_bias",
            Rule::Repeats => "max_guided_repeats",
            Rule::Guided => "max_guided_chars",
            Rule::DuplicateKey => "duplicate_keys",
            Rule::Forbidden(Class::Control) => "control",
            Rule::Forbidden(Class::Bidi) => "bidi",
            Rule::Forbidden(Class::ZeroWidth) => "zero_width",
            Rule::Forbidden(Class::PrivateUse) => "private_use",
            Rule::Denied(index) => return LABELS.len().saturating_add(index),
        };
        place_of(label)
    }

    /// Returns the label of the rule at an index, for counters and responses.
    pub fn label(&self, place: usize) -> String {
        let own = place.checked_sub(LABELS.len()).and_then(|index| self.denied_names.get(index));
        match (LABELS.get(place), own) {
            (Some(label), _) => (*label).to_owned(),
            (None, own) => format!("deny.{}", own.map_or("", String::as_str)),
        }
    }

    /// Returns the number of rules.
    pub fn rules(&self) -> usize {
        self.shadow.len()
    }

    /// Returns true if the rule at an index is in shadow mode.
    pub fn is_shadow(&self, place: usize) -> bool {
        self.shadow.get(place).copied().unwrap_or(false)
    }
}

/// Returns the index of a label among the counters.
pub fn place_of(label: &str) -> usize {
    LABELS.iter().position(|known| *known == label).unwrap_or(LABELS.len())
}

/// Converts one set of limits. A rule in shadow mode edits nothing: what it would strip or clamp counts as refused.
fn limits(
    written: RawLimits,
    reads: bool,
    duplicate_keys: bool,
    shadowed: &Shadow<Named>,
    path: &str,
) -> Result<Limits, ConfigError> {
    let preset = written.preset.unwrap_or_default().numbers();
    let body = written.max_body.map_or(preset.body, |size| size.get());
    if reads && body > LARGEST_READ {
        let problem = format!(
            "found {body}B, accepted is 1B to 128MiB for bodies that are read, since several copies of one must fit \
             into the 1GiB of a VM; with scan: false in a route, 1GiB"
        );
        return Err(ConfigError::new(format!("{path}max_body"), problem));
    }
    let limit = |written: Limit, default: u32| {
        Some(written.map_or(default, |number| number.number())).filter(|number| *number > 0).map(u64::from)
    };
    let tokens = written.max_completion_tokens;
    let prompt = PromptLimits {
        characters: limit(written.max_chars, preset.chars),
        message_characters: limit(written.max_message_chars, 0),
        role_characters: roles(written.max_role_chars.unwrap_or_default()),
        messages: limit(written.max_messages, preset.messages),
        prompts: limit(written.max_prompts, preset.prompts),
        token_ids: limit(written.max_token_ids, preset.token_ids),
        tools: limit(written.max_tools, preset.tools),
        images: limit(written.max_images, preset.images),
        pixels: limit(written.max_pixels, preset.pixels),
        audios: limit(written.max_audios, preset.audios),
        videos: limit(written.max_videos, preset.videos),
        completion_tokens: limit(tokens.map(|tokens| tokens.limit), preset.completion_tokens),
        choices: limit(written.max_choices, preset.choices),
        work: limit(written.max_work, preset.work),
        logprobs: limit(written.max_logprobs, preset.logprobs),
        stops: limit(written.max_stop, preset.stops),
        biases: limit(written.max_logit_bias, preset.biases),
        repeats: limit(written.max_guided_repeats, preset.repeats),
        guided: limit(written.max_guided_chars, preset.guided),
        duplicate_keys,
        classes: classes(written.characters.unwrap_or_default(), preset.characters, shadowed),
    };
    let exceed = tokens.map_or(Exceed::Clamp, |tokens| tokens.exceed);
    let clamp = exceed == Exceed::Clamp && !shadowed.holds("max_completion_tokens");
    let unset = tokens.map_or(Unset::Pass, |tokens| tokens.unset);
    let set = unset == Unset::Limit && !shadowed.holds("max_completion_tokens");
    Ok(Limits { body, prompt: reads.then_some(prompt), clamp, set })
}

fn roles(written: RawRoles) -> Vec<(Role, u64)> {
    let RawRoles { system, developer, user, assistant, tool } = written;
    let each = [
        (Role::System, system),
        (Role::Developer, developer),
        (Role::User, user),
        (Role::Assistant, assistant),
        (Role::Tool, tool),
    ];
    each.into_iter().filter_map(|(role, limit)| Some((role, limit?.get()))).collect()
}

fn classes(written: RawCharacters, preset: [Treatment; 4], shadowed: &Shadow<Named>) -> [Treatment; 4] {
    let RawCharacters { control, bidi, zero_width, private_use } = written;
    let [preset_control, preset_bidi, preset_zero_width, preset_private_use] = preset;
    let treatment = |written: Option<RawTreatment>, preset, label| match written.map_or(preset, Into::into) {
        Treatment::Strip if shadowed.holds(label) => Treatment::Reject,
        treatment => treatment,
    };
    [
        treatment(control, preset_control, "control"),
        treatment(bidi, preset_bidi, "bidi"),
        treatment(zero_width, preset_zero_width, "zero_width"),
        treatment(private_use, preset_private_use, "private_use"),
    ]
}

fn names(written: &[RawDeny]) -> Result<Vec<String>, ConfigError> {
    let mut seen = BTreeSet::new();
    let name = |(index, rule): (usize, &RawDeny)| {
        let name = rule.name.as_str().to_owned();
        if seen.insert(name.clone()) {
            return Ok(name);
        }
        let problem = format!("found {name:?} twice, accepted is each once");
        Err(ConfigError::new(format!("deny[{index}].name"), problem))
    };
    written.iter().enumerate().map(name).collect()
}

fn denied(written: &[RawDeny]) -> Result<Option<Denied>, ConfigError> {
    let patterns: Vec<&str> = written.iter().map(|rule| rule.pattern.as_str()).collect();
    let rules = denied_text::Rules::new(&patterns).map_err(|invalid| {
        let found: String = patterns.get(invalid.index).unwrap_or(&"").chars().take(80).collect();
        let accepted = "accepted is a regular expression on text";
        let problem = format!("found {found:?}, {accepted}: {}", invalid.problem);
        ConfigError::new(format!("deny[{}].pattern", invalid.index), problem)
    })?;
    let origins = written.iter().map(|rule| match &rule.origins {
        None => Origins::ALL,
        Some(written) => Origins::of(written.iter().map(|origin| Origin::from(*origin))),
    });
    let denied = Denied::new(rules, origins.collect());
    Ok(Some(denied).filter(|_| !patterns.is_empty()))
}

fn in_lower_case(media_type: &MediaType) -> Vec<u8> {
    media_type.as_str().to_ascii_lowercase().into_bytes()
}

/// Returns the JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests;
