//! The contract of every plugin, and the questions it may ask its proxy. Methods that cost a host call say so.

use crate::store::Store;
use crate::task::{StreamId, Task, Workers};
use core::net::IpAddr;
use tidegate_config::ConfigError;
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;

/// A configured plugin.
pub trait Plugin: Sized {
    /// The name by which the proxy configuration refers to the plugin.
    const ROOT_ID: &'static str;

    /// True if the plugin ever has a task ([`Plugin::task`]). Code that no plugin of a module needs is left out of
    /// the module.
    const HAS_TASK: bool = false;

    /// Parses a configuration document, JSON. The error text is for the operator.
    fn configure(document: &[u8]) -> Result<Self, ConfigError>;

    /// Returns the full names of the counters. [`Proxy::count`] takes an index into this list.
    fn metrics(&self) -> Vec<String>;

    /// Returns the full names of the gauges. [`Proxy::set_gauge`] takes an index into this list.
    fn gauges(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the task to run on each worker outside of its streams, if any.
    fn task(&self) -> Option<Box<dyn Task>> {
        None
    }
}

/// The worker that a stream or task runs on.
pub trait Proxy {
    /// Returns the time at which this callback began, on the monotonic clock that all workers share. One host call
    /// the first time.
    fn now(&self) -> Timestamp;

    /// Returns the current time on the same clock. One host call each.
    fn clock(&self) -> Timestamp;

    /// Returns the wall-clock time in nanoseconds since 1970; it may step. One host call each.
    fn wall_clock(&self) -> u64;

    /// Returns 64 random bits that clients cannot predict.
    fn random(&self) -> u64;

    /// Returns the store that all workers share.
    fn store(&self) -> &dyn Store;

    /// Returns the hasher that turns names into store keys; the same for all workers.
    fn fingerprinter(&self) -> Fingerprinter;

    /// Returns the address of the remote end of the connection. One host call the first time.
    fn peer(&self) -> Option<IpAddr>;

    /// Sets the stream's alarm, replacing the previous one: `on_alarm` is called at this time, rounded up to a
    /// millisecond. `None` clears the alarm.
    fn set_alarm(&self, at: Option<Timestamp>);

    /// Adds `by` to the counter at index `metric` of [`Plugin::metrics`]. One host call.
    fn count(&self, metric: usize, by: u32);

    /// Sets the gauge at index `gauge` of [`Plugin::gauges`]. One host call.
    fn set_gauge(&self, gauge: usize, value: u64);

    /// Returns the id by which a task of this worker can ring this stream; `None` outside of a stream.
    fn stream(&self) -> Option<StreamId>;

    /// Returns the workers of the proxy, including this one.
    fn workers(&self) -> &dyn Workers;
}

/// Implements [`Proxy`](crate::plugin::Proxy) for a type by delegating to one of its fields.
#[macro_export]
macro_rules! proxy_by {
    ($type:ty, $field:ident) => {
        impl $crate::plugin::Proxy for $type {
            $crate::proxy_facts_by!($field);

            fn set_alarm(&self, at: Option<::tidegate_policy::timestamp::Timestamp>) {
                self.$field.set_alarm(at);
            }

            fn count(&self, metric: usize, by: u32) {
                self.$field.count(metric, by);
            }

            fn set_gauge(&self, gauge: usize, value: u64) {
                self.$field.set_gauge(gauge, value);
            }

            fn stream(&self) -> Option<$crate::task::StreamId> {
                self.$field.stream()
            }

            fn workers(&self) -> &dyn $crate::task::Workers {
                self.$field.workers()
            }
        }
    };
}

/// Implements the facts of [`Proxy`](crate::plugin::Proxy) within an `impl` of it, by delegating to a field: the clocks, random
/// bits, the store, the keys and the peer. An alarm and metrics of its own are left to the type.
#[macro_export]
macro_rules! proxy_facts_by {
    ($field:ident) => {
        fn now(&self) -> ::tidegate_policy::timestamp::Timestamp {
            self.$field.now()
        }

        fn clock(&self) -> ::tidegate_policy::timestamp::Timestamp {
            self.$field.clock()
        }

        fn wall_clock(&self) -> u64 {
            self.$field.wall_clock()
        }

        fn random(&self) -> u64 {
            self.$field.random()
        }

        fn store(&self) -> &dyn $crate::store::Store {
            self.$field.store()
        }

        fn fingerprinter(&self) -> ::tidegate_policy::fingerprint::Fingerprinter {
            self.$field.fingerprinter()
        }

        fn peer(&self) -> Option<::core::net::IpAddr> {
            self.$field.peer()
        }
    };
}
