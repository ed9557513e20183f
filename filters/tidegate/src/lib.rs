//! Every HTTP filter in one: one context, one read of the headers, one scan of the body for all that are configured.
//!
//! A request meets them in the order of [`parts`], as if each were a filter of its own in Envoy's chain, and its response
//! in the opposite order. [`filter`]: the plugin. [`stream`]: who is asked when. [`view`]: what each sees of the exchange,
//! [`own`]: what it has for itself. [`reply`]: how the answer of one passes the others.

#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;
pub mod own;
pub mod parts;
pub mod reply;
pub mod stream;
pub mod view;

pub use filter::Tidegate;
