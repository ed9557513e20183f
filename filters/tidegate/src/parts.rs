//! The HTTP filters of the list as fields: their configurations, and their states in one exchange. A field costs no
//! allocation; the places of the list, by which [`crate::stream`] goes through them, are constants.

use tidegate_config::ConfigError;
use tidegate_host::exchange::{Filter, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::scan::ScanNeeds;
use tidegate_host::task::Task;
use tidegate_policy::inference::TextSink;

macro_rules! parts {
    ($($key:ident: $filter:path,)+) => {
        /// The number of filters.
        pub const PARTS: usize = [$(stringify!($key)),+].len();

        /// The stage of each filter, in the order of the list.
        pub const STAGES: [Stage; PARTS] = [$(<$filter as Filter>::STAGE),+];

        /// True if any of the filters ever has a task.
        pub const HAS_TASK: bool = false $(|| <$filter as Plugin>::HAS_TASK)+;

        const _: () = assert!(
            0 $(+ if <$filter as Filter>::HEARS_TEXT { 1 } else { 0 })+ <= 1,
            "texts are read to one filter only"
        );

        #[allow(non_upper_case_globals, reason = "named as the filters' keys are")]
        mod place {
            places!(0; $($key)+);
        }

        /// The filters that are configured.
        #[derive(Debug, Default)]
        pub struct Filters {
            $(pub(crate) $key: Option<$filter>,)+
        }

        /// Their states in one exchange.
        #[derive(Debug)]
        pub struct Parts {
            $($key: Option<<$filter as Filter>::Stream>,)+
        }

        impl Filters {
            /// Configures the filters whose documents are there, in the order of the list. The error's path begins with the
            /// filter's key.
            pub fn configure(documents: [Option<&[u8]>; PARTS]) -> Result<Self, ConfigError> {
                let [$($key),+] = documents;
                Ok(Self { $($key: configured($key, stringify!($key))?,)+ })
            }

            /// The names of each filter's counters, and of its gauges.
            pub fn names(&self) -> [(Vec<String>, Vec<String>); PARTS] {
                [$(self.$key.as_ref().map(|filter| (filter.metrics(), filter.gauges())).unwrap_or_default()),+]
            }

            /// The sum of what the filters want to be read from bodies.
            pub fn scan(&self) -> Option<ScanNeeds> {
                let each = [$(self.$key.as_ref().and_then(Filter::scan)),+];
                each.into_iter().flatten().reduce(ScanNeeds::and)
            }

            /// For each filter: true if it asks for scans, and the most requests that it may hold on a worker.
            pub fn needs(&self) -> [(bool, usize); PARTS] {
                [$(self.$key.as_ref().map_or((false, 0), |filter| (filter.scan().is_some(), filter.max_held()))),+]
            }

            /// The task of each filter, if it has one.
            pub fn tasks(&self) -> [Option<Box<dyn Task>>; PARTS] {
                [$(self.$key.as_ref().and_then(Plugin::task)),+]
            }

            /// Starts a new exchange.
            pub fn parts(&self) -> Parts {
                Parts { $($key: self.$key.as_ref().map(Filter::stream),)+ }
            }
        }

        impl Parts {
            /// The state of the filter at this place of the list, if it is configured.
            pub fn at(&mut self, place: usize) -> Option<&mut dyn Stream> {
                match place {
                    $(place::$key => Some(self.$key.as_mut()?),)+
                    _ => None,
                }
            }

            /// The same, by shared reference.
            pub fn get(&self, place: usize) -> Option<&dyn Stream> {
                match place {
                    $(place::$key => Some(self.$key.as_ref()?),)+
                    _ => None,
                }
            }

            /// The filter that hears the texts of the request's body.
            pub fn text_sink(&mut self) -> Option<&mut dyn TextSink> {
                $(if <$filter as Filter>::HEARS_TEXT {
                    return self.$key.as_mut()?.text_sink();
                })+
                None
            }
        }
    };
}

macro_rules! places {
    ($at:expr; $key:ident $($rest:ident)*) => {
        pub(super) const $key: usize = $at;
        places!($at + 1; $($rest)*);
    };
    ($at:expr;) => {};
}

tidegate_chain::each_http_filter!(parts);

fn configured<P: Plugin>(document: Option<&[u8]>, key: &str) -> Result<Option<P>, ConfigError> {
    let beneath = |error: ConfigError| match error.path.as_str() {
        "" => ConfigError::new(key, error.problem),
        path => ConfigError::new(format!("{key}.{path}"), error.problem),
    };
    document.map(P::configure).transpose().map_err(beneath)
}
