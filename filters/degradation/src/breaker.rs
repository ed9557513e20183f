//! The circuit breaker on one worker: admits requests to the cluster and records their outcomes. [`gate`] decides,
//! [`condition`] is the state that all workers share, and [`trial`] follows one request.

pub mod condition;
pub mod gate;
pub mod trial;

use crate::config::Config;
use crate::metrics::{BREAKER, Counter};
use gate::{Gate, Place, Standing};
use tidegate_host::exchange::{Exchange, Fact};
use tidegate_policy::breaker::probes::Asker;
use tidegate_policy::breaker::{Phase, Probe, Ruling};
use tidegate_policy::health::Sample;

/// The breaker on one worker.
#[derive(Debug, Default)]
pub struct Breaker {
    gate: Gate,
}

impl Breaker {
    /// Decides whether a request may go to the cluster.
    pub fn enter(&self, exchange: &dyn Exchange, config: &Config, place: Place, asker: &Asker) -> Standing {
        let standing = self.gate.enter(exchange.store(), config, (place, asker), exchange.now());
        if standing.contended {
            Counter::Contended.count(exchange, 1);
        }
        count_turn(exchange, standing.turned);
        if matches!(standing.ruling, Ruling::Probe(_)) {
            Counter::Probes.count(exchange, 1);
        }
        standing
    }

    /// Records the outcome of a request.
    fn report(&self, exchange: &dyn Exchange, config: &Config, place: Place, told: (Sample, Option<Probe>)) {
        match self.gate.report(exchange.store(), config, place, told, exchange.now()) {
            Ok(phase) => count_turn(exchange, phase),
            Err(_) => Counter::Contended.count(exchange, 1),
        }
    }
}

/// Returns the place of the condition of the request's cluster, or of `model` on it.
pub fn place(exchange: &dyn Exchange, config: &Config, model: Option<&String>) -> Place {
    let cluster = exchange.fact(Fact::Cluster).map(|name| exchange.fingerprinter().of([name.0.as_slice()]));
    let named = |name: &String| config.models.iter().position(|model| model == name);
    let model = model.and_then(named).map_or(0, |place| place.saturating_add(1));
    Place::new(cluster.map_or(0, |print| print.place), model)
}

fn count_turn(exchange: &dyn Exchange, phase: Option<Phase>) {
    let Some(phase) = phase else { return };
    let value = match phase {
        Phase::Closed => 0,
        Phase::Open => 1,
        Phase::HalfOpen => 2,
    };
    exchange.set_gauge(BREAKER, value);
    match phase {
        Phase::Closed => Counter::Closed.count(exchange, 1),
        Phase::Open => Counter::Opened.count(exchange, 1),
        Phase::HalfOpen => {}
    }
}
