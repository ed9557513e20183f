//! What Tidegate decides. Values in, values out: no clock, no I/O, no serde, no proxy.
//!
//! - [`timestamp`]: the instant that every decision is given.
//! - [`bucket`]: one token bucket as one instant (GCRA).
//! - [`slots`]: many buckets in a fixed amount of memory, and which of them is forgotten first.
//! - [`admission`]: several limits, one answer.
//! - [`identity`]: who a client is. [`fingerprint`]: how its name is kept without keeping it.
//! - [`hint`]: when a refused client is told to come back, so that a crowd does not come back at once.

pub mod admission;
pub mod bucket;
pub mod fingerprint;
pub mod hint;
pub mod identity;
pub mod slots;
pub mod timestamp;
