//! What all exchanges of one worker share, and what it says for them: to the gate, to the cache, to a client that does
//! not get the cluster's answer.

use crate::asked::Asked;
use crate::breaker::gate::{Gate, Place, Standing};
use crate::config::{Cached, Config};
use crate::fallback::answer::{self, Why};
use crate::fallback::cache::{self, Occasion};
use crate::fallback::collect::{Collect, Gathered};
use crate::metrics::{BREAKER, Counter};
use core::cell::RefCell;
use tidegate_host::exchange::{Exchange, Fact};
use tidegate_host::reply::Reply;
use tidegate_policy::answer::Shown;
use tidegate_policy::breaker::probes::Asker;
use tidegate_policy::breaker::{Phase, Probe, Ruling};
use tidegate_policy::health::Sample;
use tidegate_policy::retry_hint::Crowd;

/// What all exchanges of one worker share.
#[derive(Debug)]
pub struct Worker {
    /// What is enforced.
    pub config: Config,
    /// How many bytes of answers are being gathered.
    pub gathered: Gathered,
    gate: Gate,
    crowd: RefCell<Crowd>,
}

impl Worker {
    /// That enforces `config`.
    pub fn new(config: Config) -> Self {
        Self { config, gathered: Gathered::default(), gate: Gate::default(), crowd: RefCell::default() }
    }

    /// Whether requests' heads matter even while all is well.
    pub fn reads_heads(&self) -> bool {
        self.config.timeouts.differ() || !self.config.opt_out.is_empty()
    }

    /// Whether it matters what requests with a body ask for: an error says the same to all.
    pub fn reads_bodies(&self) -> bool {
        let Config { reduce, cached, default, models, timeouts, hold_headers, .. } = &self.config;
        let may_answer = reduce.is_some() || cached.is_some() || default.status == Some(200);
        may_answer || timeouts.differ() || !models.is_empty() || *hold_headers
    }

    /// Where the condition is kept of the cluster that a request goes to.
    pub fn place(&self, exchange: &dyn Exchange, asked: &Asked) -> Place {
        let cluster =
            exchange.fact(Fact::Cluster).map(|name| exchange.fingerprinter().of([name.0.as_slice()]));
        let named = |name: &String| self.config.models.iter().position(|model| model == name);
        let model = asked.model.as_ref().and_then(named).map_or(0, |place| place.saturating_add(1));
        Place::new(cluster.map_or(0, |print| print.place), model)
    }

    /// Asks for a request to be let to the cluster.
    pub fn enter(&self, exchange: &dyn Exchange, place: Place, asker: &Asker) -> Standing {
        let standing = self.gate.enter(exchange.store(), &self.config, (place, asker), exchange.now());
        if standing.contended {
            count(exchange, Counter::Contended);
        }
        turned(exchange, standing.turned);
        if matches!(standing.ruling, Ruling::Probe(_)) {
            count(exchange, Counter::Probes);
        }
        standing
    }

    /// Tells what a request showed.
    pub fn report(&self, exchange: &dyn Exchange, place: Place, sample: Sample, probe: Option<Probe>) {
        let told = self.gate.report(exchange.store(), &self.config, place, (sample, probe), exchange.now());
        match told {
            Ok(phase) => turned(exchange, phase),
            Err(_) => count(exchange, Counter::Contended),
        }
    }

    /// The kept answer to the question, if it may be given on this occasion.
    pub fn kept(&self, exchange: &dyn Exchange, asked: &Asked, occasion: Occasion) -> Option<Reply> {
        let (cached, question) = self.config.cached.as_ref().zip(asked.question.as_ref())?;
        let allowed = (question, Some(&asked.control).filter(|control| control.allows_kept())?);
        let found = cache::find(exchange.store(), cached, allowed, occasion, exchange.now());
        count(exchange, if found.is_some() { Counter::Hits } else { Counter::Misses });
        found.map(answer::kept)
    }

    /// Keeps the answer to the question, if it is whole and a good one.
    pub fn keep(&self, exchange: &dyn Exchange, asked: &Asked, collect: &Collect, shown: Option<Shown>) {
        let Some((cached, question)) = self.config.cached.as_ref().zip(asked.question.as_ref()) else {
            return;
        };
        let now = exchange.now();
        let Some(good) = collect.good(shown, now) else { return };
        let put = cache::keep(exchange.store(), cached, (question, asked.asker(exchange)), good, now);
        let Some(put) = put else { return };
        count(exchange, Counter::Kept);
        if put.evicted {
            count(exchange, Counter::Evicted);
        }
        if put.grown > 0 {
            exchange.count(Counter::Bytes.place(), put.grown);
        }
    }

    /// What a client gets in place of the cluster's answer, and what that counts as. `wait`: nanoseconds until asking
    /// again may help, if that is known.
    pub fn instead(
        &self,
        exchange: &dyn Exchange,
        asked: &Asked,
        why: Why,
        wait: Option<u64>,
    ) -> (Counter, Reply) {
        let kept = || self.kept(exchange, asked, Occasion::Failing);
        if let Some(reply) = Some(()).filter(|()| !asked.opted_out && why != Why::Path).and_then(|()| kept())
        {
            return (Counter::Cached, reply);
        }
        let random = exchange.random();
        let default = &self.config.default;
        if let Some(reply) =
            answer::ordinary_default(default, asked, why, random).filter(|_| !asked.opted_out)
        {
            return (Counter::Defaulted, reply);
        }
        let mut crowd = self.crowd.try_borrow().map(|crowd| *crowd).unwrap_or_default();
        let hint = self.config.hints.hint(&mut crowd, 0, wait, exchange.now(), random);
        self.crowd.replace(crowd);
        let counter = if why == Why::Path { Counter::RefusedPath } else { Counter::Refused };
        (counter, answer::error(default, why, hint))
    }

    /// The cache, if answers are kept.
    pub fn cached(&self) -> Option<&Cached> {
        self.config.cached.as_ref()
    }
}

/// Counts once.
pub fn count(exchange: &dyn Exchange, counter: Counter) {
    exchange.count(counter.place(), 1);
}

fn turned(exchange: &dyn Exchange, phase: Option<Phase>) {
    let Some(phase) = phase else { return };
    let value = match phase {
        Phase::Closed => 0,
        Phase::Open => 1,
        Phase::HalfOpen => 2,
    };
    exchange.set_gauge(BREAKER, value);
    match phase {
        Phase::Closed => count(exchange, Counter::Closed),
        Phase::Open => count(exchange, Counter::Opened),
        Phase::HalfOpen => {}
    }
}
