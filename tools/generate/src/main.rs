//! `tidegate-generate` writes the generated files; `tidegate-generate --check` only names those that would change.

use std::process::ExitCode;
use std::{env, fs};
use tidegate_generate::{Error, checkout, files, read};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => run(true),
        ["--check"] => run(false),
        other => Err(format!("found {other:?}, accepted is --check or nothing")),
    };
    match outcome {
        Ok(all_current) if all_current => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(writes: bool) -> Result<bool, Error> {
    let root = checkout();
    let mut all_current = true;
    for (path, text) in files(&root)? {
        if read(&root, path).is_ok_and(|found| found == text) {
            continue;
        }
        println!("{} {path}", if writes { "wrote" } else { "stale" });
        match writes {
            true => fs::write(root.join(path), text).map_err(|error| format!("{path}: {error}"))?,
            false => all_current = false,
        }
    }
    Ok(all_current)
}
