#![no_main]

use tidegate_invariants::denied_text;

// The rules are compiled once, which takes longer than an input may.
libfuzzer_sys::fuzz_target!(init: denied_text(b""), |input: &[u8]| denied_text(input));
