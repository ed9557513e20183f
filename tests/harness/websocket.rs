//! WebSocket as far as a proxy can tell it from other bytes: frames of a client, which are masked, and of a server, which
//! are not, and an upstream that takes every handshake, sends back each message and ends each session in order.

use crate::upstream::{Step, Upstream};
use std::io::{BufRead, Write};

/// A message of text.
pub const TEXT: u8 = 1;

/// The end of a session.
pub const CLOSE: u8 = 8;

const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const MASK: [u8; 4] = [0x5a, 0x00, 0xff, 0x7b];

/// The handshake of a client, over HTTP/1.1.
pub fn handshake(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// A client's frame. At most 65,535 bytes.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    head(opcode, 0x80, payload.len()).into_iter().chain(MASK).chain(masked).collect()
}

/// A server's frame. At most 65,535 bytes.
pub fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    [head(opcode, 0, payload.len()).as_slice(), payload].concat()
}

fn head(opcode: u8, mask: u8, length: usize) -> Vec<u8> {
    let length = u16::try_from(length).expect("a short frame");
    match u8::try_from(length) {
        Ok(short) if short < 126 => vec![0x80 | opcode, mask | short],
        _ => [[0x80 | opcode, mask | 126], length.to_be_bytes()].concat(),
    }
}

/// An upstream that takes every handshake. Requests that ask for no upgrade get 200.
pub fn echo() -> Upstream {
    Upstream::scripted(|seen| match seen.header("upgrade") {
        Some("websocket") => vec![Step::Send(ACCEPTED.to_vec()), Step::Hand(converse)],
        _ => vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec())],
    })
}

/// Sends each message back, until one closes the session.
fn converse(reader: &mut dyn BufRead, writer: &mut dyn Write) -> Option<()> {
    loop {
        let mut head = [0; 2];
        reader.read_exact(&mut head).ok()?;
        let mut length = usize::from(head[1] & 0x7f);
        if length == 126 {
            let mut long = [0; 2];
            reader.read_exact(&mut long).ok()?;
            length = usize::from(u16::from_be_bytes(long));
        }
        let mut mask = [0; 4];
        reader.read_exact(&mut mask).ok()?;
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload).ok()?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let opcode = head[0] & 0x0f;
        writer.write_all(&unmasked(opcode, &payload)).ok()?;
        if opcode == CLOSE {
            return Some(());
        }
    }
}
