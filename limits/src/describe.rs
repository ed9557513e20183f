//! Descriptions of the rules in plain words.

use crate::charges::Rules;
use crate::identity::Part;
use crate::rule::Rule;
use tidegate_host::describe::{shadow_text, span_text};

/// Returns a sentence for each rule, in the order written, and one for the exemptions.
pub fn sentences(rules: &Rules) -> Vec<String> {
    let each = rules.iter().map(|rule| sentence(rules, rule));
    each.chain([format!("not charged: {}", rules.exempt())]).collect()
}

fn sentence(rules: &Rules, rule: &Rule) -> String {
    let whose = rules.identity(rule).map_or(&[][..], |identity| &identity.parts);
    let parts: Vec<_> = whose
        .iter()
        .map(|part| match part {
            Part::Client => format!("client ({})", rules.clients().names()),
            Part::Address => "address".to_owned(),
            Part::Path => "path".to_owned(),
            Part::Method => "method".to_owned(),
            Part::Model => "model".to_owned(),
            Part::Header(name) => format!("value of {}", String::from_utf8_lossy(name)),
        })
        .collect();
    let whose = match parts.as_slice() {
        [] => "all together".to_owned(),
        parts => format!("each {}", parts.join(" and ")),
    };
    let beyond = match rule.amount.bucket.promised() {
        0 => "beyond it 429".to_owned(),
        wait => format!("beyond it held for up to {}, then 429", span_text(wait)),
    };
    let (name, amount, when, shadow) = (&rule.name, &rule.amount.text, rule.when(), shadow_text(rule.shadow));
    let models = rule.models.as_ref().map(|models| {
        let names: Vec<_> = models.names().map(|name| format!("{name:?}")).collect();
        format!(" for {}", names.join(" or "))
    });
    let models = models.unwrap_or_default();
    let own = match rule.overrides.len() {
        0 => String::new(),
        many => format!("; {many} named clients have buckets of their own"),
    };
    format!("{name}: {amount}, for {whose}, counting {when}{models}; {beyond}{own}{shadow}")
}
