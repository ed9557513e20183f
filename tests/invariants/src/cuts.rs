//! Where an input is cut. It depends on the input alone, so that one which was found stays found.

/// A sequence of numbers that is as good as random.
///
/// Source: Marsaglia, "Xorshift RNGs" (2003).
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of these bytes (FNV-1a).
    pub fn of(bytes: &[u8]) -> Self {
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        Self(bytes.iter().fold(0xCBF2_9CE4_8422_2325, mix).max(1))
    }

    /// The next one, less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % end.max(1)
    }

    /// `bytes` in parts of at most so many bytes.
    pub fn parts<'a>(&mut self, bytes: &'a [u8], most: usize) -> Vec<&'a [u8]> {
        let (mut rest, mut parts) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (part, after) = rest.split_at((self.below(most) + 1).min(rest.len()));
            parts.push(part);
            rest = after;
        }
        parts
    }
}

/// Ways to cut an input: byte by byte, into small parts, into large ones and in two.
pub fn cuts(input: &[u8]) -> [Vec<&[u8]>; 4] {
    let mut numbers = Numbers::of(input);
    let middle = numbers.below(input.len() + 1);
    let (before, after) = input.split_at(middle);
    [input.chunks(1).collect(), numbers.parts(input, 9), numbers.parts(input, 99), vec![before, after]]
}
