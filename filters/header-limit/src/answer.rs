//! The response to a refused request: which rule it broke, the rule's limit and what was found, never a header's
//! value. It tells the client not to retry the same request, since no wait would help.

use crate::config::Answer;
use core::fmt::{self, Display, Formatter};
use tidegate_host::reply::{ErrorObject, Reply};
use tidegate_policy::headers::{Check, Found};

const LONGEST_NAME: usize = 64;

/// Returns the response to a request that broke the rule of `check` with what was `found`.
pub fn refusal(answer: &Answer, check: &Check, found: &Found<'_>) -> Reply {
    let Answer { label, status } = answer;
    let error = ErrorObject {
        message: &format!("Header rule '{label}' refuses this request: {}", Reason(check, found)),
        kind: "invalid_request_error",
        code: code(found),
        param: None,
    };
    Reply::error(*status, error, format!("tidegate.header_limit.{label}")).never_retry()
}

const fn code(found: &Found<'_>) -> &'static str {
    match found {
        Found::Count(_) => "too_many_headers",
        Found::Total(_) => "headers_too_large",
        Found::Value { .. } => "header_value_too_large",
        Found::Repeated(_) => "duplicate_header",
        Found::ControlByte { .. } => "control_bytes_in_header",
        Found::Match(_) => "header_denied",
    }
}

struct Reason<'a>(&'a Check, &'a Found<'a>);

impl Display for Reason<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(check, found) = self;
        match found {
            Found::Count(count) => write!(f, "it has {count} headers")?,
            Found::Total(total) => write!(f, "its headers are {total} bytes long")?,
            Found::Value { name, size } => write!(f, "the value of {} is {size} bytes long", Name(name))?,
            Found::Repeated(name) => write!(f, "{} occurs more than once", Name(name))?,
            Found::ControlByte { name, byte } => {
                write!(f, "the value of {} holds the control byte 0x{byte:02x}", Name(name))?;
            }
            Found::Match(name) => write!(f, "the value of {} is denied", Name(name))?,
        }
        match check {
            Check::Count(max) => write!(f, ", at most {max} are accepted."),
            Check::Total(max) | Check::Value { max, .. } | Check::Field { max, .. } => {
                write!(f, ", at most {max} are accepted.")
            }
            Check::Repeated(_) | Check::ControlByte | Check::Match { .. } => f.write_str("."),
        }
    }
}

struct Name<'a>(&'a [u8]);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            Ok(name) if name.len() <= LONGEST_NAME => write!(f, "'{name}'"),
            _ => f.write_str("a header"),
        }
    }
}
