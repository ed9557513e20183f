//! The plain-text description of a configuration.

use crate::config::{self, Config, Limits, place_of};
use crate::filter::InputLimit;
use crate::filter::{Counter, RuleCounter};
use schemars::Schema;
use tidegate_host::describe::{Describe, Description, HOLDS_HEADERS, shadow_text, size_text};
use tidegate_host::metrics::Metric;
use tidegate_policy::inference::Class;
use tidegate_policy::prompt::{PromptLimits, Treatment};

impl Describe for InputLimit {
    fn describe(&self) -> Description {
        let config = &self.config;
        let mut rules: Vec<String> = config
            .routes
            .iter()
            .flat_map(|(when, limits)| sentences(config, limits, &when.to_string()))
            .collect();
        let others = if config.routes.is_empty() { "all requests" } else { "other requests" };
        rules.extend(sentences(config, &config.limits, others));
        rules.extend(config.denied_names.iter().enumerate().map(|(place, name)| {
            let shadow = shadow_text(config.is_shadow(config::LABELS.len().saturating_add(place)));
            format!("a text that matches deny.{name}: 400{shadow}")
        }));
        if config.refuses_unread {
            let shadow = shadow_text(config.is_shadow(place_of("unread")));
            rules.push(format!("a request to infer in which nothing is known to be asked: 400{shadow}"));
        }
        let keeps = format!("each body until it was read, up to {}", size_text(self.holds()));
        let needs = if config.hold_headers { vec![HOLDS_HEADERS] } else { Vec::new() };
        Description { rules, memory: 0, keeps: vec![keeps], needs }
    }

    fn holds(&self) -> u64 {
        let all =
            core::iter::once(&self.config.limits).chain(self.config.routes.iter().map(|(_, limits)| limits));
        all.filter(|limits| limits.prompt.is_some()).map(|limits| limits.body).max().unwrap_or(0)
    }

    fn schema() -> Schema {
        config::schema()
    }

    fn counters() -> Vec<Metric> {
        [Counter::ALL, RuleCounter::ALL].concat()
    }
}

fn sentences(config: &Config, limits: &Limits, whose: &str) -> Vec<String> {
    let shadow = |label: &str| shadow_text(config.is_shadow(place_of(label)));
    let body = format!("{whose}: at most {} of body{}", size_text(limits.body), shadow("max_body"));
    let Some(prompt) = &limits.prompt else {
        return vec![body, format!("{whose}: the body is not read")];
    };
    let counted = numbers(prompt).into_iter().filter_map(|(label, most, what)| {
        let beyond = match label {
            "max_completion_tokens" if limits.clamp && limits.set => {
                ", made smaller if more are asked for, and written if none are"
            }
            "max_completion_tokens" if limits.clamp => ", made smaller if more are asked for",
            "max_completion_tokens" if limits.set => ", written if none are asked for",
            _ => "",
        };
        Some(format!("{whose}: at most {} {what}{beyond}{}", most?, shadow(label)))
    });
    let each_role = prompt.role_characters.iter().map(|(role, most)| {
        format!("{whose}: at most {most} characters of role {role:?}{}", shadow("max_role_chars"))
    });
    let classes = Class::ALL.iter().zip(prompt.classes).filter_map(|(class, treatment)| {
        let what = match treatment {
            Treatment::Allow => return None,
            Treatment::Strip => "taken out",
            Treatment::Reject => "refused",
        };
        let label = class.name();
        Some(format!("{whose}: {label} characters that harm are {what}{}", shadow(label)))
    });
    core::iter::once(body).chain(counted).chain(each_role).chain(classes).collect()
}

fn numbers(prompt: &PromptLimits) -> [(&'static str, Option<u64>, &'static str); 18] {
    [
        ("max_chars", prompt.characters, "characters of prompt"),
        ("max_message_chars", prompt.message_characters, "characters in one message"),
        ("max_messages", prompt.messages, "messages"),
        ("max_prompts", prompt.prompts, "prompts"),
        ("max_token_ids", prompt.token_ids, "token ids"),
        ("max_tools", prompt.tools, "tools"),
        ("max_images", prompt.images, "images"),
        ("max_completion_tokens", prompt.completion_tokens, "completion tokens"),
        ("max_choices", prompt.choices, "choices"),
        ("max_pixels", prompt.pixels, "pixels"),
        ("max_audios", prompt.audios, "recordings"),
        ("max_videos", prompt.videos, "videos"),
        ("max_work", prompt.work, "prompts times choices times completion tokens"),
        ("max_logprobs", prompt.logprobs, "log probabilities for each token"),
        ("max_stop", prompt.stops, "sequences that end an answer"),
        ("max_logit_bias", prompt.biases, "tokens made likelier"),
        ("max_guided_repeats", prompt.repeats, "repetitions of a part of that"),
        ("max_guided_chars", prompt.guided, "characters that a decoder must follow"),
    ]
}
