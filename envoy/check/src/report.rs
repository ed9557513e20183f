//! What is said of the documents of a file, and whether all is well.

use crate::buffer::Buffer;
use crate::catalogue::{Checked, Module};
use crate::find::{Found, documents};
use crate::trial::{Calls, Trial};
use tidegate_host::describe::{Description, size_text};

/// What was found out about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// For a human, in lines.
    pub text: String,
    /// Whether every module would take its document and do as it says.
    pub is_right: bool,
}

/// Of the file `name`, which holds `text`, and of `module` alone if it is named.
pub fn report(name: &str, text: &str, module: Option<&str>) -> Report {
    if let Some(unknown) = module.filter(|root_id| Module::named(root_id).is_none()) {
        return wrong(format!("{name}: no module is named {unknown}\n"));
    }
    let found = match documents(text, module) {
        Ok(found) if found.is_empty() => return wrong(format!("{name}: nothing in it is for that module\n")),
        Ok(found) => found,
        Err(problem) => return wrong(format!("{name}: {problem}\n")),
    };
    let parts: Vec<Report> = found.iter().map(|found| part(name, found)).collect();
    let ours = found.iter().any(|found| Module::named(&found.root_id).is_some());
    let text = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n");
    Report { text, is_right: ours && parts.iter().all(|part| part.is_right) }
}

fn wrong(text: String) -> Report {
    Report { text, is_right: false }
}

fn part(name: &str, found: &Found) -> Report {
    let Found { path, root_id, document, set, buffer } = found;
    let place =
        if path.is_empty() { format!("{name}: {root_id}") } else { format!("{name}: {root_id} at {path}") };
    let Some(module) = Module::named(root_id) else {
        return Report {
            text: format!("{place}\n  skipped: no module that can be checked here\n"),
            is_right: true,
        };
    };
    let checked =
        document.clone().and_then(|document| (module.check)(&document).map_err(|error| error.to_string()));
    match checked {
        Err(problem) => wrong(format!("{place}\n  wrong: {problem}\n")),
        Ok(Checked { description, trial, holds }) => {
            let missing =
                |flag: &&&str| set.as_ref().is_some_and(|set| !set.iter().any(|known| known == **flag));
            let unmet: Vec<_> = description.needs.iter().filter(missing).collect();
            let mut lines = told(&description, &trial);
            lines.extend(unmet.iter().map(|flag| {
                format!("wrong: {flag} is not true beside root_id, and hold_headers needs it: requests with a body would hang")
            }));
            let small = buffer.filter(|buffer| buffer.bytes < holds);
            lines.extend(small.map(|Buffer { bytes, setting }| {
                format!(
                    "wrong: {setting} is {bytes}, and bodies of up to {holds} bytes are held: Envoy would answer those \
                     beyond it with a 413 of its own; request_body_buffer_limit of the virtual host raises it"
                )
            }));
            let text = lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
            Report { text: format!("{place}\n{text}"), is_right: unmet.is_empty() && small.is_none() }
        }
    }
}

fn told(description: &Description, trial: &Trial) -> Vec<String> {
    let Description { rules, memory, keeps, needs } = description;
    let mut lines: Vec<String> = rules.iter().map(|rule| format!("rule: {rule}")).collect();
    lines.push(match memory {
        0 => "memory: keeps nothing beyond a request".to_owned(),
        bytes => {
            format!("memory: at most {bytes} bytes ({}) of Envoy's, for all workers together", about(*bytes))
        }
    });
    lines.extend(keeps.iter().map(|what| format!("memory: Envoy keeps {what}")));
    lines.extend(
        trial.admitted.iter().map(|(what, calls)| format!("host calls: {} for {what}", priced(*calls))),
    );
    lines.push(match trial.refused {
        None => "host calls: no request of this kind was refused".to_owned(),
        Some((before, calls)) => {
            format!("host calls: {} for the first one refused, after {before} at one instant", priced(calls))
        }
    });
    lines.extend(needs.iter().map(|flag| format!("needs: {flag}: true in Envoy's PluginConfig")));
    lines
}

fn priced(calls: Calls) -> String {
    match calls {
        Calls { all, reads: 0, writes: 0 } => all.to_string(),
        Calls { all, reads, writes } => format!("{all} ({reads} read and {writes} write shared data)"),
    }
}

/// To the next lower whole number of KiB or MiB.
fn about(bytes: u64) -> String {
    let unit = if bytes < 1 << 20 { 1 << 10 } else { 1 << 20 };
    size_text(bytes.div_ceil(unit).saturating_mul(unit))
}

#[cfg(test)]
mod tests;
