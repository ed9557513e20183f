//! Judges the headers of a request. Rules are checked in order; the first enforced rule that is broken refuses the
//! request, and broken shadow rules before it are reported.
//!
//! The size of a header is its name plus its value. Pseudo-headers and `host`, which is one in HTTP/2, do not count,
//! but limits on values apply to them. Headers that Envoy adds break no limit on number or size.
//!
//! Before a filter sees them, Envoy joins repeated `host` (in HTTP/1; in HTTP/2 it keeps only `:authority`),
//! `authorization` and `content-type` with a comma. These therefore count as repeated if they contain a comma that
//! neither quotes nor the parameters of one credential explain. Envoy itself refuses two `content-length`.

use crate::pattern::Pattern;

/// The longest value that Envoy adds, in bytes. A longer one comes from a client.
const LONGEST_ADDED: usize = 64;

/// A check and its mode.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The check that a request must pass.
    pub check: Check,
    /// True if a breach is only reported.
    pub shadow: bool,
}

/// A check on headers. Names are in lower case; [`HOST`] stands for the host.
#[derive(Clone, Debug)]
pub enum Check {
    /// The maximum number of headers.
    Count(usize),
    /// The maximum size of all names and values together, in bytes.
    Total(usize),
    /// The maximum size of a value, except in fields with a limit of their own.
    Value {
        /// The limit in bytes.
        max: usize,
        /// The fields with limits of their own.
        except: Vec<Vec<u8>>,
    },
    /// The maximum size of a value in one field.
    Field {
        /// The field's name.
        name: Vec<u8>,
        /// The limit in bytes.
        max: usize,
    },
    /// Names that may occur only once.
    Repeated(Vec<Vec<u8>>),
    /// A value must not contain control bytes other than tabs.
    ControlByte,
    /// A value of this header must not match a pattern.
    Match {
        /// The header's name.
        name: Vec<u8>,
        /// The forbidden pattern.
        pattern: Pattern,
    },
}

/// The name of `host` and `:authority` in rules.
pub const HOST: &[u8] = b"host";

/// The outcome of all rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The first enforced rule that is broken; the request is refused for it.
    pub refusal: Option<Breach<'a>>,
    /// The indices of the broken shadow rules before it.
    pub shadowed: Vec<usize>,
}

/// A broken rule and its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach<'a> {
    /// The index of the rule.
    pub rule: usize,
    /// The cause of the breach.
    pub found: Found<'a>,
}

/// The cause of a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// The number of headers.
    Count(usize),
    /// The size of all names and values together, in bytes.
    Total(usize),
    /// An oversized value.
    Value {
        /// The field's name.
        name: &'a [u8],
        /// The size of the value in bytes.
        size: usize,
    },
    /// A name that occurs twice.
    Repeated(&'a [u8]),
    /// A value with a control byte.
    ControlByte {
        /// The field's name.
        name: &'a [u8],
        /// The first such byte of the value.
        byte: u8,
    },
    /// A value of this header that matches.
    Match(&'a [u8]),
}

/// Rules in the order in which they are checked.
#[derive(Clone, Debug)]
pub struct Rules {
    list: Vec<Rule>,
    singletons: u64,
}

impl Rules {
    /// Keeps the order of `list`.
    pub fn new(list: Vec<Rule>) -> Self {
        let singletons = list.iter().fold(0, |bits, rule| match &rule.check {
            Check::Repeated(names) => names.iter().fold(bits, |bits, name| bits | name_bit(name)),
            _ => bits,
        });
        Self { list, singletons }
    }

    /// Returns the rules in order.
    pub fn list(&self) -> &[Rule] {
        &self.list
    }

    /// Checks a request against all rules. One cheap pass over the fields decides which rules need a closer look.
    pub fn judge<'a, I>(&self, fields: impl Fn() -> I) -> Verdict<'a>
    where
        I: Iterator<Item = (&'a [u8], &'a [u8])>,
    {
        let mut glance = Glance::default();
        for (name, value) in fields() {
            glance.take(name, value, self.singletons);
        }
        let fields = || fields().map(|(name, value)| Field::new(name, value));
        let mut verdict = Verdict::default();
        for (rule, Rule { check, shadow }) in self.list.iter().enumerate() {
            let found = if glance.suspects(check) { check.breach(fields) } else { None };
            match found {
                Some(_) if *shadow => verdict.shadowed.push(rule),
                Some(found) => {
                    verdict.refusal = Some(Breach { rule, found });
                    break;
                }
                None => {}
            }
        }
        verdict
    }
}

/// Cheap upper bounds over all fields: they may exceed what is there but never fall below it.
#[derive(Default)]
struct Glance {
    count: usize,
    total: usize,
    longest: usize,
    control: bool,
    names: u64,
    repeated: bool,
}

impl Glance {
    fn take(&mut self, name: &[u8], value: &[u8], singletons: u64) {
        self.count = self.count.saturating_add(1);
        self.total = self.total.saturating_add(name.len()).saturating_add(value.len());
        self.longest = self.longest.max(value.len());
        self.control |= may_hold_control_byte(value);
        let bit = name_bit(name);
        if singletons & bit != 0 {
            self.repeated |= self.names & bit != 0 || value.contains(&b',');
        }
        self.names |= bit;
    }

    fn suspects(&self, check: &Check) -> bool {
        match check {
            Check::Count(max) => self.count > *max,
            Check::Total(max) => self.total > *max,
            Check::Value { max, .. } | Check::Field { max, .. } => self.longest > *max,
            Check::Repeated(_) => self.repeated,
            Check::ControlByte => self.control,
            Check::Match { name, .. } => self.names & name_bit(name) != 0,
        }
    }
}

impl Check {
    fn breach<'a, I: Iterator<Item = Field<'a>>>(&self, fields: impl Fn() -> I) -> Option<Found<'a>> {
        let counted = || fields().filter(Field::counts);
        match self {
            Self::Count(max) => Some(counted().count()).filter(|count| count > max).map(Found::Count),
            Self::Total(max) => {
                let total = counted().map(|field| field.size()).fold(0, usize::saturating_add);
                (total > *max).then_some(Found::Total(total))
            }
            Self::Value { max, except } => fields()
                .filter(|field| field.value.len() > *max && !field.is_added())
                .find(|field| !except.iter().any(|name| name == field.name))
                .map(Field::measured),
            Self::Field { name, max } => {
                fields().find(|field| field.name == name && field.value.len() > *max).map(Field::measured)
            }
            Self::Repeated(names) => names.iter().find_map(|name| {
                let mut named = fields().filter(|field| field.name == name);
                let first = named.next()?;
                (first.is_joined() || named.next().is_some()).then_some(Found::Repeated(first.name))
            }),
            Self::ControlByte => fields().find_map(Field::control_byte),
            Self::Match { name, pattern } => fields()
                .find(|field| field.name == name && pattern.matches(field.value))
                .map(|field| Found::Match(field.name)),
        }
    }
}

struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Field<'a> {
    fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        Self { name: known_name(name), value }
    }

    fn is_added(&self) -> bool {
        self.value.len() <= LONGEST_ADDED
            && matches!(
                self.name,
                b"x-forwarded-for"
                    | b"x-forwarded-proto"
                    | b"x-request-id"
                    | b"x-envoy-internal"
                    | b"x-envoy-external-address"
            )
    }

    fn counts(&self) -> bool {
        !self.is_added() && self.name != HOST && !self.name.starts_with(b":")
    }

    const fn size(&self) -> usize {
        self.name.len().saturating_add(self.value.len())
    }

    const fn measured(self) -> Found<'a> {
        Found::Value { name: self.name, size: self.value.len() }
    }

    fn control_byte(self) -> Option<Found<'a>> {
        let byte = self.value.iter().copied().find(|byte| byte.is_ascii_control() && *byte != b'\t')?;
        Some(Found::ControlByte { name: self.name, byte })
    }

    fn is_joined(&self) -> bool {
        self.value.contains(&b',')
            && match self.name {
                HOST | b"content-length" => true,
                b"content-type" => elements(self.value).nth(1).is_some(),
                b"authorization" => !is_one_credential(self.value),
                _ => false,
            }
    }
}

fn known_name(name: &[u8]) -> &[u8] {
    if name == b":authority" { HOST } else { name }
}

/// Returns one of 64 bits for a name. No usual header shares the bit of a default singleton.
fn name_bit(name: &[u8]) -> u64 {
    let name = known_name(name);
    let (first, last) = (name.first().copied().unwrap_or(0), name.last().copied().unwrap_or(0));
    let place = u32::from(first).wrapping_add(u32::from(last).wrapping_mul(7));
    1_u64.rotate_left(u32::try_from(name.len()).unwrap_or(0).wrapping_add(place) & 63)
}

fn may_hold_control_byte(value: &[u8]) -> bool {
    let suspect = |word: &[u8; 8]| may_hold_control(u64::from_le_bytes(*word));
    match value.last_chunk() {
        Some(last) => suspect(last) || value.as_chunks().0.iter().any(suspect),
        None => value.iter().any(u8::is_ascii_control),
    }
}

/// Returns true if one of eight bytes is a control byte, tabs included: below a space, or DEL.
const fn may_hold_control(bytes: u64) -> bool {
    const ALL: u64 = u64::from_le_bytes([1; 8]);
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    const DELS: u64 = u64::from_le_bytes([0x7f; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let below_space = bytes.wrapping_sub(SPACES) & !bytes;
    let del = (bytes ^ DELS).wrapping_sub(ALL) & !(bytes ^ DELS);
    (below_space | del) & HIGH != 0
}

/// Splits `value` at commas outside quotes. A quote that is never closed does not count as one.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quotes = Quotes::default();
    let unclosed = value.iter().fold(false, |_, byte| quotes.cover(*byte));
    let mut quotes = Quotes::default();
    value.split(move |byte| {
        let covered = quotes.cover(*byte);
        *byte == b',' && (unclosed || !covered)
    })
}

#[derive(Default)]
struct Quotes {
    open: bool,
    escape: bool,
}

impl Quotes {
    fn cover(&mut self, byte: u8) -> bool {
        let escaped = core::mem::take(&mut self.escape);
        match byte {
            b'\\' => self.escape = self.open && !escaped,
            b'"' => self.open ^= !escaped,
            _ => {}
        }
        self.open
    }
}

/// Returns true if `value` is a scheme followed only by parameters `name=value`.
fn is_one_credential(value: &[u8]) -> bool {
    let scheme = value.iter().take_while(|byte| **byte != b' ').count();
    let parameters = value.get(scheme..).unwrap_or_default();
    !parameters.is_empty() && elements(parameters).all(|element| is_parameter(element.trim_ascii()))
}

fn is_parameter(element: &[u8]) -> bool {
    let name = element.iter().take_while(|byte| !b" =\"".contains(byte)).count();
    match element.get(name..) {
        Some([b'=', value, ..]) => name > 0 && *value != b'=',
        _ => false,
    }
}

#[cfg(test)]
mod tests;
