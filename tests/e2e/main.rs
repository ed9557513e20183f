//! Every behaviour, shown in a real Envoy with more than one worker.

mod answers;
mod clock;
mod configuration;
mod connection_guard;
mod degradation;
mod delay;
mod exactness;
mod grpc;
mod hardening;
mod header_limit;
mod input_limit;
mod limits;
mod memory;
mod model;
mod reference;
mod reload;
mod resumed;
mod retry_budget;
mod sdk;
mod slow_client;
mod smoke;
mod store;
mod survival;
mod tunnels;
