//! Smaller jobs.

pub mod smaller;
