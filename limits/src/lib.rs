//! What every limiting filter shares.
//!
//! - [`client`]: who sent a request. [`network`]: networks that an operator names. [`attempt`]: which attempt a request is,
//!   and the vouchers that pay for a refused client's return.
//! - [`when`]: the requests that a rule applies to. [`model`]: the model that a request names. [`exempt`]: the requests
//!   that no rule charges.
//! - [`identity`]: whose bucket a rule charges. [`admission`]: buckets in several entries of the shared store, charged
//!   together or not at all.

pub mod admission;
pub mod attempt;
pub mod client;
pub mod exempt;
pub mod identity;
pub mod model;
pub mod network;
pub mod when;
