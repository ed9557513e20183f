//! The plain-text description of a configuration for operators, and the JSON Schema of its document for editors. For
//! tools only: no proxy module contains any of it.

use crate::metrics::Metric;
use crate::plugin::Plugin;
use core::time::Duration;
use schemars::Schema;

/// A plugin that describes its configuration.
pub trait Describe: Plugin {
    /// Returns a description of what this configuration does.
    fn describe(&self) -> Description;

    /// Returns the largest request body that the plugin makes the proxy buffer, in bytes; 0 if it buffers none of a
    /// known size.
    fn holds(&self) -> u64 {
        0
    }

    /// Returns the JSON Schema of the configuration document.
    fn schema() -> Schema;

    /// Returns the counters. The name of a counter that exists once per rule ends in the kind of rule: `<rule>`.
    fn counters() -> Vec<Metric> {
        Vec::new()
    }

    /// Returns the gauges.
    fn gauges() -> Vec<Metric> {
        Vec::new()
    }
}

/// The description of a configured plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The rules in order of evaluation, in plain words.
    pub rules: Vec<String>,
    /// Maximum shared memory that the plugin uses in the proxy, in bytes.
    pub memory: u64,
    /// Everything else that the plugin makes the proxy keep in memory, in plain words.
    pub keeps: Vec<String>,
    /// The fields of the proxy's PluginConfig that must be true.
    pub needs: Vec<&'static str>,
}

/// The PluginConfig field that lets a request be held at its headers while its body arrives.
pub const HOLDS_HEADERS: &str = "allow_on_headers_stop_iteration";

/// Returns the suffix for the sentence of a rule in shadow mode.
pub const fn shadow_text(shadow: bool) -> &'static str {
    if shadow { " (shadow: counted, nobody is refused)" } else { "" }
}

/// Formats a number of nanoseconds, such as `1.5s`.
pub fn span_text(nanos: u64) -> String {
    format!("{:?}", Duration::from_nanos(nanos))
}

/// Formats a number of bytes, such as `16 KiB`, or `2047 B` if no larger unit is exact.
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
    fn sizes_are_formatted_exactly() {
        let told = [0, 1, 2_047, 1 << 10, 16 << 20, (1 << 20) + 1].map(size_text);
        assert_eq!(told, ["0 B", "1 B", "2047 B", "1 KiB", "16 MiB", "1048577 B"]);
    }
}
