//! Searches texts that are JSON themselves, such as the arguments of a tool call, because many templates decode them
//! and print the result. Such a text is searched as written and once more with its escapes decoded. The second search
//! begins at an escape and ends when both are in the same state, which is mostly immediately after it. A text that is
//! not JSON does no harm: an invalid escape stands for itself.

use super::lanes::Lane;
use super::walk::Walk;
use super::{Found, Rules, Watch};

/// The bytes that both copies walk between comparisons, at first and at most.
const STEP: usize = 8;
const LONGEST_STEP: usize = 64;
/// The length of a UTF-16 escape: a backslash, a `u` and four digits.
const LONGEST: usize = 6;

/// The state of the escapes of one text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escapes {
    is: Is,
    /// The search with decoded escapes, while it differs.
    decoded: Option<Watch>,
    /// The state before the last escape, while that has made no difference.
    before: Option<Before>,
    escape: [u8; LONGEST],
    length: usize,
    /// The first half of a surrogate pair.
    high: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    lane: Lane,
    carried: Option<char>,
    /// The lane with the carried character added.
    settled: Lane,
    /// The decoded byte, if it is known.
    says: Option<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Is {
    /// Only white space so far.
    #[default]
    Unknown,
    Json,
    Plain,
}

impl Rules {
    /// Reads the next piece of a text that may be JSON.
    #[inline]
    pub fn json(&self, watch: &mut Watch, escapes: &mut Escapes, text: &str) -> Found {
        if escapes.is == Is::Unknown {
            escapes.is = match text.bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
                None => Is::Unknown,
                Some(b'{' | b'[' | b'"') => Is::Json,
                Some(_) => Is::Plain,
            };
        }
        match escapes.is {
            Is::Json => self.decode(watch, escapes, text),
            Is::Unknown | Is::Plain => self.piece(watch, text),
        }
    }

    /// Ends the text. Returns the rules that only its decoded copy matches now.
    #[inline]
    pub fn end_json(&self, escapes: &mut Escapes) -> Found {
        let mut found = Found::default();
        if escapes.is == Is::Json {
            found = self.stands(escapes).or(self.pair(escapes, None)).or(self.part_ways(escapes));
            found = escapes.decoded.as_ref().map_or(found, |decoded| found.or(self.end(decoded)));
            (escapes.decoded, escapes.length) = (None, 0);
        }
        escapes.is = Is::Unknown;
        found
    }

    fn decode(&self, watch: &mut Watch, escapes: &mut Escapes, text: &str) -> Found {
        let mut found = Found::default();
        let mut rest = text;
        while !rest.is_empty() {
            if escapes.length > 0 {
                let mut characters = rest.chars();
                let Some(character) = characters.next() else { break };
                let (one, more) = rest.split_at_checked(character.len_utf8()).unwrap_or((rest, ""));
                if escapes.takes(character) {
                    found = found.or(self.piece(watch, one));
                    rest = more;
                    found = found.or(self.complete(escapes));
                } else {
                    found = found.or(self.stands(escapes));
                }
                continue;
            }
            let (plain, more) =
                rest.split_at_checked(rest.find('\\').unwrap_or(rest.len())).unwrap_or((rest, ""));
            if !plain.is_empty() {
                found = found.or(self.pair(escapes, None)).or(self.both(watch, escapes, plain));
            }
            rest = more;
            if let Some(behind) = more.strip_prefix('\\') {
                found = found.or(self.meet(watch, escapes));
                if escapes.decoded.is_none() {
                    found = found.or(self.before(watch, escapes));
                }
                found = found.or(self.piece(watch, "\\"));
                escapes.push(b'\\');
                rest = behind;
            }
        }
        found
    }

    /// Begins an escape.
    fn before(&self, watch: &mut Watch, escapes: &mut Escapes) -> Found {
        let Some(carried) = watch.carries() else {
            escapes.decoded = Some(watch.only());
            return Found::default();
        };
        let (lane, mut walk) = (watch.first(), Walk::new(&self.0));
        walk.flush(watch);
        escapes.before = Some(Before { lane, carried, settled: watch.first(), says: None });
        walk.found()
    }

    /// Ends the last escape, which the next text does not affect, if it has made no difference.
    fn meet(&self, watch: &mut Watch, escapes: &mut Escapes) -> Found {
        let mut walk = Walk::new(&self.0);
        if let Some(Before { settled, says: Some(says), .. }) = escapes.before
            && !watch.is_split()
            && walk.meets(watch, settled, says)
        {
            escapes.before = None;
        }
        walk.found().or(self.part_ways(escapes))
    }

    /// Splits off the decoded copy, because the last escape makes a difference or may make one.
    fn part_ways(&self, escapes: &mut Escapes) -> Found {
        let Some(Before { lane, carried, says, .. }) = escapes.before.take() else { return Found::default() };
        let watch = escapes.decoded.insert(Watch::at(lane, carried));
        match says.map(char::from) {
            Some(says) => self.piece(watch, says.encode_utf8(&mut [0; 4])),
            None => Found::default(),
        }
    }

    /// Reads text that is the same in both copies.
    fn both(&self, watch: &mut Watch, escapes: &mut Escapes, text: &str) -> Found {
        let mut found = match text.as_bytes() {
            [b' '..=b'~', ..] => self.meet(watch, escapes),
            _ => self.part_ways(escapes),
        };
        let (mut rest, mut step) = (text, STEP);
        while let Some(decoded) = &mut escapes.decoded {
            if decoded.meets(watch) {
                escapes.decoded = None;
                break;
            }
            if rest.is_empty() {
                break;
            }
            let (part, more) = cut(rest, step);
            found = found.or(self.piece(watch, part)).or(self.piece(decoded, part));
            (rest, step) = (more, step.saturating_mul(2).min(LONGEST_STEP));
        }
        found.or(self.piece(watch, rest))
    }

    /// Takes an incomplete escape literally.
    fn stands(&self, escapes: &mut Escapes) -> Found {
        if escapes.length == 0 {
            return Found::default();
        }
        let found = self.part_ways(escapes).or(self.pair(escapes, None));
        let (escape, length) = (escapes.escape, core::mem::take(&mut escapes.length));
        let text = escape.get(..length).and_then(|escape| core::str::from_utf8(escape).ok());
        match &mut escapes.decoded {
            Some(decoded) => found.or(self.piece(decoded, text.unwrap_or_default())),
            None => found,
        }
    }

    /// Decodes an escape, if it is complete.
    fn complete(&self, escapes: &mut Escapes) -> Found {
        let escape = escapes.escape;
        let character = match escape.get(1..escapes.length) {
            Some(b"b") => '\u{8}',
            Some(b"f") => '\u{C}',
            Some(b"n") => '\n',
            Some(b"r") => '\r',
            Some(b"t") => '\t',
            Some([quoted @ (b'"' | b'\\' | b'/')]) => char::from(*quoted),
            Some([b'u', digits @ ..]) if digits.len() == 4 => {
                let unit =
                    core::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
                escapes.length = 0;
                return self.pair(escapes, unit);
            }
            _ => return Found::default(),
        };
        escapes.length = 0;
        self.pair(escapes, Some(u32::from(character)))
    }

    /// Adds a UTF-16 code unit, or none, after what may be half a surrogate pair.
    fn pair(&self, escapes: &mut Escapes, unit: Option<u32>) -> Found {
        let high = escapes.high.take();
        if high.is_none() && unit.is_none() {
            return Found::default();
        }
        if let (Some(before), Some(unit)) = (&mut escapes.before, unit)
            && let Some(byte @ (b'\t' | b'\n' | b'\r' | b' '..=b'~')) = u8::try_from(unit).ok()
        {
            before.says = Some(byte);
            return Found::default();
        }
        let parted = self.part_ways(escapes);
        let write = |decoded: &mut Option<Watch>, unit: u32| {
            let character = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
            let mut text = [0; 4];
            let text = character.encode_utf8(&mut text);
            decoded.as_mut().map_or(Found::default(), |decoded| self.piece(decoded, text))
        };
        match (high, unit) {
            (Some(high), Some(low @ 0xDC00..=0xDFFF)) => {
                let pair = ((high & 0x3FF) << 10) | (low & 0x3FF);
                parted.or(write(&mut escapes.decoded, pair.saturating_add(0x1_0000)))
            }
            (high, unit) => {
                let found = high.map_or(parted, |high| parted.or(write(&mut escapes.decoded, high)));
                match unit {
                    Some(0xD800..=0xDBFF) => {
                        escapes.high = unit;
                        found
                    }
                    Some(unit) => found.or(write(&mut escapes.decoded, unit)),
                    None => found,
                }
            }
        }
    }
}

/// Splits a text after `length` bytes, or at the next character boundary.
fn cut(text: &str, length: usize) -> (&str, &str) {
    let end = (length..text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

impl Escapes {
    /// Returns true while the decoded copy is in another state than the text.
    #[cfg(test)]
    pub(super) const fn is_decoding(&self) -> bool {
        self.decoded.is_some()
    }

    fn push(&mut self, byte: u8) {
        if let Some(free) = self.escape.get_mut(self.length) {
            *free = byte;
            self.length = self.length.saturating_add(1);
        }
    }

    /// Adds a character to the current escape. Returns false if it does not belong to it.
    fn takes(&mut self, character: char) -> bool {
        let goes_on = match self.length {
            1 => matches!(character, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u'),
            _ => character.is_ascii_hexdigit(),
        };
        if goes_on && let Ok(byte) = u8::try_from(character) {
            self.push(byte);
        }
        goes_on
    }
}
