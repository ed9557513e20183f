//! Computes how often the innermost part of an expression may repeat. Nested repetitions multiply: a server that
//! compiles `((a{1,1000}){1,1000}){1,1000}` holds a billion copies of `a`. The text is read as a stream without a parse
//! tree: groups, classes and escapes are recognised, and anything but a counted repetition repeats once.
//!
//! Sources: the syntax of Python's `re` and Rust's `regex`, and of llama.cpp's GBNF, which count alike.

/// The deepest nesting of groups. Deeper groups are not kept apart.
const DEEPEST: usize = 32;
/// The most digits of a count.
const LONGEST: u8 = 9;

/// The state of an expression that is being read.
#[derive(Clone, Debug)]
pub(super) struct Repeats {
    state: State,
    /// For each open group, the highest repetition of a part.
    groups: [u64; DEEPEST],
    depth: usize,
    /// The repetition of the previous part, which a count would multiply.
    last: u64,
    /// The highest repetition in all expressions so far.
    most: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Part,
    Escape,
    Class,
    EscapeInClass,
    /// A count: the first of two numbers, the current one, and the digits of that.
    Count {
        first: u64,
        count: u64,
        digits: u8,
    },
}

impl Repeats {
    pub(super) const NONE: Self =
        Self { state: State::Part, groups: [1; DEEPEST], depth: 0, last: 1, most: 1 };

    /// Begins an expression.
    #[inline]
    pub(super) const fn begin(&mut self) {
        (self.state, self.depth, self.last) = (State::Part, 0, 1);
        self.groups = [1; DEEPEST];
    }

    /// Returns the highest repetition of a part in all expressions so far.
    pub(super) const fn most(&self) -> u64 {
        self.most
    }

    /// Reads the next piece of the expression.
    pub(super) fn feed(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
    }

    fn byte(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Escape, _) => State::Part,
            (State::EscapeInClass, _) => State::Class,
            (State::Class, b'\\') => State::EscapeInClass,
            (State::Class, b']') => State::Part,
            (State::Class, _) => State::Class,
            (State::Count { first, count, digits }, b'0'..=b'9') if digits < LONGEST => {
                let digit = u64::from(byte.wrapping_sub(b'0'));
                let count = count.saturating_mul(10).saturating_add(digit);
                State::Count { first, count, digits: digits.wrapping_add(1) }
            }
            (State::Count { count, .. }, b',') => State::Count { first: count, count: 0, digits: 0 },
            (State::Count { first, count, .. }, b'}') => {
                self.multiply(count.max(first).max(1));
                State::Part
            }
            (State::Count { .. } | State::Part, _) => self.part(byte),
        };
    }

    fn part(&mut self, byte: u8) -> State {
        match byte {
            b'{' => return State::Count { first: 0, count: 0, digits: 0 },
            b'(' => {
                self.depth = self.depth.saturating_add(1);
                self.set(1);
            }
            b')' => {
                let inner = self.groups.get(self.depth).copied().unwrap_or(1);
                self.depth = self.depth.saturating_sub(1);
                self.last = inner;
                self.note();
                return State::Part;
            }
            _ => {}
        }
        self.last = 1;
        match byte {
            b'\\' => State::Escape,
            b'[' => State::Class,
            _ => State::Part,
        }
    }

    fn multiply(&mut self, count: u64) {
        self.last = self.last.saturating_mul(count);
        self.note();
    }

    fn note(&mut self) {
        let most = self.groups.get(self.depth).copied().unwrap_or(1).max(self.last);
        self.set(most);
        self.most = self.most.max(most);
    }

    fn set(&mut self, repeats: u64) {
        if let Some(group) = self.groups.get_mut(self.depth) {
            *group = repeats;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(text: &str, size: usize) -> u64 {
        let mut repeats = Repeats::NONE;
        repeats.begin();
        text.as_bytes().chunks(size).for_each(|piece| repeats.feed(core::str::from_utf8(piece).unwrap()));
        repeats.most()
    }

    #[test]
    fn nested_repetitions_multiply_and_others_do_not() {
        for (text, repeated) in [
            ("((a{1,1000}){1,1000}){1,1000}", 1_000_000_000),
            ("(((a{9}b{5}){2}c{7}){3})", 54),
            (r"\d{4}-\d{2}-\d{2}", 4),
            ("a{3}{3}", 9),
            ("(a{3}|b{5}){2}", 10),
            ("(a{3})(b{5})", 5),
            (r"\(a{3}\){2}", 3),
            (r"[(a{99}]{2}", 2),
            (r"[\](]{6}x{2}", 6),
            ("a{2,}", 2),
            ("a{,7}", 7),
            (r#"{"a":{"b":1}}"#, 1),
            ("a{b}{3", 1),
            ("", 1),
            ("root ::= [a-z]{1,20} ws{2}", 20),
        ] {
            for size in [1, 2, 3, usize::MAX] {
                assert_eq!(most(text, size), repeated, "{text} in {size}");
            }
        }
        let deep = format!("{}a{{9}}{}", "(".repeat(40), "){9}".repeat(40));
        assert!(most(&deep, 7) > 1_000_000);
        assert_eq!(most(&"(a{999999999}){999999999}".repeat(9), 5), 999_999_999 * 999_999_999);
    }
}
