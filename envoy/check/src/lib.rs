//! Checks configurations for operators: what is wrong with one, or what it does. Both are determined by the modules'
//! own code, run against the fake proxy.
//!
//! [`catalogue`]: the modules. [`find`]: their documents in a file. [`trial`]: the host calls of a request.
//! [`buffer`]: Envoy's body buffer. [`report`]: the findings. [`reference`](mod@reference): the generated reference
//! pages.

pub mod buffer;
pub mod catalogue;
pub mod find;
pub mod reference;
pub mod report;
pub mod trial;
