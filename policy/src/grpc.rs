//! Finds the messages of a gRPC stream by their prefix: one byte of flags and four bytes of length, big-endian. A
//! stream may last for hours in both directions, so its total size is not limited, but each of its messages is, as soon
//! as its length is known. Message contents are neither kept nor inspected.
//!
//! Source: gRPC over HTTP2, "Length-Prefixed-Message".

/// The position in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// The bytes of the current prefix read so far.
    prefix: u8,
    /// The length so far, from those bytes.
    length: u32,
    /// The bytes of the current message still to come.
    left: u64,
}

impl Messages {
    /// Reads a chunk and returns the length of the largest message that begins in it, in bytes.
    pub fn feed(&mut self, chunk: &[u8]) -> u64 {
        let (mut rest, mut largest) = (chunk, 0);
        while let Some((byte, behind)) = rest.split_first() {
            if self.left > 0 {
                let here = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(self.left);
                self.left = self.left.saturating_sub(here);
                rest = usize::try_from(here).ok().and_then(|here| rest.get(here..)).unwrap_or_default();
                continue;
            }
            rest = behind;
            if self.prefix > 0 {
                self.length = self.length << 8 | u32::from(*byte);
            }
            self.prefix = self.prefix.saturating_add(1);
            if self.prefix == 5 {
                self.left = u64::from(self.length);
                largest = largest.max(self.left);
                (self.prefix, self.length) = (0, 0);
            }
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    fn framed(lengths: &[u16]) -> Vec<u8> {
        let message = |length: &u16| {
            [&[0], u32::from(*length).to_be_bytes().as_slice(), &vec![0xff; usize::from(*length)]].concat()
        };
        lengths.iter().flat_map(message).collect()
    }

    proptest! {
        #[test]
        fn each_length_is_reported_once_whatever_the_chunks(
            lengths in prop::collection::vec(0_u16..700, 0..8),
            cuts in prop::collection::vec(1_usize..300, 1..9),
        ) {
            let (stream, mut messages, mut told) = (framed(&lengths), Messages::default(), 0);
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at(rest.len().min(*cuts.next().expect("a cut")));
                told = told.max(messages.feed(chunk));
                rest = behind;
            }
            prop_assert_eq!(told, u64::from(lengths.iter().copied().max().unwrap_or(0)));
            prop_assert_eq!(messages, Messages::default());
        }

        #[test]
        fn no_bytes_panic_and_a_length_is_reported_with_its_last_byte(bytes in any::<Vec<u8>>()) {
            Messages::default().feed(&bytes);
            let mut messages = Messages::default();
            prop_assert_eq!(messages.feed(&[0, 0xff, 0xff, 0xff]), 0);
            prop_assert_eq!(messages.feed(&[0xff]), u64::from(u32::MAX));
        }
    }
}
