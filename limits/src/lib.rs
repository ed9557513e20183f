//! What every limiting filter shares: a rule says whom it counts, what it counts and how much of it is admitted.
//!
//! - [`client`]: who sent a request. [`network`]: networks that an operator names. [`attempt`]: which attempt a request is,
//!   and the vouchers that pay for a refused client's return.
//! - [`rule`]: one rule, from one as [`written`]. [`mod@unit`]: what it counts. [`when`]: the requests that it applies to.
//!   [`model`]: the model that a request names. [`exempt`]: the requests that no rule charges.
//! - [`identity`]: whose bucket a rule charges. [`charges`]: what a request is charged, and when. [`admission`]: buckets in
//!   several entries of the shared store, charged together or not at all.
//! - [`level`]: the headers that tell a client how much is left.

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
