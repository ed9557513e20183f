//! What the headers of one request may be. Rules are asked in the order in which they stand; the first that is
//! enforced and broken refuses, those in shadow before it are only reported.
//!
//! A header's size is that of its name and value. Pseudo-headers do not count, nor `host`, which is one in HTTP/2,
//! but a limit on values holds for them too. What Envoy itself adds breaks no limit on number and size.
//!
//! Envoy joins two `host` (over HTTP/1; over HTTP/2 it drops what is beside `:authority`), two `authorization` and
//! two `content-type` with a comma before a filter sees them. So these also occur twice where a comma stands that
//! neither quotes nor the parameters of one credential explain. Two `content-length` it refuses itself.

use crate::pattern::Pattern;

/// Envoy's own additions are shorter; what is longer came from a client.
const LONGEST_ADDED: usize = 64;

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it forbids.
    pub check: Check,
    /// Whether it only reports.
    pub shadow: bool,
}

/// What a rule forbids. Names are in lower case, [`HOST`] for the host.
#[derive(Clone, Debug)]
pub enum Check {
    /// More headers than this.
    Count(usize),
    /// Longer names and values together than this.
    Total(usize),
    /// A longer value than this, in a field that is not named.
    Value {
        /// In bytes.
        max: usize,
        /// The fields that have limits of their own.
        except: Vec<Vec<u8>>,
    },
    /// A longer value than this in the field of this name.
    Field {
        /// The field's name.
        name: Vec<u8>,
        /// In bytes.
        max: usize,
    },
    /// One of these names twice.
    Repeated(Vec<Vec<u8>>),
    /// A control byte other than a tab in a value.
    ControlByte,
    /// A value of this header that matches.
    Match {
        /// The header's name.
        name: Vec<u8>,
        /// What must not match.
        pattern: Pattern,
    },
}

/// The name under which rules know `host` and `:authority`.
pub const HOST: &[u8] = b"host";

/// One header field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
    added: bool,
}

/// What the rules say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The first enforced rule that is broken.
    pub refusal: Option<Breach<'a>>,
    /// The places of the broken rules in shadow before it.
    pub shadowed: Vec<usize>,
}

/// A rule and what broke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach<'a> {
    /// The rule's place.
    pub rule: usize,
    /// What was found.
    pub found: Found<'a>,
}

/// What broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// So many headers.
    Count(usize),
    /// So many bytes of names and values.
    Total(usize),
    /// A value of so many bytes.
    Value {
        /// The field's name.
        name: &'a [u8],
        /// Bytes.
        size: usize,
    },
    /// A second field of this name.
    Repeated(&'a [u8]),
    /// A control byte.
    ControlByte {
        /// The field's name.
        name: &'a [u8],
        /// The byte.
        byte: u8,
    },
    /// A match.
    Match(&'a [u8]),
}

impl<'a> Field<'a> {
    /// As the proxy gives it.
    pub fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        let name = if name == b":authority" { HOST } else { name };
        let added = value.len() <= LONGEST_ADDED
            && matches!(
                name,
                b"x-forwarded-for"
                    | b"x-forwarded-proto"
                    | b"x-request-id"
                    | b"x-envoy-internal"
                    | b"x-envoy-external-address"
            );
        Self { name, value, added }
    }

    fn counts(&self) -> bool {
        !self.added && self.name != HOST && !self.name.starts_with(b":")
    }

    const fn size(&self) -> usize {
        self.name.len().saturating_add(self.value.len())
    }

    const fn measured(&self) -> Found<'a> {
        Found::Value { name: self.name, size: self.value.len() }
    }

    fn control_byte(&self) -> Option<Found<'a>> {
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

/// Asks `rules` about a request of these fields.
pub fn judge<'a>(rules: &[Rule], fields: &[Field<'a>]) -> Verdict<'a> {
    let mut verdict = Verdict::default();
    for (rule, Rule { check, shadow }) in rules.iter().enumerate() {
        match check.breach(fields) {
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

impl Check {
    fn breach<'a>(&self, fields: &[Field<'a>]) -> Option<Found<'a>> {
        let counted = || fields.iter().filter(|field| field.counts());
        match self {
            Self::Count(max) => Some(counted().count()).filter(|count| count > max).map(Found::Count),
            Self::Total(max) => Some(counted().map(Field::size).fold(0, usize::saturating_add))
                .filter(|total| total > max)
                .map(Found::Total),
            Self::Value { max, except } => fields
                .iter()
                .filter(|field| field.value.len() > *max && !field.added)
                .find(|field| !except.iter().any(|name| name == field.name))
                .map(Field::measured),
            Self::Field { name, max } => {
                all(fields, name).find(|field| field.value.len() > *max).map(Field::measured)
            }
            Self::Repeated(names) => names.iter().find_map(|name| repeated(fields, name)),
            Self::ControlByte => fields.iter().find_map(Field::control_byte),
            Self::Match { name, pattern } => all(fields, name)
                .find(|field| pattern.matches(field.value))
                .map(|field| Found::Match(field.name)),
        }
    }
}

fn all<'f, 'a>(fields: &'f [Field<'a>], name: &'f [u8]) -> impl Iterator<Item = &'f Field<'a>> {
    fields.iter().filter(move |field| field.name == name)
}

fn repeated<'a>(fields: &[Field<'a>], name: &[u8]) -> Option<Found<'a>> {
    let mut named = all(fields, name);
    let first = named.next()?;
    (first.is_joined() || named.next().is_some()).then_some(Found::Repeated(first.name))
}

/// The parts of `value` between commas outside quotes; quotes that never close are none.
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

/// Whether `value` is a scheme and nothing but parameters `name=value`.
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
