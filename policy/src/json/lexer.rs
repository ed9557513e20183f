//! The grammar outside strings and numbers: decides which byte may come next and what it begins or ends.

use super::number::Number;
use super::string::{self, Cut, Input};
use super::{Container, Events, Fault, Invalid, Literal};

/// Reads one JSON text that arrives in chunks.
///
/// ```
/// use core::ops::Range;
/// use tidegate_policy::json::{Container, Events, Fault, Lexer, Literal};
///
/// /// Collects the strings and ignores everything else.
/// #[derive(Default)]
/// struct Strings(Vec<String>);
///
/// impl Events for Strings {
///     fn string(&mut self, _key: bool, _at: u64) {
///         self.0.push(String::new());
///     }
///     fn raw(&mut self, text: &str, _at: u64, _plain: bool) {
///         self.0.last_mut().expect("begun").push_str(text);
///     }
///     fn decoded(&mut self, text: &str) {
///         self.0.last_mut().expect("begun").push_str(text);
///     }
///     fn open(&mut self, _: Container, _at: u64) {}
///     fn close(&mut self, _: Container, _end: u64) {}
///     fn escaped(&mut self, _: char, _: Range<u64>) {}
///     fn string_end(&mut self, _end: u64) {}
///     fn number(&mut self, _at: u64) {}
///     fn digits(&mut self, _: &str) {}
///     fn number_end(&mut self, _end: u64) {}
///     fn literal(&mut self, _: Literal, _: Range<u64>) {}
/// }
///
/// let (mut lexer, mut heard) = (Lexer::new(32), Strings::default());
/// // Chunk boundaries, even within an escape, do not change the text.
/// for chunk in [r#"{"content":"low ti"#, r"\u00", r#"64e"}"#] {
///     lexer.feed(chunk.as_bytes(), &mut heard).expect("so far it is JSON");
/// }
/// lexer.finish(&mut heard).expect("it is whole");
/// assert_eq!(heard.0, ["content", "low tide"]);
///
/// let unbalanced = Lexer::new(32).feed(b"[1, 2}", &mut heard).expect_err("no JSON");
/// assert_eq!((unbalanced.at, unbalanced.what), (5, Fault::Unexpected));
/// ```
#[derive(Clone, Debug)]
pub struct Lexer {
    state: State,
    /// The length of all chunks so far, in bytes.
    offset: u64,
    depth: u8,
    max_depth: u8,
    /// One bit per open container, set for an object; the innermost container is the lowest bit.
    objects: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    /// Within a byte-order mark, which servers skip; the byte expected next.
    Mark(u8),
    FirstElement,
    FirstKey,
    Key,
    Colon,
    AfterValue,
    String {
        key: bool,
        cut: Cut,
    },
    Number(Number),
    Literal {
        literal: Literal,
        rest: &'static [u8],
        at: u64,
    },
    Failed(Invalid),
}

impl Lexer {
    /// The largest value of `max_depth`.
    pub const DEEPEST: u8 = 128;

    /// Creates a lexer that accepts containers nested up to `max_depth`, 128 at most; 1 is a container of scalars.
    pub fn new(max_depth: u8) -> Self {
        let max_depth = max_depth.min(Self::DEEPEST);
        Self { state: State::Value, offset: 0, depth: 0, max_depth, objects: 0 }
    }

    /// Reads the next chunk. After an error, every call returns that error.
    pub fn feed(&mut self, chunk: &[u8], events: &mut impl Events) -> Result<(), Invalid> {
        let mut input = Input { rest: chunk, at: self.offset };
        while !input.rest.is_empty() {
            if let Err(invalid) = self.step(&mut input, events) {
                self.state = State::Failed(invalid);
                return Err(invalid);
            }
        }
        self.offset = input.at;
        Ok(())
    }

    /// Ends the body.
    pub fn finish(&mut self, events: &mut impl Events) -> Result<(), Invalid> {
        match self.state {
            State::Number(number) if number.is_complete() => {
                events.number_end(self.offset);
                self.state = State::AfterValue;
            }
            State::Failed(invalid) => return Err(invalid),
            _ => {}
        }
        let complete = self.depth == 0 && self.state == State::AfterValue;
        if complete { Ok(()) } else { Err(Invalid { at: self.offset, what: Fault::Incomplete }) }
    }

    #[inline]
    fn step(&mut self, input: &mut Input<'_>, events: &mut impl Events) -> Result<(), Invalid> {
        match self.state {
            State::String { key, mut cut } => {
                let ended = string::read(&mut cut, input, events)?;
                self.state = match ended {
                    false => State::String { key, cut },
                    true if key => State::Colon,
                    true => State::AfterValue,
                };
                if ended {
                    events.string_end(input.at);
                }
            }
            State::Number(number) => return self.number(number, input, events),
            State::Literal { literal, rest, at } => return self.literal(literal, rest, at, input, events),
            State::Failed(invalid) => return Err(invalid),
            _ => {
                let at = input.at;
                if let [byte] = input.take(1) {
                    let refused = |what| Invalid { at, what };
                    self.structure(*byte, at, events).map_err(refused)?;
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn structure(&mut self, byte: u8, at: u64, events: &mut impl Events) -> Result<(), Fault> {
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') && !matches!(self.state, State::Mark(_)) {
            return Ok(());
        }
        match (self.state, byte) {
            (State::Value, 0xEF) if at == 0 => self.state = State::Mark(0xBB),
            (State::Mark(0xBB), 0xBB) => self.state = State::Mark(0xBF),
            (State::Mark(0xBF), 0xBF) => self.state = State::Value,
            (State::Value | State::FirstElement, _) if self.value(byte, at, events)? => {}
            (State::FirstKey | State::Key, b'"') => self.string(true, at, events),
            (State::Colon, b':') => self.state = State::Value,
            (State::AfterValue, _) if self.depth == 0 => return Err(Fault::Trailing),
            (State::AfterValue, b',') if self.in_object() => self.state = State::Key,
            (State::AfterValue, b',') => self.state = State::Value,
            (State::AfterValue | State::FirstKey, b'}') if self.in_object() => {
                self.close(Container::Object, at, events);
            }
            (State::AfterValue | State::FirstElement, b']') if !self.in_object() => {
                self.close(Container::Array, at, events);
            }
            _ => return Err(Fault::Unexpected),
        }
        Ok(())
    }

    /// Returns true if `byte` begins a value, and begins it.
    #[inline]
    fn value(&mut self, byte: u8, at: u64, events: &mut impl Events) -> Result<bool, Fault> {
        match byte {
            b'"' => self.string(false, at, events),
            b'{' => self.open(Container::Object, at, events)?,
            b'[' => self.open(Container::Array, at, events)?,
            b't' => self.state = State::Literal { literal: Literal::True, rest: b"rue", at },
            b'f' => self.state = State::Literal { literal: Literal::False, rest: b"alse", at },
            b'n' => self.state = State::Literal { literal: Literal::Null, rest: b"ull", at },
            _ => {
                let Some(number) = Number::begin(byte) else { return Ok(false) };
                events.number(at);
                events.digits(core::str::from_utf8(&[byte]).unwrap_or_default());
                self.state = State::Number(number);
            }
        }
        Ok(true)
    }

    #[inline]
    fn string(&mut self, key: bool, at: u64, events: &mut impl Events) {
        events.string(key, at);
        self.state = State::String { key, cut: Cut::default() };
    }

    fn open(&mut self, container: Container, at: u64, events: &mut impl Events) -> Result<(), Fault> {
        if self.depth >= self.max_depth {
            return Err(Fault::TooDeep);
        }
        self.depth = self.depth.saturating_add(1);
        let (bit, state) = match container {
            Container::Object => (1, State::FirstKey),
            Container::Array => (0, State::FirstElement),
        };
        self.objects = self.objects.wrapping_shl(1) | bit;
        self.state = state;
        events.open(container, at);
        Ok(())
    }

    fn close(&mut self, container: Container, at: u64, events: &mut impl Events) {
        self.depth = self.depth.saturating_sub(1);
        self.objects = self.objects.wrapping_shr(1);
        self.state = State::AfterValue;
        events.close(container, at.wrapping_add(1));
    }

    const fn in_object(&self) -> bool {
        self.depth > 0 && self.objects & 1 == 1
    }

    fn number(
        &mut self,
        mut number: Number,
        input: &mut Input<'_>,
        events: &mut impl Events,
    ) -> Result<(), Invalid> {
        let mut length = 0_usize;
        for byte in input.rest {
            let Some(longer) = number.with(*byte) else { break };
            number = longer;
            length = length.wrapping_add(1);
        }
        let digits = input.take(length);
        if !digits.is_empty() {
            events.digits(core::str::from_utf8(digits).unwrap_or_default());
        }
        self.state = State::Number(number);
        if input.rest.is_empty() {
            return Ok(());
        }
        if !number.is_complete() {
            return Err(Invalid { at: input.at, what: Fault::Unexpected });
        }
        events.number_end(input.at);
        self.state = State::AfterValue;
        Ok(())
    }

    fn literal(
        &mut self,
        literal: Literal,
        rest: &'static [u8],
        at: u64,
        input: &mut Input<'_>,
        events: &mut impl Events,
    ) -> Result<(), Invalid> {
        let same = rest.iter().zip(input.rest).take_while(|(expected, found)| expected == found).count();
        input.take(same);
        let rest = rest.get(same..).unwrap_or_default();
        if rest.is_empty() {
            events.literal(literal, at..input.at);
            self.state = State::AfterValue;
        } else if input.rest.is_empty() {
            self.state = State::Literal { literal, rest, at };
        } else {
            return Err(Invalid { at: input.at, what: Fault::Unexpected });
        }
        Ok(())
    }
}
