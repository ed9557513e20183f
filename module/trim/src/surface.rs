//! The surface file of a module: one line per callback (`export proxy_on_tick`) and per host function (`import env
//! proxy_log`). Empty lines and lines that start with `#` are skipped.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

/// The callbacks and host functions of a module.
#[derive(Debug, Default)]
pub struct Surface {
    /// Callbacks beyond those that every module needs.
    pub exports: BTreeSet<String>,
    /// Host functions as `module name`.
    pub imports: BTreeSet<String>,
}

/// Parses a surface file.
pub fn parse(text: &str) -> Result<Surface> {
    let mut surface = Surface::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let is_new = match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["export", name] => surface.exports.insert((*name).to_owned()),
            ["import", module, name] => surface.imports.insert(format!("{module} {name}")),
            _ => bail!("`{line}`: expected `export <callback>` or `import <module> <function>`"),
        };
        if !is_new {
            bail!("`{line}` is listed twice");
        }
    }
    Ok(surface)
}
