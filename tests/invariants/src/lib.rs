//! What holds of the parsers of hostile input, whatever the input: no panic, one answer wherever the input is cut, a bound
//! on memory that the input does not move, and what each of them promises besides. The targets in `fuzz/` look for inputs
//! that break it; what they found stays in `kept/` and is tried with every run of the tests.

mod answer;
mod cuts;
mod denied_text;
mod header_values;
mod inference;
mod json;
mod request_head;

pub use answer::answer_watch;
pub use denied_text::denied_text;
pub use header_values::header_values;
pub use inference::inference_scanner;
pub use json::json_lexer;
pub use request_head::{http1_head, http2_head};

/// Panics if the input breaks what holds.
pub type Invariants = fn(&[u8]);

/// Every target's invariants, by its name.
pub const TARGETS: [(&str, Invariants); 7] = [
    ("answer_watch", answer_watch),
    ("denied_text", denied_text),
    ("header_values", header_values),
    ("http1_head", http1_head),
    ("http2_head", http2_head),
    ("inference_scanner", inference_scanner),
    ("json_lexer", json_lexer),
];
