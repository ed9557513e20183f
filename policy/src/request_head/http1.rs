//! Reads an HTTP/1 connection byte by byte, as Envoy's parser (Balsa) does, for the ends of heads and the lengths of
//! bodies.
//!
//! Input that Envoy accepts is followed exactly: bare line feeds, folded values, request lines without a version. Input
//! that Envoy certainly answers by an error and a close is [`State::Refused`]. Input that it may read in several ways
//! (a one-byte line can end a head, depending on the chunks; carriage returns vanish from values after framing was
//! decided) is [`State::Lost`] for good.
//!
//! Source: quiche/balsa/balsa_frame.cc; Envoy, source/common/http/http1/{balsa_parser,codec_impl}.cc; each row of
//! `heads_are_read_as_envoy_was_observed_to_read_them` in the tests was run against Envoy 1.40.

use super::Stage;
use field::{Field, Framing};

mod field;

/// The newline bytes before a request line that are no part of a head: one empty line, as RFC 9112, section 2.2,
/// requires.
const FREE_NEWLINES: u8 = 2;

const CONNECT: &[u8] = b"CONNECT";
const VERSION: &[u8] = b"HTTP/1.1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between requests, after this many newline bytes.
    Between(u8),
    /// Before a request line, on a new connection or after more newline bytes than are free.
    Blank,
    RequestLine(RequestLine),
    /// At the first byte of a field line, a continuation line or the final empty line.
    LineStart,
    LineCr,
    Name,
    /// After the first byte of a continuation line.
    Fold,
    Value,
    /// In an invalid line.
    BadLine,
    Body(u64),
    ChunkStart,
    ChunkSize(u64),
    ChunkExtension(u64),
    ChunkData(u64),
    ChunkDataEnd,
    ChunkDataLine,
    /// After the last chunk, with the part of an empty line that the latest bytes form.
    Trailers(LineEnd),
    Tunnel,
    Refused,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    None,
    Lf,
    LfCr,
}

/// The words of a request line so far. A word is a run of bytes above the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RequestLine {
    words: u8,
    in_word: bool,
    /// The number of bytes of `CONNECT` that match, while all of the method's bytes do.
    connect: Option<u8>,
    /// The number of bytes of the version that match, while all do.
    version: Option<u8>,
    token: bool,
    target: Target,
}

/// The form of a request's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// No byte yet.
    None,
    /// A path, `*`, or an absolute URL up to the slashes after its scheme.
    Good,
    /// A scheme, with the number of bytes of `:/` after it.
    Scheme(u8),
    Bad,
}

/// The state of an HTTP/1 connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Http1 {
    state: State,
    field: Field,
    framing: Framing,
}

impl Http1 {
    /// Creates the state of a new connection.
    pub(super) const fn new() -> Self {
        Self { state: State::Blank, field: Field::NONE, framing: Framing::NONE }
    }

    /// Creates the state between two requests.
    pub(super) const fn between() -> Self {
        Self { state: State::Between(0), ..Self::new() }
    }

    /// Creates the state of a connection that cannot be followed.
    pub(super) const fn lost() -> Self {
        Self { state: State::Lost, ..Self::new() }
    }

    pub(super) const fn is_between(&self) -> bool {
        matches!(self.state, State::Between(_))
    }

    pub(super) const fn is_tunnel(&self) -> bool {
        matches!(self.state, State::Tunnel)
    }

    /// Returns true if Envoy has answered by an error and closes the connection.
    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused)
    }

    /// Returns true if further bytes have no effect.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self.state, State::Tunnel | State::Refused | State::Lost)
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Between(_) | State::Body(_) | State::ChunkData(_) | State::Tunnel => Stage::Elsewhere,
            State::ChunkStart | State::ChunkDataEnd => Stage::Elsewhere,
            State::ChunkSize(_) | State::ChunkExtension(_) | State::ChunkDataLine => Stage::Frame,
            State::Trailers(_) | State::Refused | State::Lost => Stage::Frame,
            State::Blank | State::RequestLine(_) | State::LineStart | State::LineCr => Stage::Head,
            State::Name | State::Fold | State::Value | State::BadLine => Stage::Head,
        }
    }

    /// Returns the number of next bytes that need not be seen.
    pub(super) const fn skippable(&self) -> u64 {
        match self.state {
            State::Body(left) | State::ChunkData(left) => left,
            _ => 0,
        }
    }

    /// Skips `count` of the bytes that need not be seen.
    pub(super) fn skip(&mut self, count: u64) {
        self.state = match self.state {
            State::Body(left) => match left.saturating_sub(count) {
                0 => State::Between(0),
                left => State::Body(left),
            },
            State::ChunkData(left) => match left.saturating_sub(count) {
                0 => State::ChunkDataEnd,
                left => State::ChunkData(left),
            },
            other => other,
        };
    }

    /// Takes bytes up to the next change of stage, or a single one while nothing is in progress, and returns their
    /// number. It is 0 only if there are no bytes, further bytes have no effect, or the next ones can be skipped.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        let stage = self.stage();
        let mut used: usize = 0;
        while !self.is_final() && self.skippable() == 0 {
            used = used.saturating_add(self.uneventful(bytes.get(used..).unwrap_or_default()));
            let Some(byte) = bytes.get(used) else { break };
            self.state = self.step(*byte);
            used = used.saturating_add(1);
            if stage == Stage::Elsewhere || self.stage() != stage {
                break;
            }
        }
        used
    }

    /// Returns the number of `bytes` before the next one that this state reacts to.
    fn uneventful(&self, bytes: &[u8]) -> usize {
        let event = match self.state {
            State::Value if self.field.is_other() => bytes.iter().position(|b| *b == b'\n'),
            State::BadLine | State::ChunkExtension(_) | State::ChunkDataLine => {
                bytes.iter().position(|b| *b == b'\n')
            }
            State::Name if self.field.is_no_name() => bytes.iter().position(|b| *b <= b' ' || *b == b':'),
            State::RequestLine(line) if line.in_target() => bytes.iter().position(|b| *b <= b' '),
            _ => return 0,
        };
        event.unwrap_or(bytes.len())
    }

    fn step(&mut self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Between(seen), b'\r' | b'\n') if seen < FREE_NEWLINES => {
                State::Between(seen.saturating_add(1))
            }
            (State::Between(_) | State::Blank, b'\r' | b'\n') => State::Blank,
            (State::Between(_) | State::Blank, _) => self.begin(byte),
            (State::RequestLine(line), b'\n') => self.request_line(line),
            (State::RequestLine(line), _) => State::RequestLine(line.with(byte)),

            (State::LineStart, b' ' | b'\t') => State::Fold,
            (State::LineStart, b'\n') | (State::LineCr, b'\n') => self.end_of_head(),
            (State::LineStart, b'\r') => State::LineCr,
            (State::LineCr, _) => self.bad(),
            (State::LineStart, b':') => State::Lost,
            (State::LineStart, _) => {
                self.framing.take(self.field);
                self.field = Field::name(byte);
                if byte < b' ' {
                    self.framing.refuse();
                }
                State::Name
            }
            (State::Name, b':') => {
                self.field = self.field.named();
                State::Value
            }
            (State::Name, b'\n') if self.field.name_is_one_byte() => State::Lost,
            (State::Name, b'\n') => {
                self.framing.refuse();
                State::LineStart
            }
            (State::Name, b'\0'..=b' ') => self.bad(),
            (State::Name, _) => {
                self.field.name_byte(byte);
                State::Name
            }
            (State::Fold, b'\n') => State::Lost,
            (State::Fold, _) if !self.field.is_some() => self.bad(),
            (State::Fold, _) => {
                self.field.value_byte(b' ');
                self.value(byte)
            }
            (State::Value, _) => self.value(byte),
            (State::BadLine, b'\n') => State::LineStart,
            (State::BadLine, _) => State::BadLine,

            (State::ChunkStart, _) => match digit(byte) {
                Some(digit) => State::ChunkSize(digit),
                None => State::Refused,
            },
            (State::ChunkSize(size), b'\t' | b'\r' | b' ' | b';') => State::ChunkExtension(size),
            (State::ChunkSize(size) | State::ChunkExtension(size), b'\n') => match size {
                0 => State::Trailers(LineEnd::Lf),
                size => State::ChunkData(size),
            },
            (State::ChunkSize(size), _) => {
                let larger = digit(byte).and_then(|digit| size.checked_mul(16)?.checked_add(digit));
                larger.map_or(State::Refused, State::ChunkSize)
            }
            (State::ChunkExtension(size), _) => State::ChunkExtension(size),
            (State::ChunkDataEnd | State::ChunkDataLine, b'\n') => State::ChunkStart,
            (State::ChunkDataEnd | State::ChunkDataLine, _) => State::ChunkDataLine,

            (State::Trailers(LineEnd::Lf | LineEnd::LfCr), b'\n') => State::Between(0),
            (State::Trailers(LineEnd::None), b'\n') => State::Trailers(LineEnd::Lf),
            (State::Trailers(LineEnd::Lf), b'\r') => State::Trailers(LineEnd::LfCr),
            (State::Trailers(_), _) => State::Trailers(LineEnd::None),

            (State::Body(_) | State::ChunkData(_) | State::Tunnel | State::Refused | State::Lost, _) => {
                self.state
            }
        }
    }

    fn begin(&mut self, byte: u8) -> State {
        self.field = Field::NONE;
        self.framing = Framing::NONE;
        if is_token(byte) { State::RequestLine(RequestLine::NONE.with(byte)) } else { State::Refused }
    }

    fn request_line(&mut self, line: RequestLine) -> State {
        let connect = line.connect.is_some_and(|matched| usize::from(matched) == CONNECT.len());
        let version = line.version.is_some_and(|matched| usize::from(matched) == VERSION.len());
        match line.words {
            _ if !line.token => State::Refused,
            2.. if line.target != Target::Good && !connect => State::Refused,
            0 | 1 => State::Refused,
            2 if connect => State::Tunnel,
            2 => State::Between(0),
            _ if !version => State::Refused,
            _ => {
                self.framing.connect = connect;
                State::LineStart
            }
        }
    }

    fn bad(&mut self) -> State {
        self.framing.refuse();
        State::BadLine
    }

    fn value(&mut self, byte: u8) -> State {
        self.field.value_byte(byte);
        if byte == b'\n' { State::LineStart } else { State::Value }
    }

    fn end_of_head(&mut self) -> State {
        self.framing.take(self.field);
        self.field = Field::NONE;
        match core::mem::replace(&mut self.framing, Framing::NONE).body() {
            field::Body::None => State::Between(0),
            field::Body::Length(length) => State::Body(length),
            field::Body::Chunked => State::ChunkStart,
            field::Body::Tunnel => State::Tunnel,
            field::Body::Refused => State::Refused,
            field::Body::Lost => State::Lost,
        }
    }
}

impl RequestLine {
    const NONE: Self = Self {
        words: 0,
        in_word: false,
        connect: Some(0),
        version: Some(0),
        token: true,
        target: Target::None,
    };

    /// Returns true within a target whose form is decided.
    fn in_target(&self) -> bool {
        self.words == 2 && self.in_word && matches!(self.target, Target::Good | Target::Bad)
    }

    /// Adds a byte. A third word must be the version and the last word.
    fn with(mut self, byte: u8) -> Self {
        let blank = byte <= b' ';
        if !blank && !self.in_word {
            self.words = self.words.saturating_add(1);
        }
        self.in_word = !blank;
        match self.words {
            1 if !blank => {
                self.connect = self.connect.and_then(|at| matched(CONNECT, at, byte));
                self.token &= is_token(byte);
            }
            2 if !blank => self.target = self.target.with(byte),
            3 if !blank => {
                let digit = matches!(self.version, Some(5 | 7)) && byte.is_ascii_digit();
                let expected = if digit { b'1' } else { byte };
                self.version = self.version.and_then(|at| matched(VERSION, at, expected));
            }
            4.. => self.version = None,
            _ => {}
        }
        self
    }
}

impl Target {
    fn with(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Good, _) | (Self::None, b'/' | b'*') | (Self::Scheme(2), b'/') => Self::Good,
            (Self::None, _) if byte.is_ascii_alphabetic() => Self::Scheme(0),
            (Self::Scheme(0), b'+' | b'-' | b'.') => self,
            (Self::Scheme(0), _) if byte.is_ascii_alphanumeric() => self,
            (Self::Scheme(0), b':') => Self::Scheme(1),
            (Self::Scheme(1), b'/') => Self::Scheme(2),
            _ => Self::Bad,
        }
    }
}

/// Advances in `word` if `byte` is the next one.
fn matched(word: &[u8], at: u8, byte: u8) -> Option<u8> {
    (word.get(usize::from(at)) == Some(&byte)).then(|| at.saturating_add(1))
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests;
