//! The findings about the documents of a file, and whether all is well: as text, or as JSON for other programs.

use crate::buffer::Buffer;
use crate::catalogue::{Checked, Module};
use crate::find::{Found, documents};
use crate::trial::{Calls, Trial};
use core::fmt;
use serde::Serialize;
use tidegate_host::describe::{Description, size_text};

/// The findings about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name of the file, as given.
    pub file: String,
    /// True if every module accepts its document and can do as it says.
    pub is_right: bool,
    /// The reason why no document could be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Findings about each document.
    pub documents: Vec<Document>,
}

/// The findings about a module's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Module of the document.
    pub root_id: String,
    /// Path within the file, if the file contains more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// True if the module accepts the document and can do as it says.
    pub is_right: bool,
    /// Findings, in order.
    pub told: Vec<Told>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Subject of the finding.
    pub about: About,
    /// Text of the finding.
    pub text: String,
}

/// The subject of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// An enforced rule.
    Rule,
    /// Memory that is used, and by whom.
    Memory,
    /// Host calls of a request.
    HostCalls,
    /// A required setting in Envoy's configuration.
    Needs,
    /// A problem.
    Wrong,
    /// A part that was not checked.
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

/// Reports on the file `name` with the contents `text`, or only on the documents of `module`.
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

/// Appends to a problem with an unknown name the known name most like it.
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

/// Formats a size rounded up to a whole number of KiB or MiB.
fn about(bytes: u64) -> String {
    let unit = if bytes < 1 << 20 { 1 << 10 } else { 1 << 20 };
    size_text(bytes.div_ceil(unit).saturating_mul(unit))
}

#[cfg(test)]
mod tests;
