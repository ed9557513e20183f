//! Answers in the place of the cluster's.

pub mod answer;
pub mod cache;
pub mod collect;
pub mod default;
pub mod good;
mod kept;
