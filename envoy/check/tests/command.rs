//! The command as an operator types it: what it prints, and how it ends.
#![allow(missing_docs, clippy::expect_used)]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-check"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).args(arguments);
    command.output().expect("it runs")
}

#[test]
fn it_ends_as_it_says_and_tells_what_it_accepts() {
    for (arguments, code, parts) in [
        (["envoy.yaml"].as_slice(), 0, ["rule: ", "memory: "]),
        (&["--format", "json", "envoy.yaml"], 0, ["\"is_right\": true", "\"about\": \"host_calls\""]),
        (&["README.md"], 1, ["README.md: ", "YAML"]),
        (&["no-such-file.yaml"], 2, ["no-such-file.yaml", "No such file"]),
        (&["envoy.yaml", "rate-limiter"], 2, ["rate-limiter", "rate-limit"]),
        (&["--format", "xml", "envoy.yaml"], 2, ["xml", "json"]),
        (&[], 2, ["FILE", "Usage"]),
        (&["--help"], 0, ["Exits with 0", "schema"]),
    ] {
        let output = run(arguments);
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
    }
}
