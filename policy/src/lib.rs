//! What Tidegate decides. Values in, values out: no clock, no I/O, no serde, no proxy.
//!
//! - [`timestamp`]: the instant that every decision is given.
//! - [`bucket`]: one token bucket as one instant (GCRA).
//! - [`slots`]: many buckets in a fixed amount of memory, and which of them is forgotten first. [`slot_key`]: the keys of
//!   their entries.
//! - [`admission`]: several limits, one answer.
//! - [`identity`]: who a client is. [`fingerprint`]: how its name is kept without keeping it.
//! - [`headers`]: what a request's headers may be. [`pattern`]: regular expressions on raw bytes.
//! - [`body_rate`]: when a request body is too slow.
//! - [`connections`]: how many connections an address has open, and how fast it opens them.
//! - [`json`]: JSON as it streams in. [`inference`]: what it asks of a model, and every text that it shows it.
//! - [`denied_text`]: what no text may say, however it is spaced and spelt.
//! - [`prompt`]: what a prompt may be. [`denied_text`]: what it must not say. [`rewrite`]: a body with parts replaced.
//! - [`path`]: one path, however it is spelt. [`api`]: which API it belongs to.
//! - [`request_head`]: which request head a connection is in the middle of, and when it is too slow.
//! - [`retry_budget`]: how many retries first attempts pay for.
//! - [`attempt`]: which attempt a request is, as it says itself or as a failure of ours tells.
//! - [`voucher`]: which returns are paid for, since we refused them before.
//! - [`date`]: instants as APIs write them. [`retry_hint`]: when a client whose request failed is told to come back, or to stop.
//! - [`record`]: what the store holds, as bytes. [`ratio`]: a part of a whole.
//! - [`health`]: how a cluster is, from what it answers.
//! - [`breaker`]: whether requests reach the cluster.
//! - [`tier`]: how far answers are degraded.
//! - [`answer_cache`]: the last good answers, in bounded memory.
//! - [`answer`]: what an answer shows while it passes.
//! - [`refused`]: what a worker remembers of refusals, and when a refused crowd is told to come back.

pub mod admission;
pub mod answer;
pub mod answer_cache;
pub mod api;
pub mod attempt;
pub mod body_rate;
pub mod breaker;
pub mod bucket;
pub mod clamp;
pub mod connections;
pub mod date;
pub mod denied_text;
pub mod fingerprint;
pub mod grpc;
pub mod headers;
pub mod health;
pub mod identity;
pub mod inference;
pub mod json;
pub mod path;
pub mod pattern;
pub mod prompt;
pub mod ratio;
pub mod record;
pub mod refused;
pub mod request_head;
pub mod retry_budget;
pub mod retry_hint;
pub mod rewrite;
pub mod slot_key;
pub mod slots;
pub mod strips;
pub mod tier;
pub mod timestamp;
pub mod voucher;
