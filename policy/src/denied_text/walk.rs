//! Takes a text and its normalised copy through the automaton, in one walk while they are in the same state.

use super::Watch;
use super::automaton::Automaton;
use super::kind::Kind;
use regex_automata::util::primitives::StateID;
use unicode_normalization::UnicodeNormalization;

/// Over one piece.
pub(super) struct Walk<'a> {
    automaton: &'a Automaton,
    /// The lowest rule, or `usize::MAX`.
    found: usize,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(automaton: &'a Automaton) -> Self {
        Self { automaton, found: usize::MAX }
    }

    pub(super) fn found(self) -> Option<usize> {
        (self.found != usize::MAX).then_some(self.found)
    }

    pub(super) fn text(&mut self, watch: &mut Watch, text: &str) {
        let mut rest = text;
        loop {
            let plain = self.plain(watch, rest.as_bytes());
            let mut characters = rest.get(plain..).unwrap_or_default().chars();
            let Some(character) = characters.next() else { return };
            self.character(watch, character);
            rest = characters.as_str();
        }
    }

    pub(super) fn end(&mut self, watch: &mut Watch) {
        self.settle(watch, watch.decoded);
        for state in [watch.decoded, watch.normal] {
            self.found = self.automaton.last(state).min(self.found);
        }
    }

    /// Printable ASCII with single spaces, until that ends or both copies meet: how many bytes of it.
    #[inline]
    fn plain(&mut self, watch: &mut Watch, text: &[u8]) -> usize {
        if !text.first().is_some_and(|byte| matches!(byte, b' '..=b'~')) {
            return 0;
        }
        self.settle(watch, watch.decoded);
        let (automaton, mut found, mut length) = (self.automaton, self.found, 0_usize);
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
        self.found = found;
        if length > 0 {
            (watch.decoded, watch.normal) = (decoded, before);
            (watch.spaced, watch.joined) = (false, decoded == normal);
            watch.carry.set(char::from(last), true);
        }
        length
    }

    fn character(&mut self, watch: &mut Watch, character: char) {
        let before = watch.decoded;
        watch.decoded = self.step(before, character);
        let kind = Kind::of(character);
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
        if kind == Kind::Phrase {
            self.write(watch, character);
            watch.joined = watch.normal == watch.decoded;
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

    /// Nothing that follows changes what is carried. The decoded text is in the state `decoded` behind it.
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
        } else {
            for character in watch.carry.take().nfkc() {
                self.write(watch, character);
            }
        }
        watch.joined = watch.normal == decoded;
    }

    /// Writes the normalised copy.
    fn write(&mut self, watch: &mut Watch, character: char) {
        let space = character.is_whitespace();
        if !(space && watch.spaced) {
            watch.normal = self.step(watch.normal, if space { ' ' } else { character });
        }
        watch.spaced = space;
    }

    fn step(&mut self, from: StateID, character: char) -> StateID {
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).bytes();
        bytes.fold(from, |state, byte| self.automaton.next(state, byte, &mut self.found))
    }
}

#[inline(always)]
const fn is_plain(byte: u8, last: u8) -> bool {
    matches!(byte, b'!'..=b'~') || byte == b' ' && last != b' '
}
