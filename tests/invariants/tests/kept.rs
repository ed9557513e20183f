//! Every input that was found, and a few of each kind beside them, through what holds whatever the input.

use std::path::Path;
use tidegate_invariants::TARGETS;

#[test]
fn what_holds_of_the_parsers_holds_of_every_input_that_is_kept() {
    for (target, invariants) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kept").join(target);
        let mut inputs: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{} is empty", folder.display());
        for input in inputs {
            eprintln!("{}", input.display());
            invariants(&std::fs::read(&input).unwrap());
        }
    }
}
