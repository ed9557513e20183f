//! How the texts of a prompt may be joined, and the state that each way of joining has reached.
//!
//! A server joins the parts of a message with a line feed or with nothing, and it may join consecutive messages of one role in
//! these ways or leave them apart. Each way is one more state of the automaton, and ways in the same state are walked as one: they
//! part at a joint, and most have met again a few characters later.

use super::{Carry, Watch};
use regex_automata::util::primitives::StateID;

/// How the parts of a message are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// With a line feed, or with nothing.
    Any,
    /// With a line feed.
    Line,
}

/// One way to join texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Whether parts are joined with a line feed.
    pub(super) lines: bool,
    /// How messages are joined, if they are.
    pub(super) messages: Option<Between>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    Line,
    Nothing,
}

const WAYS: usize = 6;

/// Every way. Its first is how a message counts for itself.
pub(super) const ALL: [Way; WAYS] = [
    Way { lines: true, messages: None },
    Way { lines: false, messages: None },
    Way { lines: true, messages: Some(Between::Line) },
    Way { lines: false, messages: Some(Between::Line) },
    Way { lines: true, messages: Some(Between::Nothing) },
    Way { lines: false, messages: Some(Between::Nothing) },
];

/// The copies of a text that was joined in one way, without what is carried: that is the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) decoded: StateID,
    pub(super) normal: StateID,
    pub(super) spaced: bool,
}

const NONE: Lane = Lane { decoded: StateID::ZERO, normal: StateID::ZERO, spaced: false };

/// The lanes beside the first, which the [`Watch`] itself is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    others: [Lane; WAYS - 1],
    count: u8,
    /// The lane that each way is in.
    of: [u8; WAYS],
}

impl Lanes {
    pub(super) const ONE: Self = Self { others: [NONE; WAYS - 1], count: 0, of: [0; WAYS] };

    pub(super) fn others(&mut self) -> &mut [Lane] {
        self.others.get_mut(..usize::from(self.count)).unwrap_or_default()
    }

    /// Whether a message that stands for itself is in the lane.
    pub(super) fn is_alone(&self, other: usize) -> bool {
        let [first, second, ..] = self.of;
        [first, second].into_iter().any(|lane| usize::from(lane) == other.saturating_add(1))
    }
}

impl Watch {
    /// Whether the ways to join the texts are in different states.
    #[inline]
    pub const fn is_split(&self) -> bool {
        self.lanes.count > 0
    }

    /// From here on the message counts for itself.
    pub fn forget_messages(&mut self) {
        if self.is_split() {
            let [lines, nothing, ..] = self.each();
            self.set([lines, nothing, lines, nothing, lines, nothing]);
        }
    }

    pub(super) const fn first(&self) -> Lane {
        Lane { decoded: self.decoded, normal: self.normal, spaced: self.spaced }
    }

    /// In one lane, which carries this character.
    pub(super) const fn at(lane: Lane, carried: Option<char>) -> Self {
        let Lane { decoded, normal, spaced } = lane;
        let mut carry = Carry::EMPTY;
        if let Some(carried) = carried {
            carry.set(carried, true);
        }
        Self { decoded, normal, spaced, carry, joined: false, lanes: Lanes::ONE }
    }

    /// The same, in the first way alone.
    pub(super) const fn only(&self) -> Self {
        Self { lanes: Lanes::ONE, ..*self }
    }

    /// What is carried, if it is at most one character that is its own normal form.
    pub(super) const fn carries(&self) -> Option<Option<char>> {
        match self.carry.same() {
            None if !self.carry.is_empty() => None,
            carried => Some(carried),
        }
    }

    /// Where each way is.
    pub(super) fn each(&self) -> [Lane; WAYS] {
        let lane = |of: u8| {
            let other = usize::from(of).checked_sub(1).and_then(|other| self.lanes.others.get(other));
            other.copied().unwrap_or(self.first())
        };
        self.lanes.of.map(lane)
    }

    /// Each way is there now; those in one state are one lane.
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

    /// Makes one of the lanes that are in the same state.
    pub(super) fn unite(&mut self) {
        let first = self.first();
        if self.lanes.others().iter().all(|lane| *lane == first) {
            self.lanes = Lanes::ONE;
        } else if self.lanes.count > 1 {
            self.set(self.each());
        }
    }

    /// Whether both would go on alike, in the first way.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.first() == other.first() && self.carry.is(&other.carry)
    }
}
