//! The inside of a string: runs of text, escapes, and the parts of either that a chunk boundary splits.

use super::plain;
use super::{Events, Fault, Invalid};

const LONGEST: usize = 12;
/// The most words of text that are passed together with the escapes around them, and the largest such piece in bytes.
const NEAR: u8 = 4;
const DECODED: usize = 192;

/// The first bytes of a character, raw or escaped, that continues in the next chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    bytes: [u8; LONGEST],
    length: u8,
}

/// The rest of a chunk and its offset in the body.
pub(super) struct Input<'a> {
    pub(super) rest: &'a [u8],
    pub(super) at: u64,
}

/// Escapes and the text between them, decoded.
struct Decoded {
    bytes: [u8; DECODED],
    length: usize,
}

impl<'a> Input<'a> {
    /// Takes `length` bytes, or all that are left.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        self.at = self.at.wrapping_add(wide(taken.len()));
        taken
    }
}

/// Reads on in a string. Returns true after its closing quote.
#[inline]
pub(super) fn read(cut: &mut Cut, input: &mut Input<'_>, events: &mut impl Events) -> Result<bool, Invalid> {
    if cut.length > 0 {
        cut.complete(input, events)?;
    }
    loop {
        let run = plain::run(input.rest);
        if run.length > 0 {
            text(run, cut, input, events)?;
        }
        match input.rest.first() {
            None => return Ok(false),
            Some(b'"') => {
                input.take(1);
                return Ok(true);
            }
            Some(b'\\') => escapes(cut, input, events)?,
            Some(_) => return Err(Invalid { at: input.at, what: Fault::ControlCharacter }),
        }
    }
}

#[inline]
fn text(
    run: plain::Run,
    cut: &mut Cut,
    input: &mut Input<'_>,
    events: &mut impl Events,
) -> Result<(), Invalid> {
    let at = input.at;
    let bytes = input.take(run.length);
    match core::str::from_utf8(bytes) {
        Ok(text) => events.raw(text, at, run.plain),
        Err(error) => {
            let (valid, rest) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
            let is_cut = error.error_len().is_none() && input.rest.is_empty();
            if !is_cut {
                return Err(Invalid { at: at.wrapping_add(wide(valid.len())), what: Fault::Utf8 });
            }
            if !valid.is_empty() {
                events.raw(core::str::from_utf8(valid).unwrap_or_default(), at, false);
            }
            cut.keep(rest);
        }
    }
    Ok(())
}

/// Decodes escapes together with the short plain text between them, so that the receiver gets fewer and longer pieces.
fn escapes(cut: &mut Cut, input: &mut Input<'_>, events: &mut impl Events) -> Result<(), Invalid> {
    let mut decoded = Decoded { bytes: [0; DECODED], length: 0 };
    let mut words = 0_u8;
    loop {
        if input.rest.first() == Some(&b'\\') {
            words = 0;
            let at = input.at;
            match escape(input.rest).map_err(|what| Invalid { at, what })? {
                Some((character, length)) => {
                    input.take(length);
                    decoded.push(character, events);
                    events.escaped(character, at..input.at);
                }
                None => cut.keep(input.take(LONGEST)),
            }
            continue;
        }
        let Some(word) = input.rest.first_chunk().filter(|_| words < NEAR) else { break };
        let Some(length @ 1..) = plain::word(*word) else { break };
        words = words.wrapping_add(1);
        decoded.push_word(*word, length, events);
        input.take(length);
    }
    decoded.flush(events);
    Ok(())
}

impl Cut {
    const fn keep(&mut self, bytes: &[u8]) {
        if let Some((kept, _)) = self.bytes.split_at_mut_checked(bytes.len()) {
            kept.copy_from_slice(bytes);
            self.length = bytes.len().to_le_bytes()[0];
        }
    }

    /// Completes the split character, as far as the chunk allows.
    fn complete(&mut self, input: &mut Input<'_>, events: &mut impl Events) -> Result<(), Invalid> {
        let begin = input.at.wrapping_sub(u64::from(self.length));
        let failed = |what| Invalid { at: begin, what };
        while let Some(byte) = input.rest.first() {
            if let Some(next) = self.bytes.get_mut(usize::from(self.length)) {
                *next = *byte;
                self.length = self.length.saturating_add(1);
            }
            input.take(1);
            let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
            if bytes.first() == Some(&b'\\') {
                if let Some((character, _)) = escape(bytes).map_err(failed)? {
                    *self = Self::default();
                    events.escaped(character, begin..input.at);
                    events.decoded(character.encode_utf8(&mut [0; 4]));
                    return Ok(());
                }
            } else {
                match core::str::from_utf8(bytes) {
                    Ok(text) => events.raw(text, begin, false),
                    Err(error) if error.error_len().is_none() => continue,
                    Err(_) => return Err(failed(Fault::Utf8)),
                }
                *self = Self::default();
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Decoded {
    /// Returns room for eight more bytes.
    #[inline]
    fn room(&mut self, events: &mut impl Events) -> Option<&mut [u8; 8]> {
        if self.length.wrapping_add(8) > DECODED {
            self.flush(events);
        }
        self.bytes.get_mut(self.length..)?.first_chunk_mut()
    }

    #[inline]
    fn push(&mut self, character: char, events: &mut impl Events) {
        let Some(room) = self.room(events) else { return };
        let length = match u8::try_from(character) {
            Ok(byte @ ..0x80) => {
                room[0] = byte;
                1
            }
            _ => character.encode_utf8(room).len(),
        };
        self.length = self.length.wrapping_add(length);
    }

    /// Appends the first `length` bytes of a word.
    #[inline]
    fn push_word(&mut self, word: [u8; 8], length: usize, events: &mut impl Events) {
        let Some(room) = self.room(events) else { return };
        *room = word;
        self.length = self.length.wrapping_add(length.min(8));
    }

    fn flush(&mut self, events: &mut impl Events) {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        if !bytes.is_empty() {
            events.decoded(core::str::from_utf8(bytes).unwrap_or_default());
        }
        self.length = 0;
    }
}

/// Returns the character of the escape at the beginning of `bytes` and the length of the escape, or `None` if it is
/// incomplete.
#[inline]
fn escape(bytes: &[u8]) -> Result<Option<(char, usize)>, Fault> {
    let character = match bytes {
        [_, b'u', digits @ ..] => return unicode(digits),
        [_, plain @ (b'"' | b'\\' | b'/'), ..] => char::from(*plain),
        [_, b'n', ..] => '\n',
        [_, b't', ..] => '\t',
        [_, b'r', ..] => '\r',
        [_, b'b', ..] => '\u{8}',
        [_, b'f', ..] => '\u{c}',
        [_, _, ..] => return Err(Fault::Escape),
        _ => return Ok(None),
    };
    Ok(Some((character, 2)))
}

fn unicode(digits: &[u8]) -> Result<Option<(char, usize)>, Fault> {
    let Some(unit) = unit(digits)? else { return Ok(None) };
    if let Some(character) = char::from_u32(unit) {
        return Ok(Some((character, 6)));
    }
    if unit >= 0xDC00 {
        return Err(Fault::LoneSurrogate);
    }
    let low = match digits.get(4..).unwrap_or_default() {
        [] | [b'\\'] => return Ok(None),
        [b'\\', b'u', digits @ ..] => digits,
        _ => return Err(Fault::LoneSurrogate),
    };
    let Some(low) = self::unit(low)? else { return Ok(None) };
    let pair = (unit & 0x3FF).wrapping_shl(10) | low & 0x3FF;
    match char::from_u32(pair.wrapping_add(0x1_0000)) {
        Some(character) if (0xDC00..0xE000).contains(&low) => Ok(Some((character, 12))),
        _ => Err(Fault::LoneSurrogate),
    }
}

fn unit(digits: &[u8]) -> Result<Option<u32>, Fault> {
    let mut unit = 0_u32;
    let mut wrong = 0;
    let digits = digits.get(..4).unwrap_or(digits);
    for digit in digits {
        let value = hex(*digit);
        wrong |= value;
        unit = unit.wrapping_shl(4) | u32::from(value);
    }
    if wrong > 0xF { Err(Fault::Escape) } else { Ok((digits.len() == 4).then_some(unit)) }
}

#[inline]
const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit.wrapping_sub(b'0'),
        b'a'..=b'f' => digit.wrapping_sub(b'a' - 10),
        b'A'..=b'F' => digit.wrapping_sub(b'A' - 10),
        _ => 0xFF,
    }
}

/// Returns a length as an offset.
pub(super) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
