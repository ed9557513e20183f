//! Refuses prompts that are too long, that contain forbidden characters or texts, or that ask for absurd work, while
//! they stream in; or removes just the offending part.
//!
//! [`config`]: the document as written and as enforced. [`filter`]: one request. [`rewrite`]: the edits that let it
//! pass. [`answer`]: the response to a refused one.

pub mod answer;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;
pub mod rewrite;

pub use filter::InputLimit;
