//! Reads the pixel count of an image from the head of its base64 data, since a few hundred bytes can make a server
//! allocate gigabytes of pixels. A few characters tell that a string is no image, and of an image only the head is
//! read. JPEG segments in front of the size are skipped without decoding.
//!
//! Sources: PNG (third edition) 11.2.1, GIF89a 18, RFC 9649 (WebP) 2, ITU-T T.81 B.2 (JPEG), BITMAPINFOHEADER (BMP).

/// The longest head, in bytes, of a format whose size has a fixed offset.
const HEAD: usize = 30;

/// A string that may be an image.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    state: State,
    /// The base64 characters of the incomplete group of four.
    bits: u32,
    sextets: u8,
    head: [u8; HEAD],
    length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// A `data:` URL, up to the comma before its data.
    Link,
    Head,
    /// The bytes left until the next JPEG segment.
    Skip(u64),
    /// The head of a JPEG segment: marker, length, and in a frame its size.
    Segment,
    /// The pixels of the image; 0 if it is none or states no size.
    Known(u64),
}

impl Picture {
    pub(super) const NONE: Self =
        Self { state: State::Known(0), bits: 0, sextets: 0, head: [0; HEAD], length: 0 };

    /// Begins a string.
    #[inline]
    pub(super) const fn begin(&mut self) {
        (self.state, self.bits, self.sextets, self.length) = (State::Start, 0, 0, 0);
    }

    /// Returns true while more of the string could reveal a size.
    #[inline]
    pub(super) const fn is_open(&self) -> bool {
        !matches!(self.state, State::Known(_))
    }

    /// Ends the string and returns its pixels, or 0 if it is no image or states no size.
    #[inline]
    pub(super) const fn end(&mut self) -> u64 {
        match core::mem::replace(&mut self.state, State::Known(0)) {
            State::Known(pixels) => pixels,
            _ => 0,
        }
    }

    /// Reads the next piece of the string.
    pub(super) fn feed(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while self.is_open() {
            if let (State::Skip(skipped), 0) = (self.state, self.sextets) {
                let fours =
                    (skipped.wrapping_div(3)).min(u64::try_from(rest.len().wrapping_shr(2)).unwrap_or(0));
                let characters = usize::try_from(fours.saturating_mul(4)).unwrap_or(0);
                rest = rest.get(characters..).unwrap_or_default();
                self.skip(skipped.saturating_sub(fours.saturating_mul(3)));
            }
            let Some((character, after)) = rest.split_first() else { return };
            rest = after;
            self.character(*character);
        }
    }

    fn character(&mut self, character: u8) {
        match (self.state, character) {
            (State::Start, b'd') => self.state = State::Link,
            (State::Link, b',') => self.state = State::Head,
            (State::Link, b'\0'..=b' ' | b'"') => self.state = State::Known(0),
            (State::Link, _) => {}
            _ => {
                if self.state == State::Start {
                    self.state = State::Head;
                }
                // Skipped characters need not be base64.
                let skipped = matches!(self.state, State::Skip(_)).then_some(0);
                let Some(sextet) = sextet(character).or(skipped) else {
                    if !matches!(character, b'\r' | b'\n') {
                        self.state = State::Known(0);
                    }
                    return;
                };
                self.bits = self.bits.wrapping_shl(6) | u32::from(sextet);
                self.sextets = self.sextets.wrapping_add(1);
                if self.sextets == 4 {
                    self.sextets = 0;
                    let [_, bytes @ ..] = self.bits.to_be_bytes();
                    bytes.into_iter().for_each(|byte| self.byte(byte));
                }
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        match self.state {
            State::Skip(bytes) => self.skip(bytes.saturating_sub(1)),
            State::Head | State::Segment => {
                let is_segment = self.state == State::Segment;
                // Fill bytes may precede a marker.
                if is_segment && self.length == 1 && byte == 0xFF {
                    return;
                }
                if let Some(place) = self.head.get_mut(self.length) {
                    *place = byte;
                    self.length = self.length.wrapping_add(1);
                }
                let head = self.head.get(..self.length).unwrap_or_default();
                match if is_segment { segment(head) } else { whole(head) } {
                    State::Skip(bytes) => self.skip(bytes),
                    state => self.state = state,
                }
            }
            State::Start | State::Link | State::Known(_) => {}
        }
    }

    /// Skips this many bytes up to the next segment.
    const fn skip(&mut self, bytes: u64) {
        self.length = 0;
        self.state = if bytes == 0 { State::Segment } else { State::Skip(bytes) };
    }
}

const MAGIC: [&[u8; 4]; 3] = [b"\x89PNG", b"GIF8", b"RIFF"];

/// Reads the first bytes of a file.
fn whole(head: &[u8]) -> State {
    let known = |width: u64, height: u64| State::Known(width.saturating_mul(height));
    match *head {
        [0xFF, 0xD8] => State::Skip(0),
        [0x89, b'P', b'N', b'G', _, _, _, _, _, _, _, _, b'I', b'H', b'D', b'R', a, b, c, d, e, f, g, h] => {
            known(u32::from_be_bytes([a, b, c, d]).into(), u32::from_be_bytes([e, f, g, h]).into())
        }
        [b'G', b'I', b'F', b'8', _, _, a, b, c, d] => {
            known(u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into())
        }
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, .., a, b, c, d, e, f, g, h] if head.len() == 26 => {
            let height = i32::from_le_bytes([e, f, g, h]).unsigned_abs();
            known(i32::from_le_bytes([a, b, c, d]).unsigned_abs().into(), height.into())
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', b'V', b'P', b'8', kind, ..]
            if head.len() == HEAD =>
        {
            webp(kind, head)
        }
        [0xFF | b'B'] => State::Head,
        [b'B', b'M', ..] if head.len() < 26 => State::Head,
        _ if head.len() < HEAD && MAGIC.iter().any(|magic| head.iter().zip(*magic).all(|(a, b)| a == b)) => {
            State::Head
        }
        _ => State::Known(0),
    }
}

fn webp(kind: u8, head: &[u8]) -> State {
    let at = |place: usize| u64::from(head.get(place).copied().unwrap_or(0));
    let number = |place: usize| {
        at(place) | at(place.wrapping_add(1)).wrapping_shl(8) | at(place.wrapping_add(2)).wrapping_shl(16)
    };
    let (width, height) = match kind {
        b' ' => (number(26) & 0x3FFF, (number(28) & 0x3FFF)),
        b'L' => {
            let size = number(21) | at(24).wrapping_shl(24);
            ((size & 0x3FFF).wrapping_add(1), (size.wrapping_shr(14) & 0x3FFF).wrapping_add(1))
        }
        b'X' => (number(24).wrapping_add(1), number(27).wrapping_add(1)),
        _ => (0, 0),
    };
    State::Known(width.saturating_mul(height))
}

/// Reads the head of a JPEG segment.
fn segment(head: &[u8]) -> State {
    match *head {
        [0xFF] | [] => State::Segment,
        // The scan or the end of the image, neither of which follows without a frame.
        [0xFF, 0xD9 | 0xDA, ..] => State::Known(0),
        [0xFF, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF, _, _, _, a, b, c, d] => {
            let (height, width) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            State::Known(u64::from(height).saturating_mul(u64::from(width)))
        }
        [0xFF, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF, ..] | [0xFF, _] | [0xFF, _, _] => {
            State::Segment
        }
        [0xFF, _, a, b] => match u64::from(u16::from_be_bytes([a, b])) {
            0..=1 => State::Known(0),
            length => State::Skip(length.wrapping_sub(2)),
        },
        _ => State::Known(0),
    }
}

const fn sextet(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character.wrapping_sub(b'A'),
        b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let bits =
                (0..3).fold(0_u32, |bits, place| bits << 8 | u32::from(*three.get(place).unwrap_or(&0)));
            for place in 0..4 {
                let letter = char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]);
                text.push(if place <= three.len() { letter } else { '=' });
            }
        }
        text
    }

    fn pixels(text: &str, size: usize) -> (u64, bool) {
        let mut picture = Picture::NONE;
        picture.begin();
        text.as_bytes().chunks(size).for_each(|piece| picture.feed(core::str::from_utf8(piece).unwrap()));
        let is_open = picture.is_open();
        (picture.end(), is_open)
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        [b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR".as_slice(), &size, &[8, 6, 0, 0, 0]].concat()
    }

    fn jpeg(width: u16, height: u16, before: usize) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8];
        for length in [0, 1, before] {
            file.extend([0xFF, 0xFF, 0xE1]);
            file.extend((length as u16 + 2).to_be_bytes());
            file.extend(vec![0xFF; length]);
        }
        file.extend([0xFF, 0xC2, 0, 17, 8]);
        file.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
        file.extend([3; 9]);
        file
    }

    fn webp(kind: &[u8; 4], rest: &[u8]) -> Vec<u8> {
        let mut file = [b"RIFF\x24\0\0\0WEBP".as_slice(), kind, &[10, 0, 0, 0], rest].concat();
        file.resize(60, 0);
        file
    }

    #[test]
    fn the_size_of_a_picture_is_read_however_its_data_are_chunked() {
        let gif = [b"GIF89a".as_slice(), &300_u16.to_le_bytes(), &200_u16.to_le_bytes(), &[0; 20]].concat();
        let size = [(-300_i32).to_le_bytes(), 200_i32.to_le_bytes()].concat();
        let bmp = [b"BM\x99\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".as_slice(), &size, &[0; 20]].concat();
        let [low, high, higher] = [299_u32, 199, 0].map(|number| number.to_le_bytes());
        let extended = [&[0; 4], &low[..3], &high[..3], &higher[..0]].concat();
        let lossless = [&[0x2F], (299_u32 | 199 << 14).to_le_bytes().as_slice()].concat();
        let lossy =
            [&[0, 0, 0, 0x9D, 1, 0x2A], 300_u16.to_le_bytes().as_slice(), &200_u16.to_le_bytes()].concat();
        for file in [
            png(300, 200),
            gif,
            bmp,
            webp(b"VP8X", &extended),
            webp(b"VP8L", &lossless),
            webp(b"VP8 ", &lossy),
            jpeg(300, 200, 0),
            jpeg(300, 200, 5),
            jpeg(300, 200, 65_000),
        ] {
            let text = base64(&file);
            for size in [1, 2, 3, 4, 5, 7, 1_000, usize::MAX] {
                for written in [text.clone(), format!("data:image/x;charset=a;base64,{text}")] {
                    assert_eq!(pixels(&written, size), (60_000, false), "{:?} in {size}", &file[..30]);
                }
            }
        }
        assert_eq!(pixels(&base64(&png(u32::MAX, u32::MAX)), 9).0, u64::from(u32::MAX) * u64::from(u32::MAX));
    }

    #[test]
    fn a_string_that_is_no_picture_is_rejected_after_a_few_characters() {
        for text in [
            "https://a/b.png",
            "AAAAAAAA",
            "/9j/AAAAAAAA",
            "UklGRgAAAABXQVZFZm10",
            "Qk0AAAAAAQEBAQAA",
            "é",
            "d\n",
        ] {
            let text = format!("{text}{}", "A".repeat(60));
            assert_eq!(pixels(&text, usize::MAX), (0, false), "{text}");
        }
        assert_eq!(pixels("", 1).0, 0);
    }

    proptest! {
        #[test]
        fn chunk_boundaries_make_no_difference(
            bytes in prop::collection::vec(any::<u8>(), 0..200), head in 0..4_usize, size in 1..50_usize,
        ) {
            let head: &[u8] = [b"".as_slice(), b"\xFF\xD8\xFF", b"RIFF", b"\x89PNG"][head];
            let text = base64(&[head, &bytes].concat());
            prop_assert_eq!(pixels(&text, size), pixels(&text, usize::MAX));
        }
    }
}
