//! A client that sends any bytes over HTTP/1.1 and reads what comes back. It is no library's client since it
//! must be able to send what no library would.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header, as a number.
    pub fn number(&self, name: &str) -> u64 {
        let value = self.header(name).unwrap_or_else(|| panic!("no {name} in {self:?}"));
        value.parse().unwrap_or_else(|_| panic!("{name}: {value} is no number"))
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON in {self:?}"))
    }

    /// Whether the server is about to close the connection.
    pub fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    /// To `address`; panics if nobody listens there.
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// To `address`.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Sends a whole request and reads its answer.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request)?;
        self.receive()
    }

    /// Sends bytes, be they less or more than one request.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads until `text` is in what has come of the next answer, which stays unread.
    pub fn wait_for(&mut self, text: &[u8]) -> io::Result<()> {
        while !self.unread.windows(text.len()).any(|window| window == text) {
            self.fill()?;
        }
        Ok(())
    }

    /// Reads just so many bytes, which are no answer.
    pub fn receive_exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let missing = length.saturating_sub(self.unread.len());
        let mut bytes = vec![0; missing];
        self.stream.read_exact(&mut bytes)?;
        self.unread.extend(bytes);
        Ok(self.unread.drain(..length).collect())
    }

    /// Reads one answer.
    pub fn receive(&mut self) -> io::Result<Answer> {
        loop {
            if let Some((answer, length)) = parse(&self.unread)? {
                self.unread.drain(..length);
                return Ok(answer);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

/// A GET of `path` with these headers, as bytes.
pub fn get(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", path, headers, b"")
}

/// A POST of `body` to `path` with these headers, as bytes.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    request("POST", path, &[headers, &[("content-length", &length)]].concat(), body)
}

/// A request with any header values, as bytes.
pub fn raw(path: &str, headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = format!("GET {path} HTTP/1.1\r\nhost: test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend([*name, b": ", *value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

fn parse(bytes: &[u8]) -> io::Result<Option<(Answer, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head.parse(bytes).map_err(io::Error::other)?;
    let httparse::Status::Complete(head_length) = parsed else { return Ok(None) };
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|field| (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned()))
        .collect();
    let answer = Answer { status: head.code.unwrap_or(0), headers, body: Vec::new() };
    let body = &bytes[head_length..];
    if answer.header("transfer-encoding") == Some("chunked") {
        return Ok(unchunk(body).map(|(body, length)| (Answer { body, ..answer }, head_length + length)));
    }
    let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    Ok(body.get(..length).map(|body| (Answer { body: body.to_vec(), ..answer }, head_length + length)))
}

fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let httparse::Status::Complete((line, size)) = httparse::parse_chunk_size(&bytes[at..]).ok()? else {
            return None;
        };
        let size = usize::try_from(size).ok()?;
        at += line;
        body.extend(bytes.get(at..at + size)?);
        at += size + 2;
        if bytes.len() < at {
            return None;
        }
        if size == 0 {
            return Some((body, at));
        }
    }
}
