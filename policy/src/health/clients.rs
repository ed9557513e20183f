//! Keeps the results of each client apart, so that one client, however many requests it sends, can trip neither a
//! breaker nor a tier while others are served.
//!
//! Each client has a row with its own results for each slot of the window. The result for all is the mean of the
//! clients' own ratios (or latencies) without the highest. It never exceeds the mean of the other clients, whichever
//! client is left out. A lone client's own value counts. A cluster that fails for all still fails for the others.
//!
//! There are [`WAYS`] rows; further clients share the row of another.
//!
//! Source: the trimmed mean, Tukey, "The Future of Data Analysis" (1962).

use super::window::SLOTS;
use crate::record::{Marked, Ways};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The number of rows.
pub const WAYS: usize = 32;

/// The unit of stored times in nanoseconds: 65.5 µs.
const UNIT: u64 = 1 << 16;
const WHOLE: u64 = 1_000_000;

/// The trouble of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// True if the request failed.
    pub error: bool,
    /// True if the request was slow.
    pub slow: bool,
    /// True if the cluster refused the request as overload.
    pub overload: bool,
}

/// The ratios of troubled requests, in millionths, as means over clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// The ratio of failed requests.
    pub errors: u32,
    /// The ratio of slow requests.
    pub slow: u32,
    /// The ratio of requests that the cluster refused as overload.
    pub overloads: u32,
}

impl Shares {
    /// Returns the lower of each ratio.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            errors: self.errors.min(other.errors),
            slow: self.slow.min(other.slow),
            overloads: self.overloads.min(other.overloads),
        }
    }
}

/// The experience of all clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The mark of the only client, if there is only one.
    pub only: Option<u64>,
    /// The ratios of troubled requests.
    pub shares: Shares,
    /// Nanoseconds until a response begins; 0 if unknown.
    pub first_byte: u64,
    /// Nanoseconds until a response ends; 0 if unknown.
    pub total: u64,
}

/// The rows of all clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    pub(super) rows: Ways<Client, WAYS>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Client {
    mark: U64,
    /// The weighted mean of the times to the first byte.
    first_byte: U32,
    /// The weighted mean of the times to the end.
    total: U32,
    /// The sum of the times to the first byte in the newest slot.
    first_bytes: U32,
    slots: [Counts; 10],
}

/// The counts of one slot. All are halved when one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Counts {
    requests: u8,
    errors: u8,
    slow: u8,
    overloads: u8,
}

impl Marked for Client {
    fn mark(&self) -> u64 {
        self.mark.get()
    }
}

impl Clients {
    /// Clears the slot at `place` in every row.
    pub fn clear(&mut self, place: usize) {
        self.each(|client| {
            if let Some(slot) = client.slots.get_mut(place) {
                *slot = Counts::default();
            }
        });
    }

    /// Ends the newest slot and drops the data that belong to it alone.
    pub fn turn(&mut self) {
        self.each(|client| client.first_bytes = U32::ZERO);
    }

    /// Counts one request of the client `mark` in the slot at `place`, with true for the newest slot, and its
    /// nanoseconds to the first byte.
    pub fn add(
        &mut self,
        mark: u64,
        (place, is_newest): (usize, bool),
        trouble: Trouble,
        first_byte: Option<u64>,
    ) {
        let first_byte = first_byte.map(units);
        self.change(mark, |client| {
            if let Some(first_byte) = first_byte {
                client.first_byte = weighted(client.first_byte.get(), first_byte).into();
                if is_newest {
                    client.first_bytes = client.first_bytes.get().saturating_add(first_byte).into();
                }
            }
            let Some(slot) = client.slots.get_mut(place) else { return };
            if slot.requests == u8::MAX {
                let up = u8::from(place % 2 == 0);
                *slot = slot.halved(up);
                if is_newest {
                    client.first_bytes = (client.first_bytes.get() / 2).into();
                }
            }
            slot.requests = slot.requests.saturating_add(1);
            slot.errors = slot.errors.saturating_add(u8::from(trouble.error));
            slot.slow = slot.slow.saturating_add(u8::from(trouble.slow));
            slot.overloads = slot.overloads.saturating_add(u8::from(trouble.overload));
        });
    }

    /// Records that a request of this client took `total` nanoseconds.
    pub fn took(&mut self, mark: u64, total: u64) {
        self.change(mark, |client| client.total = weighted(client.total.get(), units(total)).into());
    }

    /// Records the failure of a request that was counted as a success with `first_byte`.
    pub fn broke(&mut self, mark: u64, (place, is_newest): (usize, bool), first_byte: u64) {
        self.change(mark, |client| {
            if let Some(slot) = client.slots.get_mut(place) {
                slot.errors = slot.errors.saturating_add(1);
            }
            if is_newest {
                client.first_bytes = client.first_bytes.get().saturating_sub(units(first_byte)).into();
            }
        });
    }

    /// Returns the experience of the clients that are active in these slots, one bit for each place.
    pub fn survey(&self, slots: u16) -> Survey {
        let (mut clients, mut only, mut means) = (0_u32, None, [Mean::default(); 5]);
        for (client, sum) in self.active(slots) {
            let ratio = |part: u32| {
                let part = u64::from(part.min(sum.requests)).saturating_mul(WHOLE);
                Some(part.div_ceil(u64::from(sum.requests).max(1)))
            };
            let known = |value: u32| Some(u64::from(value)).filter(|value| *value > 0);
            let values = [
                ratio(sum.errors),
                ratio(sum.slow),
                ratio(sum.overloads),
                known(client.first_byte.get()),
                known(client.total.get()),
            ];
            clients = clients.saturating_add(1);
            only = (clients == 1).then_some(client.mark.get());
            for (mean, value) in means.iter_mut().zip(values) {
                *mean = value.map_or(*mean, |value| mean.with(value));
            }
        }
        let [errors, slow, overloads, first_byte, total] = means.map(Mean::without_the_highest);
        let share = |mean: u64| u32::try_from(mean).unwrap_or(u32::MAX);
        Survey {
            only,
            shares: Shares { errors: share(errors), slow: share(slow), overloads: share(overloads) },
            first_byte: first_byte.saturating_mul(UNIT),
            total: total.saturating_mul(UNIT),
        }
    }

    /// Returns the nanoseconds to the first byte in the newest slot, at `place`, or `None` without a success in it.
    pub fn newest(&self, place: usize) -> Option<u64> {
        let mean = |client: &Client| {
            let successes = client.slots.get(place).map_or(0, Counts::successes);
            u64::from(client.first_bytes.get()).checked_div(u64::from(successes))
        };
        let mut means = self.rows.iter().filter_map(mean).peekable();
        means.peek()?;
        Some(without_the_highest(means).saturating_mul(UNIT))
    }

    fn active(&self, slots: u16) -> impl Iterator<Item = (&Client, Sum)> {
        let used = self.rows.iter().filter(|client| client.mark != U64::ZERO);
        used.map(move |client| (client, client.sum(slots))).filter(|(_, sum)| sum.requests > 0)
    }

    fn each(&mut self, change: impl Fn(&mut Client)) {
        self.rows.iter_mut().for_each(change);
    }

    /// Changes the row of `mark`: its own, or else an unused one, or else the one that it shares.
    fn change(&mut self, mark: u64, change: impl FnOnce(&mut Client)) {
        let mark = mark.max(1);
        let own = self.rows.find(mark).map(|(way, client)| (way, *client));
        let free = || {
            let idle = |client: &Client| client.slots == [Counts::default(); 10];
            let way = self.rows.iter().position(idle)?;
            Some((way, Client { mark: mark.into(), ..Client::default() }))
        };
        let shared = || {
            let way = usize::try_from(mark % 32).unwrap_or(0);
            self.rows.iter().nth(way).map(|client| (way, *client))
        };
        if let Some((way, mut client)) = own.or_else(free).or_else(shared) {
            change(&mut client);
            self.rows.set(way, client);
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Sum {
    requests: u32,
    errors: u32,
    slow: u32,
    overloads: u32,
}

impl Client {
    fn sum(&self, slots: u16) -> Sum {
        let places = (0..SLOTS).zip(&self.slots).filter(|(place, _)| slots >> place & 1 == 1);
        places.fold(Sum::default(), |sum, (_, slot)| Sum {
            requests: sum.requests.saturating_add(u32::from(slot.requests)),
            errors: sum.errors.saturating_add(u32::from(slot.errors)),
            slow: sum.slow.saturating_add(u32::from(slot.slow)),
            overloads: sum.overloads.saturating_add(u32::from(slot.overloads)),
        })
    }
}

impl Counts {
    const fn successes(&self) -> u8 {
        self.requests.saturating_sub(self.errors).saturating_sub(self.overloads)
    }

    /// Returns all counts halved, with odd ones rounded up by `up`, so that no part exceeds its whole.
    const fn halved(self, up: u8) -> Self {
        const fn half(count: u8, up: u8) -> u8 {
            count.saturating_add(if count == u8::MAX { 0 } else { up }) / 2
        }
        Self {
            requests: half(self.requests, up),
            errors: half(self.errors, up),
            slow: half(self.slow, up),
            overloads: half(self.overloads, up),
        }
    }
}

/// A mean of values without the highest.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: u64,
    highest: u64,
    count: u64,
}

impl Mean {
    fn with(self, value: u64) -> Self {
        Self {
            sum: self.sum.saturating_add(value),
            highest: self.highest.max(value),
            count: self.count.saturating_add(1),
        }
    }

    /// Returns the mean, rounded up: the value itself if there is only one, 0 if there is none.
    const fn without_the_highest(self) -> u64 {
        match self.count {
            0 | 1 => self.sum,
            count => self.sum.saturating_sub(self.highest).div_ceil(count.saturating_sub(1)),
        }
    }
}

/// Returns the mean of values without the highest, rounded up: the value itself if there is only one, 0 if there is
/// none.
pub(crate) fn without_the_highest(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(Mean::default(), Mean::with).without_the_highest()
}

fn units(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Returns an exponentially weighted mean with 1/16 per sample; 0 means none yet.
fn weighted(mean: u32, sample: u32) -> u32 {
    let step = sample.abs_diff(mean) / 16;
    match mean {
        0 => sample.max(1),
        _ if sample > mean => mean.saturating_add(step),
        _ => mean.saturating_sub(step),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use crate::record::Record as _;
    use proptest::prelude::*;

    const ALL: u16 = (1 << 10) - 1;
    const FAILED: Trouble = Trouble { error: true, slow: false, overload: false };
    use crate::timestamp::MILLISECOND;

    fn with(clients: &mut Clients, mark: u64, requests: usize, failures: usize) {
        for n in 0..requests {
            clients.add(mark, (n % 10, false), Trouble { error: n < failures, ..Trouble::default() }, None);
        }
    }

    fn errors(of: &[(usize, usize)]) -> u32 {
        let mut clients = Clients::default();
        of.iter()
            .zip(1..)
            .for_each(|((requests, failures), mark)| with(&mut clients, mark, *requests, *failures));
        clients.survey(ALL).shares.errors
    }

    #[test]
    fn the_ratio_of_a_lone_client_is_the_ratio_of_the_cluster() {
        assert_eq!((errors(&[]), errors(&[(20, 10)]), errors(&[(20, 20)])), (0, 500_000, 1_000_000));
    }

    #[test]
    fn one_client_that_fails_beside_any_other_that_does_not_changes_nothing() {
        assert_eq!(errors(&[(200, 200), (1, 0)]), 0);
        assert_eq!(errors(&[(200, 200), (20, 0), (20, 0)]), 0);
        assert_eq!(errors(&[(10, 10), (20, 1), (20, 1)]), 50_000);
    }

    #[test]
    fn a_cluster_that_fails_for_all_fails_however_many_they_are() {
        for clients in 1..100 {
            assert_eq!(errors(&vec![(2, 2); clients]), 1_000_000, "{clients}");
        }
    }

    #[test]
    fn clients_beyond_the_rows_share_them() {
        let mut clients = Clients::default();
        (1..=1_000).for_each(|mark| with(&mut clients, mark, 1, usize::from(mark % 2 == 0)));
        let share = clients.survey(ALL).shares.errors;
        assert!((350_000..650_000).contains(&share), "{share}");
    }

    #[test]
    fn an_idle_client_makes_room_for_another() {
        let mut clients = Clients::default();
        (1..=32).for_each(|mark| clients.add(mark, (3, true), FAILED, None));
        clients.clear(3);
        clients.add(99, (4, true), Trouble::default(), Some(7));
        assert_eq!((clients.survey(ALL).shares.errors, clients.rows.find(99).is_some()), (0, true));
    }

    #[test]
    fn latency_is_a_mean_over_clients_too() {
        let mut clients = Clients::default();
        for mark in 1..=3 {
            clients.add(mark, (0, true), Trouble::default(), Some(mark * 100 * MILLISECOND));
            clients.took(mark, mark * 1_000 * MILLISECOND);
        }
        clients.add(9, (0, true), Trouble::default(), Some(60_000 * MILLISECOND));
        let Survey { first_byte, total, .. } = clients.survey(ALL);
        let near = |value: u64, wanted: u64| value.abs_diff(wanted) <= 2 * UNIT;
        assert!(
            near(first_byte, 200 * MILLISECOND) && near(total, 1_500 * MILLISECOND),
            "{first_byte} {total}"
        );
        assert!(near(clients.newest(0).unwrap(), 200 * MILLISECOND));
        clients.turn();
        assert_eq!((clients.newest(0), clients.newest(1)), (Some(0), None));
    }

    fn exact(of: &[(u8, u8)]) -> f64 {
        let ratios: Vec<f64> =
            of.iter().map(|(all, part)| f64::from(*part.min(all)) / f64::from(*all)).collect();
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        match ratios.len() {
            0 => 0.0,
            1 => ratios[0],
            count => (ratios.iter().sum::<f64>() - highest) / (count - 1) as f64,
        }
    }

    proptest! {
        #[test]
        fn the_share_is_the_mean_of_the_clients_ratios_without_the_highest(
            of in prop::collection::vec((1_u8..100, 0_u8..100), 0..32),
        ) {
            let counts: Vec<_> = of.iter().map(|(all, part)| (*all as usize, *part.min(all) as usize)).collect();
            let share = f64::from(errors(&counts)) / 1e6;
            prop_assert!((share - exact(&of)).abs() <= 3e-6, "{share} {}", exact(&of));
        }

        #[test]
        fn no_client_raises_the_mean_of_the_others(
            of in prop::collection::vec((1_u8..100, 0_u8..100), 1..31),
            requests in 1_usize..400, failures in 0_usize..400,
        ) {
            let others: Vec<_> = of.iter().map(|(all, part)| (*all as usize, *part.min(all) as usize)).collect();
            let mean = others.iter().map(|(all, part)| *part as f64 / *all as f64).sum::<f64>() / others.len() as f64;
            let attacked = [&others[..], &[(requests, failures)]].concat();
            prop_assert!(f64::from(errors(&attacked)) / 1e6 <= mean + 3e-6);
        }

        #[test]
        fn halving_keeps_the_ratio(requests in 1_usize..6_000, percent in 0_usize..=100) {
            let mut clients = Clients::default();
            for n in 0..requests {
                let error = (n + 1) * percent / 100 > n * percent / 100;
                clients.add(1, (n / 100 % 10, false), Trouble { error, ..Trouble::default() }, None);
            }
            let (share, wanted) = (f64::from(clients.survey(ALL).shares.errors) / 1e6, percent as f64 / 100.0);
            prop_assert!((share - wanted).abs() <= 0.02 + 1.0 / requests as f64, "{share} {wanted}");
            prop_assert!(percent < 100 || share == 1.0);
        }

        #[test]
        fn any_bytes_are_rows(bytes: Vec<u8>, mark: u64, place in 0_usize..20, slots: u16, nanos: u64) {
            let mut clients = Clients { rows: Ways::from_bytes(&bytes) };
            clients.add(mark, (place, true), FAILED, Some(nanos));
            clients.took(mark, nanos);
            clients.broke(mark, (place, false), nanos);
            clients.clear(place);
            clients.survey(slots);
            clients.newest(place);
            clients.turn();
            prop_assert_eq!(Clients { rows: Ways::from_bytes(&clients.rows.to_bytes()) }, clients);
        }
    }
}
