//! Reads an HTTP/2 connection frame by frame and looks only at the nine header bytes of each frame. A head lasts from
//! the first byte of a HEADERS frame to the end of the frame with END_HEADERS.
//!
//! Frame sequences that are forbidden (another frame between HEADERS and CONTINUATION, an oversized frame) are merely
//! counted, because Envoy answers them by closing the connection.
//!
//! Source: RFC 9113, sections 3.4, 4.1, 6.2 and 6.10.

use super::Stage;

/// The first bytes that a client sends.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The size of a frame header in bytes.
const HEADER: u8 = 9;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The state of an HTTP/2 connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Http2 {
    /// The bytes of the frame header so far.
    seen: u8,
    kind: u8,
    flags: u8,
    /// The bytes of the payload still to come.
    left: u32,
    /// True once the client's first frame is complete.
    greeted: bool,
    /// True between HEADERS and END_HEADERS.
    open: bool,
}

impl Http2 {
    /// Creates the state after the preface.
    pub(super) const fn new() -> Self {
        Self { seen: 0, kind: 0, flags: 0, left: 0, greeted: false, open: false }
    }

    pub(super) const fn stage(&self) -> Stage {
        let payload_of_head = self.seen == HEADER && matches!(self.kind, HEADERS | CONTINUATION);
        match self.seen {
            _ if !self.greeted || self.open || payload_of_head => Stage::Head,
            0 | HEADER => Stage::Elsewhere,
            _ => Stage::Frame,
        }
    }

    /// Returns the number of next bytes that need not be seen.
    pub(super) fn skippable(&self) -> u64 {
        if self.seen == HEADER { u64::from(self.left) } else { 0 }
    }

    /// Skips `count` of the bytes that need not be seen.
    pub(super) fn skip(&mut self, count: u64) {
        self.left = self.left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        if self.left == 0 {
            self.end_frame();
        }
    }

    /// Takes bytes up to the next change of stage and returns their number. It is 0 only if there are no bytes or the
    /// next ones can be skipped.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        let stage = self.stage();
        let mut used: usize = 0;
        for byte in bytes {
            if self.skippable() > 0 || self.stage() != stage {
                break;
            }
            self.step(*byte);
            used = used.saturating_add(1);
        }
        used
    }

    fn step(&mut self, byte: u8) {
        match self.seen {
            0 => self.left = u32::from(byte),
            1 | 2 => self.left = self.left << 8 | u32::from(byte),
            3 => self.kind = byte,
            4 => self.flags = byte,
            _ => {}
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen == HEADER && self.left == 0 {
            self.end_frame();
        }
    }

    const fn end_frame(&mut self) {
        self.open = match self.kind {
            HEADERS | CONTINUATION => self.flags & END_HEADERS == 0,
            _ => self.open,
        };
        self.greeted = true;
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests;
