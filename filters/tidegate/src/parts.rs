//! The filters in their order, and how they are asked whatever their types.

use tidegate_config::ConfigError;
use tidegate_degradation::Degradation;
use tidegate_header_limit::HeaderLimit;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::scan::ScanNeeds;
use tidegate_input_limit::InputLimit;
use tidegate_policy::inference::TextSink;
use tidegate_rate_limit::RateLimit;
use tidegate_retry_budget::RetryBudget;
use tidegate_slow_client::SlowClient;

/// One filter's part in an exchange.
pub trait Part {
    /// As [`Stream::on_request_headers`].
    fn request_headers(&mut self, exchange: &dyn Exchange) -> Flow;
    /// As [`Stream::on_request_body`].
    fn request_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow;
    /// As [`Stream::on_request_end`].
    fn request_end(&mut self, exchange: &dyn Exchange) -> Flow;
    /// As [`Stream::on_alarm`].
    fn alarm(&mut self, exchange: &dyn Exchange) -> Flow;
    /// As [`Stream::on_response_headers`].
    fn response_headers(&mut self, exchange: &dyn Exchange) -> Flow;
    /// As [`Stream::on_response_body`].
    fn response_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow;
    /// As [`Stream::on_response_end`].
    fn response_end(&mut self, exchange: &dyn Exchange) -> Flow;
    /// As [`Stream::wants_scan`].
    fn wants(&self) -> bool;
    /// As [`Stream::on_gone`].
    fn gone(&mut self, exchange: &dyn Exchange);
}

impl<S: Stream> Part for S {
    fn request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        self.on_request_headers(exchange)
    }

    fn request_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        self.on_request_body(exchange, arrived)
    }

    fn request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        self.on_request_end(exchange)
    }

    fn alarm(&mut self, exchange: &dyn Exchange) -> Flow {
        self.on_alarm(exchange)
    }

    fn response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        self.on_response_headers(exchange)
    }

    fn response_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        self.on_response_body(exchange, arrived)
    }

    fn response_end(&mut self, exchange: &dyn Exchange) -> Flow {
        self.on_response_end(exchange)
    }

    fn wants(&self) -> bool {
        self.wants_scan()
    }

    fn gone(&mut self, exchange: &dyn Exchange) {
        self.on_gone(exchange);
    }
}

macro_rules! parts {
    ($($place:literal $key:ident $constant:ident: $filter:ty,)+) => {
        /// How many filters there are.
        pub const PARTS: usize = [$($place),+].len();

        $(/// The place of this filter.
        pub const $constant: usize = $place;)+

        /// The filters that are configured.
        #[derive(Debug)]
        pub struct Filters {
            $(/// As its name says.
            pub $key: Option<$filter>,)+
        }

        /// Their parts in one exchange.
        #[derive(Debug)]
        pub struct Parts {
            $(/// As its name says.
            $key: Option<<$filter as Filter>::Stream>,)+
        }

        impl Filters {
            /// From the documents that [`super::filter`] has cut apart, in this order.
            pub fn configure(documents: [Option<&[u8]>; PARTS]) -> Result<Self, ConfigError> {
                let [$($key),+] = documents;
                Ok(Self { $($key: configured($key, stringify!($key))?,)+ })
            }

            /// How many counters and gauges each has, and their names.
            pub fn names(&self) -> [(Vec<String>, Vec<String>); PARTS] {
                [$(self.$key.as_ref().map(|filter| (filter.metrics(), filter.gauges())).unwrap_or_default()),+]
            }

            /// What they want to be read out of bodies.
            pub fn scan(&self) -> Option<ScanNeeds> {
                let each = [$(self.$key.as_ref().and_then(Filter::scan)),+];
                each.into_iter().flatten().reduce(ScanNeeds::and)
            }

            /// Whether each asks for scans, and how many requests it may hold on a worker.
            pub fn needs(&self) -> [(bool, usize); PARTS] {
                [$(self.$key.as_ref().map_or((false, 0), |filter| (filter.scan().is_some(), filter.max_held()))),+]
            }

            /// For a new exchange.
            pub fn parts(&self) -> Parts {
                Parts { $($key: self.$key.as_ref().map(Filter::stream),)+ }
            }
        }

        impl Parts {
            /// The part of the filter at this place, if it is configured.
            pub fn at(&mut self, place: usize) -> Option<&mut dyn Part> {
                match place {
                    $($place => match &mut self.$key {
                        Some(part) => Some(part),
                        None => None,
                    },)+
                    _ => None,
                }
            }

            /// The same, to look at.
            pub fn get(&self, place: usize) -> Option<&dyn Part> {
                match place {
                    $($place => match &self.$key {
                        Some(part) => Some(part),
                        None => None,
                    },)+
                    _ => None,
                }
            }
        }
    };
}

parts! {
    0 header_limit HEADER_LIMIT: HeaderLimit,
    1 rate_limit RATE_LIMIT: RateLimit,
    2 slow_client SLOW_CLIENT: SlowClient,
    3 input_limit INPUT_LIMIT: InputLimit,
    4 retry_budget RETRY_BUDGET: RetryBudget,
    5 degradation DEGRADATION: Degradation,
}

impl Parts {
    /// Who hears the texts of the request's body.
    pub fn text_sink(&mut self) -> Option<&mut dyn TextSink> {
        self.input_limit.as_mut().and_then(Stream::text_sink)
    }
}

fn configured<P: Plugin>(document: Option<&[u8]>, key: &str) -> Result<Option<P>, ConfigError> {
    let beneath = |error: ConfigError| match error.path.as_str() {
        "" => ConfigError::new(key, error.problem),
        path => ConfigError::new(format!("{key}.{path}"), error.problem),
    };
    document.map(P::configure).transpose().map_err(beneath)
}
