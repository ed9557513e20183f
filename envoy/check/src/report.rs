//! What is said of the documents of a file, and whether all is well: in words, or as JSON for other programs.

use crate::buffer::Buffer;
use crate::catalogue::{Checked, Module};
use crate::find::{Found, documents};
use crate::trial::{Calls, Trial};
use core::fmt;
use serde::Serialize;
use tidegate_host::describe::{Description, size_text};

/// What was found out about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// As it was named.
    pub file: String,
    /// Whether every module would take its document and do as it says.
    pub is_right: bool,
    /// Why there is nothing to say of any document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What is said of each.
    pub documents: Vec<Document>,
}

/// What was found out about a module's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Whose it is.
    pub root_id: String,
    /// Where in the file, if that holds more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Whether the module would take it and do as it says.
    pub is_right: bool,
    /// One after the other.
    pub told: Vec<Told>,
}

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What about.
    pub about: About,
    /// In words.
    pub text: String,
}

/// What something is said about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A rule that is enforced.
    Rule,
    /// What is kept, by whom.
    Memory,
    /// What a request costs.
    HostCalls,
    /// What has to be written in Envoy's configuration.
    Needs,
    /// What is wrong.
    Wrong,
    /// What was not looked at.
    Skipped,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rule => "rule",
            Self::Memory => "memory",
            Self::HostCalls => "host calls",
            Self::Needs => "needs",
            Self::Wrong => "wrong",
            Self::Skipped => "skipped",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(problem) = &self.problem {
            return writeln!(f, "{}: {problem}", self.file);
        }
        for (place, document) in self.documents.iter().enumerate() {
            let Document { root_id, path, told, .. } = document;
            let gap = if place == 0 { "" } else { "\n" };
            let at = if path.is_empty() { "" } else { " at " };
            writeln!(f, "{gap}{}: {root_id}{at}{path}", self.file)?;
            told.iter().try_for_each(|Told { about, text }| writeln!(f, "  {about}: {text}"))?;
        }
        Ok(())
    }
}

/// Of the file `name`, which holds `text`, and of `module` alone if it is named.
pub fn report(name: &str, text: &str, module: Option<&str>) -> Report {
    let file = name.to_owned();
    let wrong = |problem: String| Report {
        file: name.to_owned(),
        is_right: false,
        problem: Some(problem),
        documents: Vec::new(),
    };
    if let Some(unknown) = module.filter(|root_id| Module::named(root_id).is_none()) {
        return wrong(format!("no module is named {unknown}"));
    }
    let found = match documents(text, module) {
        Ok(found) if found.is_empty() => return wrong("nothing in it is for that module".to_owned()),
        Ok(found) => found,
        Err(problem) => return wrong(problem),
    };
    let documents: Vec<Document> = found.iter().map(document).collect();
    let ours = found.iter().any(|found| Module::named(&found.root_id).is_some());
    let is_right = ours && documents.iter().all(|document| document.is_right);
    Report { file, is_right, problem: None, documents }
}

fn document(found: &Found) -> Document {
    let Found { path, root_id, document, set, buffer } = found;
    let of = |is_right, told| Document { root_id: root_id.clone(), path: path.clone(), is_right, told };
    let Some(module) = Module::named(root_id) else {
        return of(true, vec![say(About::Skipped, "no module that can be checked here")]);
    };
    let checked =
        document.clone().and_then(|document| (module.check)(&document).map_err(|error| error.to_string()));
    match checked {
        Err(problem) => of(false, vec![say(About::Wrong, with_nearest(problem))]),
        Ok(Checked { description, trial, holds }) => {
            let missing =
                |flag: &&&str| set.as_ref().is_some_and(|set| !set.iter().any(|known| known == **flag));
            let unmet: Vec<_> = description.needs.iter().filter(missing).collect();
            let mut told = told(&description, &trial);
            told.extend(unmet.iter().map(|flag| {
                let text = format!(
                    "{flag} is not true beside root_id, and hold_headers needs it: requests with a body would hang"
                );
                say(About::Wrong, text)
            }));
            let small = buffer.filter(|buffer| buffer.bytes < holds);
            told.extend(small.map(|Buffer { bytes, setting }| {
                let text = format!(
                    "{setting} is {bytes}, and bodies of up to {holds} bytes are held: Envoy would answer those beyond it \
                     with a 413 of its own; request_body_buffer_limit of the virtual host raises it"
                );
                say(About::Wrong, text)
            }));
            of(unmet.is_empty() && small.is_none(), told)
        }
    }
}

/// A problem, and where a name is not known, the known one that is most like it.
fn with_nearest(problem: String) -> String {
    let names = problem.split_once("unknown field `").or_else(|| problem.split_once("unknown variant `"));
    let nearest = names.and_then(|(_, names)| {
        let (found, known) = names.split_once("`, expected ")?;
        let known = known.split('`').skip(1).step_by(2);
        let likeness = |name: &str| strsim::normalized_damerau_levenshtein(found, name);
        let nearest = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
        (likeness(nearest) >= 0.5).then(|| nearest.to_owned())
    });
    match nearest {
        Some(nearest) => format!("{problem}; did you mean `{nearest}`?"),
        None => problem,
    }
}

fn say(about: About, text: impl Into<String>) -> Told {
    Told { about, text: text.into() }
}

fn told(description: &Description, trial: &Trial) -> Vec<Told> {
    let Description { rules, memory, keeps, needs } = description;
    let mut told: Vec<Told> = rules.iter().map(|rule| say(About::Rule, rule)).collect();
    let kept = match memory {
        0 => "keeps nothing beyond a request".to_owned(),
        bytes => format!("at most {bytes} bytes ({}) of Envoy's, for all workers together", about(*bytes)),
    };
    told.push(say(About::Memory, kept));
    told.extend(keeps.iter().map(|what| say(About::Memory, format!("Envoy keeps {what}"))));
    let priced_for =
        |(what, calls): &(_, Calls)| say(About::HostCalls, format!("{} for {what}", priced(*calls)));
    told.extend(trial.admitted.iter().map(priced_for));
    let refused = match trial.refused {
        None => "no request of this kind was refused".to_owned(),
        Some((before, calls)) => {
            format!("{} for the first one refused, after {before} at one instant", priced(calls))
        }
    };
    told.push(say(About::HostCalls, refused));
    told.extend(needs.iter().map(|flag| say(About::Needs, format!("{flag}: true in Envoy's PluginConfig"))));
    told
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
