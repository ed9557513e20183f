//! What an operator is told of a configuration: what is wrong with it, or what it will do. The modules' own code decides
//! both, run against a proxy made of plain values.
//!
//! [`catalogue`]: the modules, one line each. [`find`]: their documents in a file. [`trial`]: what a request costs.
//! [`buffer`]: how much of a body is held. [`report`]: what is said. [`reference`](mod@reference): the pages that are made of all this.

pub mod buffer;
pub mod catalogue;
pub mod find;
pub mod reference;
pub mod report;
pub mod trial;
