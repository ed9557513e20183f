//! What every plugin is, whatever it looks at, and what it may ask of the proxy it runs in. Every question that
//! costs a host call says so.

use crate::store::Store;
use crate::task::{StreamId, Task, Workers};
use core::net::IpAddr;
use tidegate_config::ConfigError;
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;

/// One configured plugin.
pub trait Plugin: Sized {
    /// The name under which the proxy asks for it.
    const ROOT_ID: &'static str;

    /// Whether it ever has a task ([`Plugin::task`]). What no plugin of a module has is left out of it.
    const HAS_TASK: bool = false;

    /// From its configuration document, JSON. The error is for the operator.
    fn configure(document: &[u8]) -> Result<Self, ConfigError>;

    /// The names of its counters, in full. [`Proxy::count`] takes their places in this list.
    fn metrics(&self) -> Vec<String>;

    /// The names of its gauges, in full. [`Proxy::set_gauge`] takes their places in this list.
    fn gauges(&self) -> Vec<String> {
        Vec::new()
    }

    /// What it does on one worker beside its streams, if anything.
    fn task(&self) -> Option<Box<dyn Task>> {
        None
    }
}

/// The worker that a stream runs on.
pub trait Proxy {
    /// When this callback began, by the monotonic clock that is the same for all workers. One host call the first
    /// time.
    fn now(&self) -> Timestamp;

    /// The time by that clock now. One host call each.
    fn clock(&self) -> Timestamp;

    /// Nanoseconds since 1970 by the clock on the wall, which may step. One host call each.
    fn wall_clock(&self) -> u64;

    /// 64 random bits, unknown to clients.
    fn random(&self) -> u64;

    /// What all workers share.
    fn store(&self) -> &dyn Store;

    /// How names become keys of the store; the same for all workers.
    fn fingerprinter(&self) -> Fingerprinter;

    /// The address at the other end of the connection. One host call the first time.
    fn peer(&self) -> Option<IpAddr>;

    /// Has the stream's `on_alarm` called at this time, rounded up to a millisecond, instead of at the one set
    /// before; never, for `None`.
    fn set_alarm(&self, at: Option<Timestamp>);

    /// Adds `by` to the counter at this place of [`Plugin::metrics`]. One host call.
    fn count(&self, metric: usize, by: u32);

    /// Sets the gauge at this place of [`Plugin::gauges`]. One host call.
    fn set_gauge(&self, gauge: usize, value: u64);

    /// This stream, as a task of its worker can ring it; `None` for what is no stream.
    fn stream(&self) -> Option<StreamId>;

    /// The workers of the proxy, this one among them.
    fn workers(&self) -> &dyn Workers;
}

/// Has a type answer what a [`Proxy`](crate::plugin::Proxy) is asked by one that it holds in a field.
#[macro_export]
macro_rules! proxy_by {
    ($type:ty, $field:ident) => {
        impl $crate::plugin::Proxy for $type {
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
