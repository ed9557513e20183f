//! A plain model of Envoy's HTTP/1 side. Like its parser, it works on whole lines and whole messages, each time from
//! the message's first byte. It stops reading while a response is pending, and shows the rest of its buffer again.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// No message, or only one empty line.
    Nothing,
    Head,
    Body,
}

enum Message {
    Partial(Inside),
    Complete(usize),
    Tunnel,
    Refused,
}

#[derive(Clone, Debug)]
pub struct Envoy {
    /// The current message so far.
    message: Vec<u8>,
    /// The chunk boundaries in the message.
    cuts: Vec<usize>,
    /// Bytes that were shown but not consumed.
    left: Vec<u8>,
    /// Bytes that the client sent while reading is paused.
    unread: Vec<u8>,
    waiting: bool,
    waits: Vec<bool>,
    passed_an_end: bool,
    fresh: bool,
    over: bool,
    inside: Inside,
}

impl Envoy {
    /// Creates the model. `waits` has true for each request in turn whose response is pending for a while.
    pub fn new(waits: Vec<bool>) -> Self {
        Self {
            message: Vec::new(),
            cuts: Vec::new(),
            left: Vec::new(),
            unread: Vec::new(),
            waiting: false,
            waits,
            passed_an_end: false,
            fresh: true,
            over: false,
            inside: Inside::Head,
        }
    }

    pub fn inside(&self) -> Inside {
        if self.waiting { Inside::Nothing } else { self.inside }
    }

    /// Returns true if the latest read contained the end of a request.
    pub fn passed_an_end(&self) -> bool {
        self.passed_an_end
    }

    /// Returns true if the connection is a tunnel or closed.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Returns true while a response is pending and reading is paused.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    pub fn read(&mut self, bytes: &[u8], show: impl FnOnce(&[u8])) {
        self.unread.extend(bytes);
        if !self.waiting && !self.over {
            self.pull(show);
        }
    }

    /// Sends the pending response and resumes reading. Returns false if no response is pending.
    pub fn answer(&mut self, show: impl FnOnce(&[u8])) -> bool {
        let waited = core::mem::take(&mut self.waiting);
        self.passed_an_end = false;
        if waited && !(self.left.is_empty() && self.unread.is_empty()) {
            self.pull(show);
        }
        waited
    }

    fn pull(&mut self, show: impl FnOnce(&[u8])) {
        self.left.append(&mut self.unread);
        show(&self.left);
        self.passed_an_end = false;
        let mut shown = core::mem::take(&mut self.left);
        while !shown.is_empty() && !self.over {
            let before = self.message.len();
            self.message.extend(&shown);
            match message(&self.message, &self.cuts, self.fresh) {
                Message::Partial(inside) => {
                    self.cuts.push(self.message.len());
                    self.inside = inside;
                    return;
                }
                Message::Tunnel | Message::Refused => self.over = true,
                Message::Complete(length) => {
                    shown.drain(..length - before);
                    self.message.clear();
                    self.cuts.clear();
                    self.passed_an_end = true;
                    self.fresh = false;
                    self.inside = Inside::Nothing;
                    self.waits.rotate_left(1);
                    if self.waits[0] {
                        self.waiting = true;
                        self.left = shown;
                        return;
                    }
                }
            }
        }
    }
}

fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| *b > b' ').unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| *b > b' ').map_or(start, |last| last + 1);
    &bytes[start..end]
}

fn token(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

fn line(bytes: &[u8], from: usize) -> Option<&[u8]> {
    let length = bytes[from..].iter().position(|b| *b == b'\n')? + 1;
    Some(&bytes[from..from + length])
}

fn message(bytes: &[u8], cuts: &[usize], fresh: bool) -> Message {
    use Message::{Complete, Partial, Refused, Tunnel};
    let Some(start) = bytes.iter().position(|b| !b"\r\n".contains(b)) else {
        return Partial(if bytes.len() <= 2 && !fresh { Inside::Nothing } else { Inside::Head });
    };
    if !b"ABCDGHLMNOPRSTU".contains(&bytes[start]) {
        return Refused;
    }
    let Some(first) = line(bytes, start) else { return Partial(Inside::Head) };
    let words: Vec<&[u8]> = first.split(|b| *b <= b' ').filter(|word| !word.is_empty()).collect();
    let version = words.get(2).is_none_or(|v| {
        v.len() == 8
            && v.starts_with(b"HTTP/")
            && v[5].is_ascii_digit()
            && v[6] == b'.'
            && v[7].is_ascii_digit()
    });
    if words.len() < 2 || words.len() > 3 || !token(words[0]) || !version {
        return Refused;
    }
    let connect = words[0] == b"CONNECT";
    let url = core::str::from_utf8(words[1]).unwrap_or_default();
    let scheme = url.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if !connect && !url.starts_with(['/', '*']) && !scheme {
        return Refused;
    }
    let mut at = start + first.len();
    if words.len() == 2 {
        return if connect { Tunnel } else { Complete(at) };
    }
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut bad = false;
    loop {
        let Some(next) = line(bytes, at) else { return Partial(Inside::Head) };
        let feed = at + next.len() - 1;
        let slice = cuts.iter().copied().filter(|cut| *cut <= feed).max().unwrap_or(0);
        let cut_after_cr = slice > start && bytes[slice - 1] == b'\r';
        at += next.len();
        if next.len() == 1 || next.len() == 2 && (next[0] == b'\r' || cut_after_cr) {
            break;
        }
        match (next[0], lines.last_mut()) {
            (b' ' | b'\t', Some(last)) => last.extend(next),
            (b'\0'..=b' ', _) => bad = true,
            _ => lines.push(next.to_vec()),
        }
    }
    if bad || bytes[start..at].iter().any(|b| matches!(b, 0..=8 | 11 | 12 | 14..=31 | 127)) {
        return Refused;
    }
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for line in &lines {
        let Some(colon) = line.iter().position(|b| *b == b':') else { return Refused };
        if colon == 0 || !token(&line[..colon]) {
            return Refused;
        }
        fields.push((line[..colon].to_ascii_lowercase(), trim(&line[colon + 1..]).to_vec()));
    }
    let all = |name: &str| -> Vec<&Vec<u8>> {
        fields.iter().filter(|(field, _)| field == name.as_bytes()).map(|(_, value)| value).collect()
    };
    let joined = |name: &str| {
        let values = all(name)
            .into_iter()
            .map(|value| value.iter().copied().filter(|b| !b"\r\n".contains(b)).collect());
        let values: Vec<Vec<u8>> = values.filter(|value: &Vec<u8>| !value.is_empty()).collect();
        values.join(&b',').to_ascii_lowercase()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    if lengths.len() > 1 || !codings.is_empty() && joined("transfer-encoding") != b"chunked" {
        return Refused;
    }
    let connection = joined("connection");
    let upgrade = connection.split(|b| *b == b',').any(|token| trim(token) == b"upgrade");
    if connect || upgrade && !all("upgrade").is_empty() && joined("upgrade") != b"h2c" {
        return Tunnel;
    }
    if codings.last().is_some_and(|value| value.eq_ignore_ascii_case(b"chunked")) {
        return chunks(bytes, at);
    }
    let Some(length) = lengths.first() else { return Complete(at) };
    let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    match core::str::from_utf8(length).ok().filter(|_| digits).and_then(|length| length.parse::<usize>().ok())
    {
        None => Refused,
        Some(length) if bytes.len() - at < length => Partial(Inside::Body),
        Some(length) => Complete(at + length),
    }
}

fn chunks(bytes: &[u8], mut at: usize) -> Message {
    loop {
        let digits = bytes[at..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
        match bytes.get(at + digits) {
            None => return Message::Partial(Inside::Body),
            Some(next) if digits == 0 || !b"\t\n\r ;".contains(next) => return Message::Refused,
            Some(_) => {}
        }
        let size = core::str::from_utf8(&bytes[at..at + digits]).unwrap();
        let Ok(size) = usize::from_str_radix(size, 16) else { return Message::Refused };
        let Some(extension) = line(bytes, at) else { return Message::Partial(Inside::Body) };
        at += extension.len();
        if size == 0 {
            break;
        }
        if bytes.len() - at < size {
            return Message::Partial(Inside::Body);
        }
        at += size;
        let Some(stray) = line(bytes, at) else { return Message::Partial(Inside::Body) };
        at += stray.len();
    }
    let end =
        |end: &usize| bytes[at - 1..*end].ends_with(b"\n\n") || bytes[at - 1..*end].ends_with(b"\n\r\n");
    match (at + 1..=bytes.len()).find(end) {
        Some(end) => Message::Complete(end),
        None => Message::Partial(Inside::Body),
    }
}
