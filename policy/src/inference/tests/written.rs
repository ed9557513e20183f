//! Writes a value in one of many equivalent spellings.

use super::Json;

/// Returns the JSON text. `style` selects the order of members (a `type` always first), white space and escapes.
pub(super) fn as_text(json: &Json, style: u64) -> String {
    let mut text = String::new();
    Style(style | 1).value(json, &mut text);
    text
}

struct Style(u64);

impl Style {
    fn pick(&mut self, choices: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % choices
    }

    fn space(&mut self, out: &mut String) {
        let space = ["", "", "", " ", "\n", " \t\r\n "][self.pick(6) as usize];
        out.push_str(space);
    }

    fn value(&mut self, json: &Json, out: &mut String) {
        self.space(out);
        match json {
            Json::String(text) => self.string(text, out),
            Json::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    self.value(element, out);
                }
                self.space(out);
                out.push(']');
            }
            Json::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(key, _)| if *key == "type" { 0 } else { 1 + self.pick(1 << 40) });
                out.push('{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    self.space(out);
                    self.string(key, out);
                    self.space(out);
                    out.push(':');
                    self.value(value, out);
                }
                self.space(out);
                out.push('}');
            }
            scalar => *out += &scalar.to_string(),
        }
        self.space(out);
    }

    fn string(&mut self, text: &str, out: &mut String) {
        let often = [1, 4, 1_000_000][self.pick(3) as usize];
        out.push('"');
        for character in text.chars() {
            let must = matches!(character, '"' | '\\' | ..='\u{1F}');
            match character {
                '\n' if self.pick(2) == 0 => out.push_str(r"\n"),
                '"' | '\\' if self.pick(2) == 0 => out.extend(['\\', character]),
                '/' if self.pick(2) == 0 => out.push_str(r"\/"),
                _ if must || self.pick(often) == 0 => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let digits = format!("{unit:04x}");
                        let upper = self.pick(2) == 0;
                        *out += &format!("\\u{}", if upper { digits.to_uppercase() } else { digits });
                    }
                }
                _ => out.push(character),
            }
        }
        out.push('"');
    }
}
