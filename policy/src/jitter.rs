//! The random part of a wait. Clients that were refused together would return together, since the SDKs obey a server's delay
//! exactly and add no jitter of their own.
//!
//! Source: Brooker, "Exponential Backoff and Jitter" (AWS, 2015).

/// Returns a uniformly random number of nanoseconds below `most`, drawn from `random`.
pub fn jitter(most: u64, random: u64) -> u64 {
    u64::try_from(u128::from(most).saturating_mul(u128::from(random)) >> 64).unwrap_or(0)
}
