//! The breaker: whether a request may reach the cluster.

pub mod condition;
pub mod gate;
