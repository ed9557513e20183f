//! Reduces a built module to its surface: the callbacks it handles and the host functions it calls.
//!
//! The SDK exports every callback, and its vtables contain a provided method for every host function, so a plain
//! build imports all of them, used or not. No vtable call reaches those methods: the SDK's dispatcher only calls
//! `on_*`, `create_*` and `get_type`. The rest of the call graph is what the module can reach, and must match the
//! surface file exactly: a host function that is called but not listed, or listed but not called, fails the build, so
//! a wrong list cannot become a trap at run time. Function names are needed to identify the methods; the output has
//! none.

mod surface;
mod trim;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [input, surface, output] = arguments.as_slice() else {
        bail!("usage: tidegate-trim <input.wasm> <surface.txt> <output.wasm>");
    };
    let text = std::fs::read_to_string(surface).with_context(|| surface.display().to_string())?;
    let surface = surface::parse(&text).with_context(|| surface.display().to_string())?;
    let wasm = std::fs::read(input).with_context(|| input.display().to_string())?;
    let trimmed = trim::trim(&wasm, &surface).with_context(|| input.display().to_string())?;
    std::fs::write(output, &trimmed).with_context(|| output.display().to_string())?;
    Ok(())
}
