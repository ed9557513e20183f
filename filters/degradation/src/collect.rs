//! An answer gathered while it passes, to be kept if it is whole and what it claims to be. Gathering stops at the first
//! byte that would be too many, for one answer or for all that a worker gathers at a time.

use crate::config::Cached;
use core::cell::Cell;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::rc::Rc;
use tidegate_host::headers::HeaderMap;
use tidegate_policy::answer::Shown;
use tidegate_policy::answer_cache::entry::Kind;
use tidegate_policy::answer_cache::{Candidate, forbids_storing};

/// Bytes that a worker gathers at a time: 32 MiB.
const MOST: usize = 32 << 20;

/// How many bytes a worker gathers now.
pub type Gathered = Rc<Cell<usize>>;

/// One answer in the making.
#[derive(Debug)]
pub struct Collect {
    kind: Kind,
    announced: Option<u64>,
    longest: usize,
    bytes: Vec<u8>,
    gathered: Gathered,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl Collect {
    /// For the answer with these headers, if it may be kept.
    pub fn begin(headers: &HeaderMap, cached: &Cached, gathered: &Gathered) -> Option<Self> {
        let kind = headers.only(b"content-type").and_then(Kind::of);
        let coded = headers.is_coded();
        let private = cached.shared && headers.all(b"set-cookie").next().is_some();
        let no_store = private || headers.all(b"cache-control").any(forbids_storing);
        let announced = match headers.only(b"content-length") {
            Some(text) => Some(core::str::from_utf8(text).ok()?.parse().ok()?),
            None => None,
        };
        let length = announced.unwrap_or(1);
        let candidate = Candidate { status: 200, kind, coded, no_store, complete: true, length };
        let kind = cached.answers.accepts(&candidate).ok()?;
        let gathered = Rc::clone(gathered);
        Some(Self { kind, announced, longest: cached.longest, bytes: Vec::new(), gathered })
    }

    /// What it claims to be.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Gathers a chunk. False if it is too much.
    pub fn add(&mut self, chunk: &[u8]) -> bool {
        let gathered = self.gathered.get().saturating_add(chunk.len());
        if self.bytes.len().saturating_add(chunk.len()) > self.longest || gathered > MOST {
            return false;
        }
        self.gathered.set(gathered);
        self.bytes.extend_from_slice(chunk);
        true
    }

    /// The answer, if it is whole; `shown` is what it showed while it passed, if it streamed.
    pub fn whole(&self, shown: Option<Shown>) -> Option<&[u8]> {
        let length = u64::try_from(self.bytes.len()).ok()?;
        let is_whole = match self.kind {
            Kind::Sse => shown.is_some_and(|shown| shown.is_whole()),
            Kind::Json => serde_json::from_slice::<Document>(&self.bytes).is_ok_and(|it| it.error.is_none()),
        };
        (is_whole && length > 0 && self.announced.is_none_or(|announced| announced == length))
            .then_some(self.bytes.as_slice())
    }
}

impl Drop for Collect {
    fn drop(&mut self) {
        self.gathered.set(self.gathered.get().saturating_sub(self.bytes.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn all_that_is_gathered_at_a_time_is_bounded_and_what_is_given_up_makes_room() {
        let document = br#"{"tiers":{"cached":{"max_entry":"1MiB","max_entries":16}}}"#;
        let cached = Config::read(document).unwrap().cached.unwrap();
        let headers: HeaderMap = [("content-type", "application/json")].into_iter().collect();
        let gathered = Gathered::default();
        let chunk = vec![b' '; 1 << 20];
        let begin = || Collect::begin(&headers, &cached, &gathered).unwrap();
        let mut all: Vec<Collect> = (0..32).map(|_| begin()).collect();
        assert!(all.iter_mut().all(|collect| collect.add(&chunk)));
        assert!(!begin().add(b"x"));
        all.pop();
        let mut next = begin();
        assert!(next.add(&chunk) && !next.add(b"x"));
    }
}
