//! The header fields that decide the end of a request, in a few bytes of state whatever their length.

use super::matched;

/// The relevant names, each with its bit in [`Name::candidates`].
const NAMES: [(u8, &[u8]); 4] = [
    (LENGTH, b"content-length"),
    (CODING, b"transfer-encoding"),
    (UPGRADE, b"upgrade"),
    (CONNECTION, b"connection"),
];

const LENGTH: u8 = 1;
const CODING: u8 = 2;
const UPGRADE: u8 = 4;
const CONNECTION: u8 = 8;

/// The field line so far, including its continuation lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Before the first line.
    None,
    Name {
        /// The names that still match, one bit each.
        candidates: u8,
        length: u8,
    },
    Other,
    ContentLength(Number),
    TransferEncoding(Word),
    Upgrade(Word),
    Connection(Word),
}

/// Digits surrounded by blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Empty,
    Digits(u64),
    Complete(u64),
    Invalid,
}

/// One word surrounded by blanks; in a list, the current member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The number of matching bytes, while all match.
    at: Option<u8>,
    /// True after a blank that follows the word.
    ended: bool,
    /// True once a member of the list equals the word.
    found: bool,
}

/// The framing of a message as its fields declare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) connect: bool,
    refused: bool,
    length: Number,
    lengths: Count,
    chunked: bool,
    codings: Count,
    h2c: bool,
    upgrades: Count,
    connection_upgrade: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    None,
    One,
    Many,
}

/// The part of a connection that follows a head.
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
    Tunnel,
    Refused,
    Lost,
}

impl Field {
    pub(super) const NONE: Self = Self::None;

    pub(super) fn name(first: u8) -> Self {
        let mut field = Self::Name { candidates: LENGTH | CODING | UPGRADE | CONNECTION, length: 0 };
        field.name_byte(first);
        field
    }

    pub(super) const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    pub(super) const fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }

    pub(super) const fn name_is_one_byte(&self) -> bool {
        matches!(self, Self::Name { length: 1, .. })
    }

    /// Returns true for a name of more than one byte that matches none of [`NAMES`].
    pub(super) const fn is_no_name(&self) -> bool {
        matches!(self, Self::Name { candidates: 0, length: 2.. })
    }

    pub(super) fn name_byte(&mut self, byte: u8) {
        let Self::Name { candidates, length } = self else { return };
        for (bit, name) in NAMES {
            if matched(name, *length, byte.to_ascii_lowercase()).is_none() {
                *candidates &= !bit;
            }
        }
        *length = length.saturating_add(1);
    }

    /// Returns the field, whose name is complete.
    pub(super) fn named(self) -> Self {
        let Self::Name { candidates, length } = self else { return self };
        let whole = |(bit, name): &&(u8, &[u8])| candidates & bit != 0 && name.len() == usize::from(length);
        match NAMES.iter().find(whole).map(|(bit, _)| *bit) {
            Some(LENGTH) => Self::ContentLength(Number::Empty),
            Some(CODING) => Self::TransferEncoding(Word::NONE),
            Some(UPGRADE) => Self::Upgrade(Word::NONE),
            Some(CONNECTION) => Self::Connection(Word::NONE),
            _ => Self::Other,
        }
    }

    /// Adds a byte of the value. Carriage returns and line feeds are blanks in the fields that decide framing; Envoy
    /// removes them from all other values.
    pub(super) fn value_byte(&mut self, byte: u8) {
        let removed = matches!(byte, b'\r' | b'\n');
        match self {
            Self::ContentLength(number) => *number = number.with(byte),
            Self::TransferEncoding(word) => word.push(b"chunked", byte),
            Self::Upgrade(word) if !removed => word.push(b"h2c", byte),
            Self::Connection(word) if byte == b',' => {
                *word = Word { found: word.found || word.is(b"upgrade"), ..Word::NONE };
            }
            Self::Connection(word) if !removed => word.push(b"upgrade", byte),
            _ => {}
        }
    }
}

impl Number {
    fn with(self, byte: u8) -> Self {
        let digit = char::from(byte).to_digit(10).map(u64::from);
        match (self, digit) {
            (Self::Empty, _) if byte <= b' ' => Self::Empty,
            (Self::Digits(value) | Self::Complete(value), _) if byte <= b' ' => Self::Complete(value),
            (Self::Empty, Some(digit)) => Self::Digits(digit),
            (Self::Digits(value), Some(digit)) => {
                let larger = value.checked_mul(10).and_then(|value| value.checked_add(digit));
                larger.map_or(Self::Invalid, Self::Digits)
            }
            _ => Self::Invalid,
        }
    }
}

impl Word {
    const NONE: Self = Self { at: Some(0), ended: false, found: false };

    fn push(&mut self, word: &[u8], byte: u8) {
        if byte <= b' ' {
            self.ended = self.at != Some(0);
        } else if self.ended {
            self.at = None;
        } else {
            self.at = self.at.and_then(|at| matched(word, at, byte.to_ascii_lowercase()));
        }
    }

    fn is(&self, word: &[u8]) -> bool {
        self.at.is_some_and(|at| usize::from(at) == word.len())
    }
}

impl Count {
    const fn more(self) -> Self {
        match self {
            Self::None => Self::One,
            Self::One | Self::Many => Self::Many,
        }
    }
}

impl Framing {
    pub(super) const NONE: Self = Self {
        connect: false,
        refused: false,
        length: Number::Empty,
        lengths: Count::None,
        chunked: false,
        codings: Count::None,
        h2c: false,
        upgrades: Count::None,
        connection_upgrade: false,
    };

    /// Marks the head as one that Envoy refuses at its end.
    pub(super) const fn refuse(&mut self) {
        self.refused = true;
    }

    /// Adds a complete field.
    pub(super) fn take(&mut self, field: Field) {
        match field {
            Field::ContentLength(number) => {
                self.length = number;
                self.lengths = self.lengths.more();
            }
            Field::TransferEncoding(word) => {
                self.chunked = word.is(b"chunked");
                self.codings = self.codings.more();
            }
            Field::Upgrade(word) => {
                self.h2c = word.is(b"h2c");
                self.upgrades = self.upgrades.more();
            }
            Field::Connection(word) => self.connection_upgrade |= word.found || word.is(b"upgrade"),
            Field::None | Field::Name { .. } | Field::Other => {}
        }
    }

    pub(super) const fn body(&self) -> Body {
        if self.refused || matches!(self.lengths, Count::Many) {
            return Body::Refused;
        }
        match (self.codings, self.chunked) {
            (Count::None, _) | (Count::One, true) => {}
            _ => return Body::Lost,
        }
        if self.connect {
            return Body::Tunnel;
        }
        match (self.upgrades, self.h2c) {
            (Count::Many, _) if self.connection_upgrade => return Body::Lost,
            (Count::One, false) if self.connection_upgrade => return Body::Tunnel,
            _ => {}
        }
        match (self.lengths, self.length) {
            _ if self.chunked => Body::Chunked,
            (Count::None, _) | (_, Number::Digits(0) | Number::Complete(0)) => Body::None,
            (_, Number::Digits(length) | Number::Complete(length)) => Body::Length(length),
            (_, Number::Empty | Number::Invalid) => Body::Refused,
        }
    }
}
