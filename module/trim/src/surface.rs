//! The surface file: one line for each callback (`export proxy_on_tick`) and for each host function
//! (`import env proxy_log`) of a module. Empty lines and lines that start with `#` are skipped.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

/// What a module may show to its host and ask of it.
#[derive(Debug, Default)]
pub struct Surface {
    /// Callbacks beyond those that every module needs.
    pub exports: BTreeSet<String>,
    /// Host functions as `module name`.
    pub imports: BTreeSet<String>,
}

/// Reads a surface file.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../surface")
    }

    fn surfaces() -> BTreeMap<String, Surface> {
        let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
        let lists = files.filter(|file| file.extension().is_some_and(|end| end == "txt"));
        let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
        lists.map(|file| (name(&file), parse(&fs::read_to_string(&file).unwrap()).unwrap())).collect()
    }

    fn table() -> String {
        let surfaces = surfaces();
        let row = |name: &str, has: &dyn Fn(&Surface) -> bool| {
            let marks: Vec<_> =
                surfaces.values().map(|surface| if has(surface) { "•" } else { " " }).collect();
            format!("| {name} | {} |\n", marks.join(" | "))
        };
        let names: Vec<_> = surfaces.keys().map(String::as_str).collect();
        let head = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
        let exports: BTreeSet<_> = surfaces.values().flat_map(|surface| &surface.exports).collect();
        let imports: BTreeSet<_> = surfaces.values().flat_map(|surface| &surface.imports).collect();
        let callbacks = exports
            .iter()
            .map(|name| row(&format!("is called at `{name}`"), &|surface| surface.exports.contains(*name)));
        let calls = imports.iter().map(|name| {
            let function = name.rsplit(' ').next().unwrap();
            row(&format!("calls `{function}`"), &|surface| surface.imports.contains(*name))
        });
        callbacks.chain(calls).fold(head, |table, row| table + &row)
    }

    #[test]
    fn the_table_in_the_readme_is_that_of_the_lists() {
        let readme = fs::read_to_string(folder().join("README.md")).unwrap();
        assert!(readme.contains(&table()), "module/surface/README.md has drifted; its table is\n{}", table());
    }
}
