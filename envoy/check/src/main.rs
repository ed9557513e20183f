//! `tidegate-check FILE [ROOT_ID]` tells what is wrong with a configuration, or what it will do; it exits with 1 if
//! something is. `tidegate-check schema FOLDER` writes the JSON Schema of each module's document there.

use std::path::Path;
use std::process::ExitCode;
use tidegate_check::catalogue::MODULES;
use tidegate_check::report::report;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["schema", folder] => write_schemas(Path::new(folder)),
        [file] => check(file, None),
        [file, root_id] => check(file, Some(root_id)),
        _ => Err("usage: tidegate-check FILE [ROOT_ID], or tidegate-check schema FOLDER".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn check(file: &str, module: Option<&str>) -> Result<bool, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let report = report(file, &text, module);
    print!("{}", report.text);
    Ok(report.is_right)
}

fn write_schemas(folder: &Path) -> Result<bool, String> {
    for module in MODULES {
        let file = folder.join(format!("{}.json", module.root_id));
        let text = module.schema_text().map_err(|error| error.to_string())?;
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(true)
}
