//! The decisions of Tidegate. Values go in and values come out: no clock, no I/O, no serde, no proxy.
//!
//! - [`timestamp`]: the instant that every decision receives.
//! - [`bucket`]: a token bucket as one instant (GCRA).
//! - [`slots`]: many buckets in bounded memory, with eviction. [`slot_key`]: the keys of their entries.
//! - [`admission`]: the joint decision of several limits.
//! - [`identity`]: the identity of a client. [`fingerprint`]: keyed hashes in place of names.
//! - [`headers`]: limits on a request's headers. [`pattern`]: regular expressions on raw bytes.
//! - [`body_rate`]: the minimum rate of a request body. [`grpc`]: the message lengths of a gRPC stream.
//! - [`connections`]: the open connections of an address, and the rate of new ones.
//! - [`json`]: a push lexer for JSON. [`inference`]: the facts and the texts of an inference request.
//! - [`denied_text`]: texts that no prompt may contain, in any spacing and spelling.
//! - [`prompt`]: limits on a prompt. [`strips`]: characters removed from it. [`clamp`]: caps on its completion tokens.
//!   [`rewrite`]: the edits of a body.
//! - [`path`]: the canonical form of a path. [`api`]: the API that it belongs to.
//! - [`request_head`]: the unfinished request head of a connection, and its minimum rate.
//! - [`retry_budget`]: the retries that first attempts pay for.
//! - [`attempt`]: the attempt number of a request, from its own claim or from a recorded failure.
//! - [`voucher`]: free retries for requests that were refused.
//! - [`date`]: instants as APIs write them. [`jitter`]: the random part of a wait. [`retry_hint`]: `Retry-After` with jitter, or
//!   the advice to stop.
//! - [`record`]: entries of the store, as bytes. [`ratio`]: a part of a whole.
//! - [`health`]: the health of a cluster, measured by its responses.
//! - [`breaker`]: the circuit breaker in front of a cluster.
//! - [`tier`]: the tiers of degradation, with hysteresis.
//! - [`answer_cache`]: recent successful responses, in bounded memory.
//! - [`answer`]: the content, the errors and the end of a response, read as it passes.
//! - [`lease`]: the leader among the workers.
//! - [`refused`]: recent refusals of a worker, and the jitter of the waits that it announces.

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
pub mod jitter;
pub mod json;
pub mod lease;
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
