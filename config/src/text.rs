//! Texts of a certain kind: names of rules, headers, methods and models, and paths. A value of such a type is valid.

use core::fmt;
use core::marker::PhantomData;
use serde::de::{Deserialize, Deserializer, Error};
use tidegate_policy::path::is_canonical;

/// The name of a rule, which appears in metrics, responses and the access log.
pub type RuleName = Text<Rule>;

/// The name of a header.
pub type HeaderName = Text<Header>;

/// The name of a header, or one of the pseudo-headers `:authority`, `:path` and `:method`.
pub type FieldName = Text<Field>;

/// A method in capitals.
pub type Method = Text<Verb>;

/// A path or the prefix of one, in the canonical form.
pub type PathPrefix = Text<Path>;

/// The name of a model that can be part of a header.
pub type ModelName = Text<Model>;

/// A media type such as `multipart/form-data`.
pub type MediaType = Text<Media>;

/// A text of the kind `K`.
pub struct Text<K>(String, PhantomData<K>);

/// A kind of text.
pub trait Kind {
    /// The accepted form, such as `is a method in capitals such as POST`.
    const ACCEPTED: &'static str;
    /// A regular expression for the JSON Schema, which matches every accepted text.
    const PATTERN: &'static str;
    /// An accepted example.
    const EXAMPLE: &'static str;

    /// Returns true if the text is accepted.
    fn is(text: &str) -> bool;

    /// Describes a refused text in an error.
    fn found(text: &str) -> String {
        format!("{text:?}")
    }
}

/// The kind of a [`RuleName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {}

/// The kind of a [`HeaderName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {}

/// The kind of a [`FieldName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {}

/// The kind of a [`Method`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {}

/// The kind of a [`PathPrefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {}

/// The kind of a [`ModelName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {}

/// The kind of a [`MediaType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {}

impl Kind for Rule {
    const ACCEPTED: &'static str = "are 1 to 64 letters, digits, - and _";
    const PATTERN: &'static str = "^[A-Za-z0-9_-]{1,64}$";
    const EXAMPLE: &'static str = "per-client";

    fn is(text: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=64).contains(&text.len()) && text.bytes().all(plain)
    }
}

impl Kind for Header {
    const ACCEPTED: &'static str = "is a header name such as x-api-key";
    const PATTERN: &'static str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";
    const EXAMPLE: &'static str = "x-api-key";

    fn is(text: &str) -> bool {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(token)
    }

    fn found(text: &str) -> String {
        format!("{} characters", text.chars().count())
    }
}

impl Kind for Field {
    const ACCEPTED: &'static str = Header::ACCEPTED;
    const PATTERN: &'static str = "^([A-Za-z0-9!#$%&'*+.^_`|~-]+|:authority|:path|:method)$";
    const EXAMPLE: &'static str = "user-agent";

    fn is(text: &str) -> bool {
        matches!(text, ":authority" | ":path" | ":method") || Header::is(text)
    }

    fn found(text: &str) -> String {
        Header::found(text)
    }
}

impl Kind for Verb {
    const ACCEPTED: &'static str = "is a method in capitals such as POST";
    const PATTERN: &'static str = "^[A-Z-]+$";
    const EXAMPLE: &'static str = "POST";

    fn is(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
    }
}

impl Kind for Path {
    const ACCEPTED: &'static str = "is a path such as /v1/chat that starts with / and holds no %, ?, #, // or dot segment: requests are matched in that spelling";
    const PATTERN: &'static str = "^/[^%?#]*$";
    const EXAMPLE: &'static str = "/v1/chat";

    fn is(text: &str) -> bool {
        text.starts_with('/') && is_canonical(text.as_bytes())
    }
}

impl Kind for Model {
    const ACCEPTED: &'static str = "are 1 to 256 printable ASCII characters but \" ; and ,";
    const PATTERN: &'static str = r"^[!#-+\--:<-~]{1,256}$";
    const EXAMPLE: &'static str = "deepseek-r1";

    fn is(text: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\";,".contains(&byte);
        (1..=256).contains(&text.len()) && text.bytes().all(plain)
    }

    fn found(_: &str) -> String {
        "another".to_owned()
    }
}

impl Kind for Media {
    const ACCEPTED: &'static str = "is a media type such as multipart/form-data";
    const PATTERN: &'static str = "^[^/]+/[^;/ ]+$";
    const EXAMPLE: &'static str = "multipart/form-data";

    fn is(text: &str) -> bool {
        let whole =
            |(kind, sub): (&str, &str)| !kind.is_empty() && !sub.is_empty() && !sub.contains([';', '/', ' ']);
        text.split_once('/').is_some_and(whole)
    }
}

impl<K> Text<K> {
    /// Returns the text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Converts the text into a string.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Converts the text into bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

impl<K: Kind> Text<K> {
    /// Creates a text, or `None` if it is not accepted.
    pub fn new(text: &str) -> Option<Self> {
        K::is(text).then(|| Self(text.to_owned(), PhantomData))
    }
}

impl HeaderName {
    /// Returns the name in the proxy's form: lower case, and `:authority` for `host`.
    pub fn in_lower_case(&self) -> Vec<u8> {
        lower(&self.0)
    }
}

impl FieldName {
    /// Returns the name in the proxy's form: lower case, and `:authority` for `host`.
    pub fn in_lower_case(&self) -> Vec<u8> {
        lower(&self.0)
    }
}

fn lower(name: &str) -> Vec<u8> {
    if name.eq_ignore_ascii_case("host") {
        b":authority".to_vec()
    } else {
        name.to_ascii_lowercase().into_bytes()
    }
}

impl<K> Clone for Text<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<K> PartialEq for Text<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K> Eq for Text<K> {}

impl<K> fmt::Debug for Text<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Text<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if K::is(&text) {
            return Ok(Self(text, PhantomData));
        }
        Err(D::Error::custom(format!("found {}, accepted {}", K::found(&text), K::ACCEPTED)))
    }
}

#[cfg(feature = "describe")]
impl<K> serde::Serialize for Text<K> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

#[cfg(feature = "describe")]
impl<K: Kind> schemars::JsonSchema for Text<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        core::any::type_name::<K>().into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": K::PATTERN, "examples": [K::EXAMPLE] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn error<K: Kind>(text: &str) -> String {
        parse::<Text<K>>(format!("{text:?}").as_bytes()).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_text_of_another_kind_is_refused_with_what_was_found_and_what_is_accepted() {
        assert_eq!(error::<Rule>("a b"), "found \"a b\", accepted are 1 to 64 letters, digits, - and _");
        assert_eq!(error::<Header>("a b"), "found 3 characters, accepted is a header name such as x-api-key");
        assert!(error::<Field>(":status").contains("a header name"));
        assert!(error::<Verb>("post").contains("POST") && error::<Media>("multipart").contains("form-data"));
        assert!(error::<Path>("/a/../b").contains("dot segment"));
        assert!(error::<Model>("a;b").starts_with("found another, accepted are 1 to 256"));
    }

    #[test]
    fn a_header_is_converted_to_the_form_of_the_proxy() {
        let name = |text| HeaderName::new(text).unwrap().in_lower_case();
        assert_eq!(["X-Key", "Host"].map(name), [b"x-key".to_vec(), b":authority".to_vec()]);
        assert_eq!(FieldName::new(":authority").unwrap().in_lower_case(), b":authority");
    }
}
