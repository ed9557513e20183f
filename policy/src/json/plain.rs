//! Finds the run of text before a string's next quote, escape or control character. Eight bytes are tested at a time,
//! and 32 while the run goes on, which compilers turn into vector instructions where available.
//!
//! Source: the exact zero-byte test of Warren, "Hacker's Delight" (6-1), on bytes whose high bit is set aside.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const LOW: u64 = u64::from_ne_bytes([0x7F; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// A run of text up to its terminator.
pub(super) struct Run {
    pub(super) length: usize,
    /// True if all of it is printable ASCII.
    pub(super) plain: bool,
}

/// Returns the run at the beginning of `bytes`.
#[inline]
pub(super) fn run(bytes: &[u8]) -> Run {
    let mut length = 0_usize;
    let mut other = 0;
    for block in bytes.as_chunks::<32>().0 {
        let (mut stops, mut others) = (0, 0);
        for word in block.as_chunks::<8>().0 {
            let word = u64::from_le_bytes(*word);
            stops |= ends(word);
            others |= not_plain(word);
        }
        if stops != 0 {
            break;
        }
        other |= others;
        length = length.wrapping_add(32);
    }
    let (words, rest) = bytes.get(length..).unwrap_or_default().as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let stops = ends(word);
        if stops != 0 {
            let before = stops.wrapping_sub(1) & !stops;
            other |= not_plain(word) & before;
            let bytes = usize::try_from(stops.trailing_zeros().wrapping_div(8)).unwrap_or(0);
            return Run { length: length.wrapping_add(bytes), plain: other == 0 };
        }
        other |= not_plain(word);
        length = length.wrapping_add(8);
    }
    let mut plain = other == 0;
    for byte in rest {
        if matches!(byte, b'"' | b'\\' | ..0x20) {
            break;
        }
        plain &= *byte < 0x7F;
        length = length.wrapping_add(1);
    }
    Run { length, plain }
}

/// Returns the length of the run at the beginning of `word`, or `None` unless all of it is printable ASCII.
#[inline]
pub(super) fn word(word: [u8; 8]) -> Option<usize> {
    let word = u64::from_le_bytes(word);
    let stops = ends(word);
    let before = stops.wrapping_sub(1) & !stops;
    let length = usize::try_from(stops.trailing_zeros().wrapping_div(8)).unwrap_or(0);
    (not_plain(word) & before == 0).then_some(length)
}

/// Returns the high bit of each byte that ends a run.
#[inline(always)]
const fn ends(word: u64) -> u64 {
    let low = word & LOW;
    let visible = low.wrapping_add(ONES.wrapping_mul(0x60));
    let no_quote = (low ^ ONES.wrapping_mul(0x22)).wrapping_add(LOW);
    let no_escape = (low ^ ONES.wrapping_mul(0x5C)).wrapping_add(LOW);
    !(visible & no_quote & no_escape | word) & HIGH
}

/// Returns the high bit of each byte that ends a run or is not printable ASCII.
#[inline(always)]
const fn not_plain(word: u64) -> u64 {
    (word | (word & LOW).wrapping_add(ONES)) & HIGH
}
