//! Tracks the ways in which a server may join the texts of a prompt.
//!
//! A server joins the parts of a message with a line feed or with nothing. Consecutive messages of one role it may join
//! likewise, or keep apart. Each way is one more state of the automaton, and ways in the same state share a lane: they
//! diverge at a joint, and most converge again a few characters later.

use super::{Carry, Watch};
use regex_automata::util::primitives::StateID;

/// A joint between two parts of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// A line feed or nothing.
    Any,
    /// A line feed.
    Line,
}

/// One way to join texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// True if a line feed joins parts.
    pub(super) lines: bool,
    /// The joint between messages, if they are joined.
    pub(super) messages: Option<Between>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    Line,
    Nothing,
}

const WAYS: usize = 6;

/// All ways. The first two take each message by itself.
pub(super) const ALL: [Way; WAYS] = [
    Way { lines: true, messages: None },
    Way { lines: false, messages: None },
    Way { lines: true, messages: Some(Between::Line) },
    Way { lines: false, messages: Some(Between::Line) },
    Way { lines: true, messages: Some(Between::Nothing) },
    Way { lines: false, messages: Some(Between::Nothing) },
];

/// The states of both copies in one way of joining, without the carried characters, which all ways share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) decoded: StateID,
    pub(super) normal: StateID,
    pub(super) spaced: bool,
}

const NONE: Lane = Lane { decoded: StateID::ZERO, normal: StateID::ZERO, spaced: false };

/// The lanes other than the first, which the [`Watch`] itself holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    others: [Lane; WAYS - 1],
    count: u8,
    /// The lane of each way; 0 is the first.
    of: [u8; WAYS],
}

impl Lanes {
    pub(super) const ONE: Self = Self { others: [NONE; WAYS - 1], count: 0, of: [0; WAYS] };

    pub(super) fn others(&mut self) -> &mut [Lane] {
        self.others.get_mut(..usize::from(self.count)).unwrap_or_default()
    }

    /// Returns true if the lane belongs to a way that takes each message by itself.
    pub(super) fn is_alone(&self, other: usize) -> bool {
        let [first, second, ..] = self.of;
        [first, second].into_iter().any(|lane| usize::from(lane) == other.saturating_add(1))
    }
}

impl Watch {
    /// Returns true if the ways to join the texts are in different states.
    #[inline]
    pub const fn is_split(&self) -> bool {
        self.lanes.count > 0
    }

    /// Forgets the earlier messages: from here on, the message is taken by itself.
    pub fn forget_messages(&mut self) {
        if self.is_split() {
            let [lines, nothing, ..] = self.each();
            self.set([lines, nothing, lines, nothing, lines, nothing]);
        }
    }

    pub(super) const fn first(&self) -> Lane {
        Lane { decoded: self.decoded, normal: self.normal, spaced: self.spaced }
    }

    /// Returns a watch with a single lane and this carried character.
    pub(super) const fn at(lane: Lane, carried: Option<char>) -> Self {
        let Lane { decoded, normal, spaced } = lane;
        let mut carry = Carry::EMPTY;
        if let Some(carried) = carried {
            carry.set(carried, true);
        }
        Self { decoded, normal, spaced, carry, joined: false, lanes: Lanes::ONE }
    }

    /// Returns the watch of the first way alone.
    pub(super) const fn only(&self) -> Self {
        Self { lanes: Lanes::ONE, ..*self }
    }

    /// Returns the carried character, if there is at most one and it is its own normal form.
    pub(super) const fn carries(&self) -> Option<Option<char>> {
        match self.carry.same() {
            None if !self.carry.is_empty() => None,
            carried => Some(carried),
        }
    }

    /// Returns the lane of each way.
    pub(super) fn each(&self) -> [Lane; WAYS] {
        let lane = |of: u8| {
            let other = usize::from(of).checked_sub(1).and_then(|other| self.lanes.others.get(other));
            other.copied().unwrap_or(self.first())
        };
        self.lanes.of.map(lane)
    }

    /// Sets the lane of each way and merges those in the same state.
    pub(super) fn set(&mut self, each: [Lane; WAYS]) {
        let [first, ..] = each;
        (self.decoded, self.normal, self.spaced) = (first.decoded, first.normal, first.spaced);
        self.joined = false;
        self.lanes = Lanes::ONE;
        for (lane, of) in each.iter().zip(0_usize..) {
            if *lane == first {
                continue;
            }
            let known = self.lanes.others().iter().position(|other| other == lane);
            let place = known.unwrap_or(usize::from(self.lanes.count));
            if known.is_none()
                && let Some(free) = self.lanes.others.get_mut(place)
            {
                *free = *lane;
                self.lanes.count = self.lanes.count.saturating_add(1);
            }
            if let Some(of) = self.lanes.of.get_mut(of) {
                *of = u8::try_from(place).unwrap_or(0).saturating_add(1);
            }
        }
    }

    /// Merges the lanes that are in the same state.
    pub(super) fn unite(&mut self) {
        let first = self.first();
        if self.lanes.others().iter().all(|lane| *lane == first) {
            self.lanes = Lanes::ONE;
        } else if self.lanes.count > 1 {
            self.set(self.each());
        }
    }

    /// Returns true if both continue identically, in the first way.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.first() == other.first() && self.carry.is(&other.carry)
    }
}
