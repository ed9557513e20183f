//! The parts that all limiting filters share: whom a rule counts, what it counts, and how much of it is admitted.
//!
//! - [`client`]: the client that sent a request. [`network`]: networks that an operator names. [`attempt`]: the attempt
//!   number of a request, and the vouchers that pay for a refused client's return.
//! - [`rule`]: an enforceable rule, from a [`written`] one. [`mod@unit`]: the unit that it counts. [`when`]: the
//!   requests that it applies to. [`model`]: the model that a request names. [`exempt`]: the requests that no rule
//!   charges.
//! - [`identity`]: the identity whose bucket a rule charges. [`charges`]: the charges of a request. [`admission`]:
//!   joint charges on several entries of the shared store.
//! - [`level`]: the headers that report a bucket's level to its client.

pub mod admission;
pub mod attempt;
pub mod charges;
pub mod client;
#[cfg(feature = "describe")]
pub mod describe;
pub mod exempt;
pub mod identity;
pub mod level;
pub mod model;
pub mod network;
pub mod rule;
pub mod unit;
pub mod when;
pub mod written;
