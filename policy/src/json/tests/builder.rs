//! Builds the value of a body from the lexer's events and checks every offset against the body.

use super::*;

/// An incomplete value.
pub(super) struct Builder<'a> {
    body: &'a [u8],
    open: Vec<(Value, Option<String>, u64)>,
    string: String,
    begin: u64,
    escapes: Vec<(char, Range<u64>)>,
    pub(super) value: Option<Value>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, open: vec![], string: String::new(), begin: 0, escapes: vec![], value: None }
    }

    fn slice(&self, range: Range<u64>) -> &'a [u8] {
        &self.body[range.start as usize..range.end as usize]
    }

    fn place(&mut self, value: Value, range: Range<u64>) {
        assert_eq!(serde_json::from_slice::<Value>(self.slice(range)).unwrap(), value);
        match self.open.last_mut() {
            None => assert_eq!(self.value.replace(value), None),
            Some((Value::Array(elements), _, _)) => elements.push(value),
            Some((Value::Object(members), key, _)) => {
                members.insert(key.take().unwrap(), value);
            }
            Some(_) => panic!("a scalar is open"),
        }
    }
}

impl Events for Builder<'_> {
    fn open(&mut self, container: Container, at: u64) {
        let value = match container {
            Container::Object => Value::Object(serde_json::Map::new()),
            Container::Array => Value::Array(vec![]),
        };
        self.open.push((value, None, at));
    }

    fn close(&mut self, container: Container, end: u64) {
        let (value, key, at) = self.open.pop().unwrap();
        assert_eq!(key, None);
        assert_eq!(value.is_object(), container == Container::Object);
        self.place(value, at..end);
    }

    fn string(&mut self, key: bool, at: u64) {
        let key_expected = matches!(self.open.last(), Some((Value::Object(_), None, _)));
        assert_eq!(key, key_expected);
        self.begin = at;
        self.string.clear();
    }

    fn raw(&mut self, text: &str, at: u64, plain: bool) {
        assert_eq!(self.slice(at..at + text.len() as u64), text.as_bytes());
        assert!(!plain || text.bytes().all(|byte| (0x20..0x7F).contains(&byte)));
        self.string.push_str(text);
    }

    fn escaped(&mut self, character: char, range: Range<u64>) {
        let quoted = [b"\"", self.slice(range.clone()), b"\""].concat();
        assert_eq!(serde_json::from_slice::<String>(&quoted).unwrap(), character.to_string());
        self.escapes.push((character, range));
    }

    fn decoded(&mut self, text: &str) {
        let mut escapes = self.escapes.drain(..).map(|escape| escape.0).peekable();
        for character in text.chars() {
            let is_escape = escapes.next_if_eq(&character).is_some();
            assert!(is_escape || matches!(character, ' '..='~'));
        }
        assert_eq!(escapes.next(), None);
        self.string.push_str(text);
    }

    fn string_end(&mut self, end: u64) {
        assert_eq!(self.escapes, []);
        let text = self.string.clone();
        match self.open.last_mut() {
            Some((Value::Object(_), key @ None, _)) => {
                *key = Some(text.clone());
                let written: String = serde_json::from_slice(self.slice(self.begin..end)).unwrap();
                assert_eq!(written, text);
            }
            _ => self.place(Value::String(text), self.begin..end),
        }
    }

    fn number(&mut self, at: u64) {
        self.begin = at;
        self.string.clear();
    }

    fn digits(&mut self, text: &str) {
        self.string.push_str(text);
    }

    fn number_end(&mut self, end: u64) {
        assert_eq!(self.slice(self.begin..end), self.string.as_bytes());
        // The number's magnitude exceeds that of a float.
        let value = serde_json::from_str(&self.string).unwrap_or(Value::Null);
        match self.open.last_mut() {
            Some((Value::Array(elements), _, _)) => elements.push(value),
            Some((Value::Object(members), key, _)) => {
                members.insert(key.take().unwrap(), value);
            }
            _ => self.value = Some(value),
        }
    }

    fn literal(&mut self, literal: Literal, range: Range<u64>) {
        let value = match literal {
            Literal::True => Value::Bool(true),
            Literal::False => Value::Bool(false),
            Literal::Null => Value::Null,
        };
        self.place(value, range);
    }
}
