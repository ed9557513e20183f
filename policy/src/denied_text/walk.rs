//! Runs a text and its normalised copy through the automaton: in one walk while they are in the same state, and in a
//! walk for each further lane while lanes differ.

use super::automaton::Automaton;
use super::forms::Forms;
use super::kind::Kind;
use super::lanes::{ALL, Between, Joint, Lane};
use super::{Found, Watch};
use core::iter::once;
use regex_automata::util::primitives::StateID;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::compose;

/// The bytes that lanes walk between comparisons, at first and at most.
const STEP: usize = 8;
const LONGEST_STEP: usize = 64;

/// A walk over one piece of text.
pub(super) struct Walk<'a> {
    automaton: &'a Automaton,
    forms: &'static Forms,
    /// Matches in the first lane, or in any lane that takes each message by itself.
    alone: u64,
    /// Matches in the other lanes.
    run: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(automaton: &'a Automaton) -> Self {
        Self { automaton, forms: Forms::get(), alone: 0, run: 0 }
    }

    pub(super) const fn found(self) -> Found {
        Found { alone: self.alone, run: self.run | self.alone }
    }

    pub(super) fn text(&mut self, watch: &mut Watch, text: &str) {
        let mut rest = if watch.is_split() { self.split(watch, text) } else { text };
        loop {
            let plain = self.plain(watch, rest.as_bytes());
            let mut characters = rest.get(plain..).unwrap_or_default().chars();
            let Some(character) = characters.next() else { return };
            self.character(watch, character);
            rest = characters.as_str();
        }
    }

    pub(super) fn part(&mut self, watch: &mut Watch, joint: Joint) {
        self.flush(watch);
        if !watch.is_split() && self.ignores_line(watch, true) {
            return;
        }
        let mut each = watch.each();
        for (lane, way) in each.iter_mut().zip(ALL) {
            if way.lines || joint == Joint::Line {
                self.line(lane, way.messages.is_none());
            }
        }
        watch.set(each);
    }

    pub(super) fn message(&mut self, watch: &mut Watch, begin: Watch) {
        self.flush(watch);
        if !watch.is_split() && self.ignores_line(watch, false) && self.same(&watch.first(), &begin.first()) {
            return;
        }
        let mut each = watch.each();
        for (lane, way) in each.iter_mut().zip(ALL) {
            match way.messages {
                None => *lane = begin.first(),
                Some(Between::Line) => self.line(lane, false),
                Some(Between::Nothing) => {}
            }
        }
        watch.set(each);
    }

    pub(super) fn end(&mut self, mut watch: Watch) {
        self.flush(&mut watch);
        self.alone |= self.automaton.last(watch.decoded);
        if !watch.joined {
            self.alone |= self.automaton.last(watch.normal);
        }
        let ways = watch.lanes;
        for (lane, other) in watch.lanes.others().iter().zip(0_usize..) {
            for state in [lane.decoded, lane.normal] {
                self.note(ways.is_alone(other), self.automaton.last(state));
            }
        }
    }

    /// Returns true if a line feed would not change the only lane. Only states are compared.
    fn ignores_line(&mut self, watch: &Watch, alone: bool) -> bool {
        let mut line = watch.first();
        self.line(&mut line, alone);
        self.same(&watch.first(), &line)
    }

    /// Returns true if both lanes continue identically. A lane that a space does not change may differ in `spaced`.
    fn same(&self, one: &Lane, other: &Lane) -> bool {
        (one.decoded, one.normal) == (other.decoded, other.normal)
            && (one.spaced == other.spaced || self.automaton.next(one.normal, b' ', &mut 0) == one.normal)
    }

    /// Returns true if the lane `before`, after a decoded character, is in the same state as the watch. The next
    /// character must not join either.
    pub(super) fn meets(&mut self, watch: &mut Watch, before: Lane, decoded: u8) -> bool {
        self.flush(watch);
        let mut lane = before;
        let space = decoded.is_ascii_whitespace();
        lane.decoded = self.automaton.next(before.decoded, decoded, &mut self.alone);
        if !(space && before.spaced) {
            let written = if space { b' ' } else { decoded };
            lane.normal = self.automaton.next(before.normal, written, &mut self.alone);
        }
        lane.spaced = space;
        self.same(&watch.first(), &lane)
    }

    const fn note(&mut self, alone: bool, found: u64) {
        *(if alone { &mut self.alone } else { &mut self.run }) |= found;
    }

    /// Adds a line feed between two texts. Nothing may be carried.
    fn line(&mut self, lane: &mut Lane, alone: bool) {
        let mut found = 0;
        lane.decoded = self.automaton.next(lane.decoded, b'\n', &mut found);
        if !lane.spaced {
            lane.normal = self.automaton.next(lane.normal, b' ', &mut found);
            lane.spaced = true;
        }
        self.note(alone, found);
    }

    /// Reads printable ASCII with single spaces, until it ends or both copies converge, and returns its length in
    /// bytes.
    #[inline]
    fn plain(&mut self, watch: &mut Watch, text: &[u8]) -> usize {
        if !text.first().is_some_and(|byte| matches!(byte, b' '..=b'~')) {
            return 0;
        }
        self.settle(watch, watch.decoded);
        let (automaton, mut found, mut length) = (self.automaton, self.alone, 0_usize);
        let (mut decoded, mut normal, mut before) = (watch.decoded, watch.normal, watch.normal);
        let mut last = if watch.spaced { b' ' } else { 0 };
        if watch.joined {
            for &byte in text {
                if !is_plain(byte, last) {
                    break;
                }
                (last, before) = (byte, decoded);
                decoded = automaton.next(decoded, byte, &mut found);
                length = length.wrapping_add(1);
            }
            normal = decoded;
        } else {
            for &byte in text {
                if !is_plain(byte, last) {
                    break;
                }
                (last, before) = (byte, normal);
                decoded = automaton.next(decoded, byte, &mut found);
                normal = automaton.next(normal, byte, &mut found);
                length = length.wrapping_add(1);
                if decoded == normal {
                    break;
                }
            }
        }
        self.alone = found;
        if length > 0 {
            (watch.decoded, watch.normal) = (decoded, before);
            (watch.spaced, watch.joined) = (false, decoded == normal);
            watch.carry.set(char::from(last), true);
        }
        length
    }

    fn character(&mut self, watch: &mut Watch, character: char) {
        let before = watch.decoded;
        watch.decoded = step(self.automaton, before, character, &mut self.alone);
        let kind = self.forms.kind(character);
        let held = match kind {
            Kind::Hidden => true,
            Kind::Joining => watch.carry.push(character),
            Kind::Space | Kind::Same | Kind::Mapped(_) | Kind::Phrase | Kind::Other => false,
        };
        if held {
            watch.joined = false;
            return;
        }
        self.settle(watch, before);
        if matches!(kind, Kind::Phrase | Kind::Joining) {
            if watch.joined {
                (watch.normal, watch.spaced) = (watch.decoded, false);
            } else {
                self.write(watch, character);
                watch.joined = watch.normal == watch.decoded && !watch.is_split();
            }
            return;
        }
        let space = kind == Kind::Space;
        let (carried, same) = match kind {
            Kind::Space => (' ', true),
            Kind::Mapped(carried) => (carried, true),
            _ => (character, kind == Kind::Same),
        };
        watch.carry.set(carried, same);
        watch.joined &= same && carried == character && !(space && watch.spaced);
    }

    /// Adds the carried characters to the normalised copy, since nothing can change them any more. `decoded` is the
    /// state of the decoded text at this point.
    #[inline]
    fn settle(&mut self, watch: &mut Watch, decoded: StateID) {
        let same = watch.carry.same();
        if watch.joined {
            watch.normal = decoded;
            watch.spaced = same.map_or(watch.spaced, |character| character == ' ');
            watch.carry.clear();
        } else if let Some(character) = same {
            watch.carry.clear();
            self.write(watch, character);
        } else if watch.carry.is_empty() {
            // There is nothing to write.
        } else if let Some(character) = watch.carry.lone() {
            watch.carry.clear();
            let form = self.forms.of(character);
            match form.kind {
                Kind::Other => form.parts().for_each(|part| self.write(watch, part)),
                _ => once(character).nfkc().for_each(|part| self.write(watch, part)),
            }
        } else if let Some((letter, mark)) = watch.carry.accented() {
            watch.carry.clear();
            match compose(letter, mark) {
                Some(character) => self.write(watch, character),
                None => [letter, mark].into_iter().for_each(|character| self.write(watch, character)),
            }
        } else {
            for character in watch.carry.take().nfkc() {
                self.write(watch, character);
            }
        }
        watch.joined = watch.normal == decoded && !watch.is_split();
    }

    /// Writes a character to the normalised copy of every lane.
    fn write(&mut self, watch: &mut Watch, character: char) {
        let (automaton, space) = (self.automaton, character.is_whitespace());
        let written = if space { ' ' } else { character };
        if !(space && watch.spaced) {
            watch.normal = step(automaton, watch.normal, written, &mut self.alone);
        }
        watch.spaced = space;
        if watch.is_split() {
            self.others(watch, |lane, found| {
                if !(space && lane.spaced) {
                    lane.normal = step(automaton, lane.normal, written, found);
                }
                lane.spaced = space;
            });
        }
    }

    #[cold]
    fn others(&mut self, watch: &mut Watch, mut walk: impl FnMut(&mut Lane, &mut u64)) {
        let ways = watch.lanes;
        for (lane, other) in watch.lanes.others().iter_mut().zip(0_usize..) {
            let mut found = 0;
            walk(lane, &mut found);
            self.note(ways.is_alone(other), found);
        }
    }

    /// Settles the carried characters at the current state.
    pub(super) fn flush(&mut self, watch: &mut Watch) {
        self.settle(watch, watch.decoded);
    }

    /// Reads on until all lanes are one and returns the rest of the text.
    #[cold]
    fn split<'t>(&mut self, watch: &mut Watch, text: &'t str) -> &'t str {
        let (mut rest, mut longest) = (text, STEP);
        while watch.is_split() {
            let plain = self.plain_split(watch, rest.as_bytes(), longest);
            rest = rest.get(plain..).unwrap_or_default();
            if plain == 0 {
                let mut characters = rest.chars();
                let Some(character) = characters.next() else { break };
                let automaton = self.automaton;
                self.others(watch, |lane, found| {
                    lane.decoded = step(automaton, lane.decoded, character, found);
                });
                self.character(watch, character);
                rest = characters.as_str();
            }
            watch.unite();
            longest = longest.saturating_mul(2).min(LONGEST_STEP);
        }
        rest
    }

    /// Reads at most `longest` bytes of printable ASCII with single spaces and returns their number.
    fn plain_split(&mut self, watch: &mut Watch, text: &[u8], longest: usize) -> usize {
        let mut last = b' ';
        let plain = text
            .iter()
            .take(longest)
            .take_while(|byte| is_plain(**byte, core::mem::replace(&mut last, **byte)));
        let (plain, _) = text.split_at_checked(plain.count()).unwrap_or_default();
        let Some((last, before)) = plain.split_last() else { return 0 };
        self.flush(watch);
        let automaton = self.automaton;
        let walk = |lane: &mut Lane, found: &mut u64| {
            for byte in before {
                lane.decoded = automaton.next(lane.decoded, *byte, found);
                lane.normal = automaton.next(lane.normal, *byte, found);
            }
            lane.decoded = automaton.next(lane.decoded, *last, found);
            lane.spaced = false;
        };
        let mut first = watch.first();
        walk(&mut first, &mut self.alone);
        (watch.decoded, watch.normal, watch.spaced) = (first.decoded, first.normal, first.spaced);
        self.others(watch, walk);
        watch.carry.set(char::from(*last), true);
        plain.len()
    }
}

fn step(automaton: &Automaton, from: StateID, character: char, found: &mut u64) -> StateID {
    let mut buffer = [0; 4];
    let bytes = character.encode_utf8(&mut buffer).bytes();
    bytes.fold(from, |state, byte| automaton.next(state, byte, found))
}

#[inline(always)]
const fn is_plain(byte: u8, last: u8) -> bool {
    matches!(byte, b'!'..=b'~') || byte == b' ' && last != b' '
}
