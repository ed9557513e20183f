//! What an operator is told of a configuration before anything runs it, and what an editor knows of its document. Only
//! for tools: no module for a proxy holds any of it.

use crate::metrics::Metric;
use crate::plugin::Plugin;
use core::time::Duration;
use schemars::Schema;

/// A plugin that can say what it will do.
pub trait Describe: Plugin {
    /// What it will do, as it is configured.
    fn describe(&self) -> Description;

    /// The largest body of a request that it has the proxy hold, in bytes; 0 if it holds none whose size it knows.
    fn holds(&self) -> u64 {
        0
    }

    /// The JSON Schema of its document.
    fn schema() -> Schema;

    /// What it counts. The name of a counter that each rule has ends in the rule's kind: `<rule>`.
    fn counters() -> Vec<Metric> {
        Vec::new()
    }

    /// What it measures.
    fn gauges() -> Vec<Metric> {
        Vec::new()
    }
}

/// What a configured plugin will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its rules in the order in which they are asked, in plain words.
    pub rules: Vec<String>,
    /// The most bytes of the proxy's memory that it takes for what all workers share.
    pub memory: u64,
    /// What else it makes the proxy keep, in plain words.
    pub keeps: Vec<String>,
    /// The fields of the proxy's PluginConfig that must be true for it.
    pub needs: Vec<&'static str>,
}

/// That the request is held at its headers while its body comes.
pub const HOLDS_HEADERS: &str = "allow_on_headers_stop_iteration";

/// What is added to the sentence of a rule that only counts.
pub const fn shadow_text(shadow: bool) -> &'static str {
    if shadow { " (shadow: counted, nobody is refused)" } else { "" }
}

/// Nanoseconds, such as `1.5s`.
pub fn span_text(nanos: u64) -> String {
    format!("{:?}", Duration::from_nanos(nanos))
}

/// Bytes, such as `16 KiB`, or `2047 B` where that is not exact.
pub fn size_text(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let exact = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    match exact {
        Some((unit, name)) => format!("{} {name}", bytes.checked_div(unit).unwrap_or(bytes)),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_exactly() {
        let told = [0, 1, 2_047, 1 << 10, 16 << 20, (1 << 20) + 1].map(size_text);
        assert_eq!(told, ["0 B", "1 B", "2047 B", "1 KiB", "16 MiB", "1048577 B"]);
    }
}
