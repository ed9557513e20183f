//! Cuts a built module down to its surface: the callbacks it handles and the host functions it calls.
//!
//! The SDK exports every callback, and its vtables hold a provided method for every host function, so a plain
//! build imports all of them whether or not anyone calls them. Nobody calls those methods through a vtable:
//! the SDK's dispatcher only calls `on_*`, `create_*` and `get_type`. What is left of the call graph without
//! them is what the module can reach, and it has to be exactly what the surface file lists: a host function
//! that is called but not listed, or listed but not called, fails the build. A wrong list can therefore not
//! become a trap at run time. Function names are needed to tell the methods apart; the output has none.

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
