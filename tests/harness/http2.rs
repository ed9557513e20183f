//! A client that sends any header fields over HTTP/2 and reads the status and body of what comes back. Like the
//! one of [`crate::http`] it is no library's, since it must be able to send what no library would: fields go out
//! as literals, in frames of the default size, one request to a connection, and [`Connection`] sends any frames.
//! Of HPACK it reads what a status needs: the static table, and digits in plain or Huffman-coded text.

use crate::http::Answer;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME: usize = 16_384;
const HEADER_TABLE_SIZE: [u8; 6] = [0, 1, 0, 0, 0, 0];

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame that came.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// One connection, on which any frames can be sent.
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// To `address`, with the preface and these settings sent.
    pub fn open(address: SocketAddr, settings: &[u8]) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat())?;
        Ok(Self { stream })
    }

    /// Sends bytes, be they frames or not.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one frame.
    pub fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Reads until a frame of this type comes.
    pub fn receive_one(&mut self, kind: u8) -> io::Result<Frame> {
        loop {
            let frame = self.receive()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }

    /// Reads until the server closes.
    pub fn wait_for_end(mut self) -> io::Result<()> {
        loop {
            match self.receive() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => return Ok(()),
                Ok(_) => {}
            }
        }
    }
}

/// The fields of a GET of `path`, followed by `headers`.
pub fn get<'a>(path: &'a [u8], headers: &[(&'a [u8], &'a [u8])]) -> Vec<(&'a [u8], &'a [u8])> {
    let pseudo: [(&[u8], &[u8]); 4] =
        [(b":method", b"GET"), (b":scheme", b"http"), (b":path", path), (b":authority", b"test")];
    pseudo.into_iter().chain(headers.iter().copied()).collect()
}

/// The fields of a POST to `path`.
pub fn post(path: &[u8]) -> Vec<(&[u8], &[u8])> {
    vec![(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"test")]
}

/// Sends a request of these fields on a new connection. An error if the stream or the connection is reset.
pub fn exchange(address: SocketAddr, fields: &[(&[u8], &[u8])]) -> io::Result<Answer> {
    send(address, &head(1, fields, END_STREAM))
}

/// As [`exchange`], with a body and trailers behind it; with neither of both, the request never ends.
pub fn exchange_with_trailers(
    address: SocketAddr,
    fields: &[(&[u8], &[u8])],
    body: &[u8],
    trailers: &[(&[u8], &[u8])],
) -> io::Result<Answer> {
    let mut request = head(1, fields, 0);
    if !body.is_empty() {
        request.extend(frame(DATA, 0, 1, body));
    }
    if !trailers.is_empty() {
        request.extend(head(1, trailers, END_STREAM));
    }
    send(address, &request)
}

/// As [`exchange`], with a body of any size behind it, sent as the server's windows allow.
pub fn upload(address: SocketAddr, fields: &[(&[u8], &[u8])], body: &[u8]) -> io::Result<Answer> {
    let mut connection = Connection::open(address, &HEADER_TABLE_SIZE)?;
    connection.send(&head(1, fields, 0))?;
    let (mut windows, mut initial) = ([65_535_i64; 2], 65_535_i64);
    let mut parts = body.chunks(FRAME).peekable();
    while let Some(part) = parts.peek() {
        let size = i64::try_from(part.len()).expect("a frame");
        if windows.iter().all(|window| *window >= size) {
            windows = windows.map(|window| window - size);
            connection.send(&frame(DATA, 0, 1, parts.next().expect("peeked")))?;
            continue;
        }
        let Frame { kind, flags, stream, payload } = connection.receive()?;
        match (kind, payload.as_slice()) {
            (WINDOW_UPDATE, [a, b, c, d]) => {
                windows[usize::from(stream != 0)] += i64::from(u32::from_be_bytes([*a, *b, *c, *d]));
            }
            (SETTINGS, settings) if flags & ACK == 0 => {
                for setting in settings.chunks(6).filter(|setting| setting[1] == 4) {
                    let said =
                        i64::from(u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]));
                    windows[1] += said - initial;
                    initial = said;
                }
                connection.send(&frame(SETTINGS, ACK, 0, &[]))?;
            }
            (HEADERS, block) => {
                let status = status(block).ok_or_else(|| io::Error::other("no status"))?;
                return Ok(Answer { status, headers: Vec::new(), body: Vec::new() });
            }
            (RST_STREAM | GOAWAY, _) => return Err(io::ErrorKind::ConnectionReset.into()),
            _ => {}
        }
    }
    connection.send(&frame(DATA, END_STREAM, 1, &[]))?;
    answer(&mut connection)
}

/// The preface and a header block that does not end: what a CONTINUATION would go on with.
pub fn open_head() -> Vec<u8> {
    let head = frame(HEADERS, END_STREAM, 1, &block(&get(b"/", &[])));
    [PREFACE, &frame(SETTINGS, 0, 0, &HEADER_TABLE_SIZE), &head].concat()
}

/// A part of a header block that does not end either.
pub fn continuation(block: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, 0, 1, block)
}

fn send(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut connection = Connection::open(address, &HEADER_TABLE_SIZE)?;
    connection.send(request)?;
    answer(&mut connection)
}

fn answer(connection: &mut Connection) -> io::Result<Answer> {
    let mut answer = Answer { status: 0, headers: Vec::new(), body: Vec::new() };
    loop {
        let Frame { kind, flags, payload, .. } = connection.receive()?;
        match kind {
            HEADERS => answer.status = status(&payload).ok_or_else(|| io::Error::other("no status"))?,
            DATA => answer.body.extend(payload),
            RST_STREAM | GOAWAY => return Err(io::ErrorKind::ConnectionReset.into()),
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            return Ok(answer);
        }
    }
}

/// The frames of a head of these fields.
pub fn head(stream: u32, fields: &[(&[u8], &[u8])], flags: u8) -> Vec<u8> {
    let mut request = Vec::new();
    let block = block(fields);
    let mut parts = block.chunks(FRAME).peekable();
    let (mut kind, mut flags) = (HEADERS, flags);
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            flags |= END_HEADERS;
        }
        request.extend(frame(kind, flags, stream, part));
        (kind, flags) = (CONTINUATION, 0);
    }
    request
}

/// Fields as literals.
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// A frame of any kind.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0], length(name).as_slice(), name, &length(value), value].concat()
}

fn length(text: &[u8]) -> Vec<u8> {
    let Some(mut rest) = text.len().checked_sub(127) else {
        return vec![u8::try_from(text.len()).expect("short")];
    };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes
}

/// The status that a header block begins with.
pub fn status(block: &[u8]) -> Option<u16> {
    match block {
        [0x20..=0x3f, rest @ ..] => status(rest),
        [index @ 0x88..=0x8e, ..] => {
            [200, 204, 206, 304, 400, 404, 500].get(usize::from(index - 0x88)).copied()
        }
        [0x08 | 0x18 | 0x48, 3, digits @ ..] => core::str::from_utf8(digits.get(..3)?).ok()?.parse().ok(),
        [0x08 | 0x18 | 0x48, length @ 0x82..=0x83, text @ ..] => {
            huffman(text.get(..usize::from(length & 3))?)
        }
        _ => None,
    }
}

/// Three digits: `0`, `1` and `2` have five bits, the others six and begin at 25.
fn huffman(text: &[u8]) -> Option<u16> {
    let mut bits = text.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let five = (0..5).try_fold(0, |code, _| Some(code << 1 | bits.next()?))?;
        let digit = if five < 3 { five } else { (five << 1 | bits.next()?).checked_sub(0x19)? + 3 };
        number = number * 10 + digit;
    }
    Some(number)
}
