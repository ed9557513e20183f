//! Declarations of a plugin's metrics: each has one name, one index among the plugin's metrics and one meaning, from
//! which the reference is generated.

/// A counter or a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Full name, such as `tidegate.rate_limit.admitted`; for a metric that exists once per rule,
    /// `tidegate.rate_limit.throttled.<limit>`.
    pub name: &'static str,
    /// Meaning, in one sentence.
    pub meaning: &'static str,
}

/// Declares the counters of a plugin, in order, under one prefix:
///
/// ```
/// tidegate_host::counters! {
///     /// What is counted.
///     pub enum Counter in "tidegate.example." {
///         /// Requests that were admitted.
///         Admitted = "admitted",
///     }
/// }
/// assert_eq!(Counter::names(), ["tidegate.example.admitted"]);
/// ```
#[macro_export]
macro_rules! counters {
    ($(#[$about:meta])* $vis:vis enum $type:ident in $prefix:literal {
        $($(#[doc = $doc:literal])+ $counter:ident = $name:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $type { $($(#[doc = $doc])+ $counter),+ }

        impl $type {
            /// All counters, in order.
            $vis const ALL: &'static [$crate::metrics::Metric] = &[$($crate::metrics::Metric {
                name: concat!($prefix, $name),
                meaning: concat!($($doc),+),
            }),+];

            /// Returns the index among the plugin's counters.
            #[allow(clippy::as_conversions, reason = "the places of an enum")]
            $vis const fn place(self) -> usize {
                self as usize
            }

            /// Returns the full names, in order.
            $vis fn names() -> Vec<String> {
                Self::ALL.iter().map(|metric| metric.name.to_owned()).collect()
            }

            /// Adds `by` to the counter. One host call.
            $vis fn count(self, proxy: &(impl $crate::plugin::Proxy + ?Sized), by: u32) {
                proxy.count(self.place(), by);
            }
        }
    };
}

/// Declares the counters that exist once per rule of a plugin, after those declared by
/// [`counters!`](crate::counters).
#[macro_export]
macro_rules! rule_counters {
    ($(#[$about:meta])* $vis:vis enum $type:ident in $prefix:literal of $rule:literal behind $totals:ty {
        $($(#[doc = $doc:literal])+ $counter:ident = $name:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $type { $($(#[doc = $doc])+ $counter),+ }

        impl $type {
            /// All counters of a rule, in order.
            $vis const ALL: &'static [$crate::metrics::Metric] = &[$($crate::metrics::Metric {
                name: concat!($prefix, $name, ".<", $rule, ">"),
                meaning: concat!($($doc),+),
            }),+];

            /// Returns the index among the plugin's counters for rule `rule` of `rules`.
            #[allow(clippy::as_conversions, reason = "the places of an enum")]
            $vis const fn place(self, rule: usize, rules: usize) -> usize {
                <$totals>::ALL.len().saturating_add((self as usize).saturating_mul(rules)).saturating_add(rule)
            }

            /// Returns the full names of the totals and of these counters for each rule.
            $vis fn names<L: AsRef<str>>(rules: &[L]) -> Vec<String> {
                let each = [$(concat!($prefix, $name, ".")),+].into_iter();
                let each = each.flat_map(|name| rules.iter().map(move |rule| format!("{name}{}", rule.as_ref())));
                <$totals>::names().into_iter().chain(each).collect()
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::fake::FakeProxy;
    use crate::plugin::Plugin;
    use tidegate_config::ConfigError;

    struct Counting;

    impl Plugin for Counting {
        const ROOT_ID: &'static str = "counting";

        fn configure(_: &[u8]) -> Result<Self, ConfigError> {
            Ok(Self)
        }

        fn metrics(&self) -> Vec<String> {
            Counter::names()
        }
    }

    counters! {
        /// Totals.
        enum Counter in "t." {
            /// First, on
            /// two lines.
            First = "first",
            /// Second.
            Second = "second",
        }
    }

    rule_counters! {
        /// Of each rule.
        enum Each in "t." of "rule" behind Counter {
            /// Third.
            Third = "third",
            /// Fourth.
            Fourth = "fourth",
        }
    }

    #[test]
    fn an_index_is_that_of_the_name() {
        let names = Each::names(&["a", "b"]);
        assert_eq!(names, ["t.first", "t.second", "t.third.a", "t.third.b", "t.fourth.a", "t.fourth.b"]);
        assert_eq!([Counter::First, Counter::Second].map(Counter::place), [0, 1]);
        assert_eq!(names[Each::Third.place(1, 2)], "t.third.b");
        assert_eq!(names[Each::Fourth.place(0, 2)], "t.fourth.a");
    }

    #[test]
    fn counts_reach_the_proxy() {
        let proxy = FakeProxy::running(&Counting);
        Counter::Second.count(&proxy, 3);
        assert_eq!(["t.first", "t.second"].map(|name| proxy.counter(name)), [0, 3]);
    }

    #[test]
    fn the_meaning_is_the_doc_comment() {
        assert_eq!(Counter::ALL[0].meaning, " First, on two lines.");
        assert_eq!(Each::ALL[1].name, "t.fourth.<rule>");
        assert_eq!(Counter::names().len(), 2);
    }
}
