//! State that all workers share, changed by compare-and-swap: a decision is made on the old value and stored if the
//! entry has not changed meanwhile, else made again on the new value. After [`ATTEMPTS`] lost races the outcome is
//! [`Contended`], which the filter counts and resolves by its failure mode.

use tidegate_policy::record::Record;

/// The number of times a decision is tried before the entry counts as contended.
pub const ATTEMPTS: usize = 16;

/// The version of an entry, which each write changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

/// A map of entries that all workers share.
pub trait Store {
    /// Returns the entry of `key` and its version, if there is one.
    fn load(&self, key: &[u8]) -> Option<(Vec<u8>, Version)>;

    /// Writes `value` if the entry is still at version `expected`, where `None` means absent. Returns false if it is
    /// not.
    fn swap(&self, key: &[u8], value: &[u8], expected: Option<Version>) -> bool;
}

/// The error of a decision that lost every race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contended;

/// An entry as it was when it was read.
#[derive(Debug)]
pub struct Seen<S> {
    /// The decoded value.
    pub state: S,
    version: Option<Version>,
}

/// Reads the entry of `key`. One host call.
pub fn look<S: Record>(store: &dyn Store, key: &[u8]) -> Seen<S> {
    match store.load(key) {
        Some((bytes, version)) => Seen { state: S::from_bytes(&bytes), version: Some(version) },
        None => Seen { state: S::default(), version: None },
    }
}

/// Reads the entry of `key`, decides, and stores the new value, if any. One host call, and one more if a value is
/// stored.
pub fn update<S: Record, T>(
    store: &dyn Store,
    key: &[u8],
    decide: impl FnMut(S) -> (Option<S>, T),
) -> Result<T, Contended> {
    update_seen(store, key, look(store, key), decide)
}

/// Does the same as [`update`] for an entry that has been read already.
pub fn update_seen<S: Record, T>(
    store: &dyn Store,
    key: &[u8],
    mut seen: Seen<S>,
    mut decide: impl FnMut(S) -> (Option<S>, T),
) -> Result<T, Contended> {
    for attempt in 1..=ATTEMPTS {
        let (new, answer) = decide(seen.state);
        let Some(new) = new else { return Ok(answer) };
        if store.swap(key, &new.to_bytes(), seen.version) {
            return Ok(answer);
        }
        if attempt == ATTEMPTS {
            break;
        }
        seen = look(store, key);
    }
    Err(Contended)
}

/// The requirements on every store, checked against both the fake and the real one.
pub mod contract {
    use super::{Store, Version};

    /// Checks `store` with entries under `prefix`, which must be unused. The error is the first requirement that the
    /// store violates.
    pub fn check(store: &dyn Store, prefix: &[u8]) -> Result<(), &'static str> {
        let key = |name: &[u8]| [prefix, name].concat();
        let holds = |statement, holds: bool| if holds { Ok(()) } else { Err(statement) };

        let a = key(b"a");
        holds("an absent entry is absent", store.load(&a).is_none())?;
        holds("an absent entry can be created", store.swap(&a, b"one", None))?;
        holds("an entry is created once", !store.swap(&a, b"two", None))?;
        let (value, first) = store.load(&a).ok_or("what was written is there")?;
        holds("what was written is read", value == b"one")?;
        holds("an entry can be replaced at its version", store.swap(&a, b"three", Some(first)))?;
        holds("a version holds for one write", !store.swap(&a, b"four", Some(first)))?;
        let (value, second) = store.load(&a).ok_or("what was replaced is there")?;
        holds("a lost swap writes nothing", value == b"three")?;
        holds("a write makes a new version", first != second)?;

        let b = key(b"b");
        holds("another key is another entry", store.load(&b).is_none())?;
        holds("an empty value is a value", store.swap(&b, b"", None))?;
        let (value, version) = store.load(&b).ok_or("an empty entry is there")?;
        holds("an empty value is empty", value.is_empty() && !store.swap(&b, b"x", None))?;

        let long = vec![7; 1 << 16];
        holds("64 KiB can be stored", store.swap(&b, &long, Some(version)))?;
        holds("64 KiB come back", store.load(&b).is_some_and(|(value, _)| value == long))?;

        let bytes: Vec<u8> = (0..=255).collect();
        let c = key(&bytes);
        holds("any bytes are a key and a value", store.swap(&c, &bytes, None))?;
        holds("any bytes come back", store.load(&c).is_some_and(|(value, _)| value == bytes))?;
        holds("a version never seen is refused", !store.swap(&c, b"x", Some(Version(u32::MAX))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeStore;
    use std::borrow::Cow;

    #[derive(Default)]
    struct Text(Vec<u8>);

    impl Record for Text {
        fn from_bytes(stored: &[u8]) -> Self {
            Self(stored.to_vec())
        }
        fn to_bytes(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(&self.0)
        }
    }

    fn append(store: &FakeStore, decided: &mut usize) -> Result<usize, Contended> {
        update(store, b"k", |Text(mut old)| {
            *decided = decided.saturating_add(1);
            old.push(b'x');
            let length = old.len();
            (Some(Text(old)), length)
        })
    }

    #[test]
    fn the_fake_keeps_the_contract() {
        assert_eq!(contract::check(&FakeStore::default(), b"test."), Ok(()));
    }

    #[test]
    fn a_lost_race_decides_again_on_what_the_winner_left() {
        let store = FakeStore::default();
        store.lose_swap_of(b"k", 3, b"ww");
        let mut decided = 0;
        assert_eq!(append(&store, &mut decided), Ok(3));
        assert_eq!(decided, 4);
    }

    #[test]
    fn losing_every_race_is_contended() {
        let store = FakeStore::default();
        store.lose_swap_of(b"k", ATTEMPTS, b"w");
        let mut decided = 0;
        assert_eq!(append(&store, &mut decided), Err(Contended));
        assert_eq!(decided, ATTEMPTS);
    }

    #[test]
    fn a_refusal_writes_nothing() {
        let store = FakeStore::default();
        assert_eq!(update(&store, b"k", |_: Text| (None, "no")), Ok("no"));
        assert_eq!((store.loads(), store.swaps()), (1, 0));
    }
}
