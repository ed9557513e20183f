//! A response collected on its way to the client, to be cached if its headers allow it and it is complete and good.
//! Collection stops at the first byte over the limit for one response or for all that a worker collects at a time.
//!
//! A response that sets a cookie is never cached: the client of a cached copy would lack the cookie.

use crate::asked::Asked;
use crate::config::Cached;
use crate::fallback::cache::Good;
use crate::fallback::good::is_good;
use core::cell::Cell;
use std::rc::Rc;
use tidegate_host::headers::HeaderMap;
use tidegate_policy::answer::Shown;
use tidegate_policy::answer_cache::control::{Dated, Lifetime, ResponseControl};
use tidegate_policy::answer_cache::entry::Kind;
use tidegate_policy::answer_cache::vary::Named;
use tidegate_policy::api::Api;
use tidegate_policy::timestamp::Timestamp;

/// Maximum number of bytes that a worker collects at a time: 32 MiB.
const MOST: usize = 32 << 20;

/// Number of bytes that a worker is collecting.
pub type Gathered = Rc<Cell<usize>>;

/// A response being collected.
#[derive(Debug)]
pub struct Collect {
    kind: Kind,
    api: Api,
    named: Named,
    lifetime: Lifetime,
    announced: Option<u64>,
    longest: usize,
    bytes: Vec<u8>,
    gathered: Gathered,
}

impl Collect {
    /// Begins to collect the response with these headers to `asked`, sent at `asked_at`, if it may be cached.
    pub fn begin(
        headers: &HeaderMap,
        cached: &Cached,
        (asked, asked_at): (&Asked, Timestamp),
        gathered: &Gathered,
    ) -> Option<Self> {
        let kind = headers.only(b"content-type").and_then(Kind::of);
        let coded = headers.is_coded();
        let control = ResponseControl::read(headers.all(b"cache-control"));
        let shared = cached.scope.is_shared();
        let authorized = asked.head.is_none_or(|head| head.is_authorized);
        let lifetime = control.lifetime(shared, dated(headers), asked_at);
        let sets_cookie = headers.all(b"set-cookie").next().is_some();
        let forbidden =
            sets_cookie || lifetime.is_over(asked_at) || !control.allows_keeping(shared, authorized);
        let named = Named::read(headers.all(b"vary"), |name| cached.asked.contains(name))?;
        let announced = match headers.only(b"content-length") {
            Some(text) => Some(core::str::from_utf8(text).ok()?.parse().ok()?),
            None => None,
        };
        let length = announced.unwrap_or(1);
        let kind = kind.filter(|_| !coded && !forbidden && cached.answers.accepts(length))?;
        Some(Self {
            kind,
            api: asked.api,
            named,
            lifetime,
            announced,
            longest: cached.longest,
            bytes: Vec::new(),
            gathered: Rc::clone(gathered),
        })
    }

    /// Collects a chunk. Returns false if that exceeds a limit.
    pub fn add(&mut self, chunk: &[u8]) -> bool {
        let gathered = self.gathered.get().saturating_add(chunk.len());
        if self.bytes.len().saturating_add(chunk.len()) > self.longest || gathered > MOST {
            return false;
        }
        self.gathered.set(gathered);
        self.bytes.extend_from_slice(chunk);
        true
    }

    /// Returns the response at its end, if it is complete and good. `shown` is what was read of it on the way.
    pub fn good(&self, shown: Shown, now: Timestamp) -> Option<Good<'_>> {
        let length = u64::try_from(self.bytes.len()).ok()?;
        if length == 0
            || self.lifetime.is_over(now)
            || self.announced.is_some_and(|announced| announced != length)
        {
            return None;
        }
        let is_good = match self.kind {
            Kind::Sse => shown.is_whole(),
            Kind::Json => is_good(self.api, &self.bytes),
        };
        is_good.then_some(Good {
            kind: self.kind,
            body: &self.bytes,
            named: self.named,
            lifetime: self.lifetime,
        })
    }
}

fn dated(headers: &HeaderMap) -> Dated<'_> {
    let expires = headers.all(b"expires").next().map(|_| headers.only(b"expires").unwrap_or_default());
    Dated { date: headers.only(b"date"), expires, age: headers.all(b"age").next() }
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
    fn concurrent_collection_is_bounded_and_an_abandoned_one_makes_room() {
        let document = br#"{"tiers":{"cached":{"max_entry":"1MiB","max_entries":16}}}"#;
        let cached = Config::read(document).unwrap().cached.unwrap();
        let headers: HeaderMap = [("content-type", "application/json")].into_iter().collect();
        let gathered = Gathered::default();
        let chunk = vec![b' '; 1 << 20];
        let asked = (&Asked::default(), Timestamp::from_nanos(0));
        let begin = || Collect::begin(&headers, &cached, asked, &gathered).unwrap();
        let mut all: Vec<Collect> = (0..32).map(|_| begin()).collect();
        assert!(all.iter_mut().all(|collect| collect.add(&chunk)));
        assert!(!begin().add(b"x"));
        all.pop();
        let mut next = begin();
        assert!(next.add(&chunk) && !next.add(b"x"));
    }
}
