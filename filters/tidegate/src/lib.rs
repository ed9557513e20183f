//! The composite: every HTTP filter in one module, so that all of them share one context, one read of the headers and one
//! scan of the body.
//!
//! A request passes the filters in the order of the list, as if each were a filter of its own in Envoy's chain, and its
//! response in the opposite order. [`filter`] is the plugin and [`parts`] its filters; [`stream`] decides which filter is
//! called when; [`view`] is the exchange as one filter sees it, [`own`] what that filter does not share; [`reply`] passes
//! the reply of one filter through those before it.

#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;
pub mod own;
pub mod parts;
pub mod reply;
pub mod stream;
pub mod view;

pub use filter::Tidegate;
