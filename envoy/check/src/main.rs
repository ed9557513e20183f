//! `tidegate-check FILE [ROOT_ID]` reports what is wrong with a configuration, or what it does. `tidegate-check
//! schema FOLDER` writes the JSON Schema of each module's document, and `tidegate-check reference FOLDER` the pages
//! generated from the schemas and metrics. The exit code is 0 if all is well, 1 if something in the file is wrong,
//! and 2 if the command could not be carried out.

use clap::{Arg, ArgMatches, Command, value_parser};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tidegate_check::catalogue::MODULES;
use tidegate_check::reference::PAGES;
use tidegate_check::report::report;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let done = match matches.subcommand() {
        Some(("schema", matches)) => write_schemas(&path(matches, "FOLDER")).map(|()| true),
        Some(("reference", matches)) => write_pages(&path(matches, "FOLDER")).map(|()| true),
        _ => check(&matches),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn command() -> Command {
    let modules: Vec<&str> = MODULES.iter().map(|module| module.root_id).collect();
    let file = Arg::new("FILE").required(true).value_parser(value_parser!(PathBuf)).help(
        "A configuration of Envoy or a manifest of Istio, Envoy Gateway or Kubernetes, in YAML or JSON, or a module's document alone",
    );
    let module = Arg::new("ROOT_ID").value_parser(modules).help("Look at what is for this module alone");
    let format = Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(["text", "json"])
        .default_value("text")
        .help("How it is told: in words, or for other programs");
    let folder =
        Arg::new("FOLDER").required(true).value_parser(value_parser!(PathBuf)).help("Where they are written");
    Command::new("tidegate-check")
        .about("Tells what is wrong with a configuration of Tidegate, or what it will do and cost")
        .after_help("Exits with 0 if all is well, with 1 if something in the file is wrong, and with 2 if it could not be read.")
        .version(env!("CARGO_PKG_VERSION"))
        .args([file, module, format])
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .subcommand(
            Command::new("schema").about("Writes the JSON Schema of each module's document").arg(folder.clone()),
        )
        .subcommand(Command::new("reference").about("Writes the pages of the reference that are made").arg(folder))
}

fn check(matches: &ArgMatches) -> Result<bool, String> {
    let file = path(matches, "FILE");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let module = matches.get_one::<String>("ROOT_ID").map(String::as_str);
    let report = report(&file.display().to_string(), &text, module);
    let told = match matches.get_one::<String>("format").map(String::as_str) {
        Some("json") => serde_json::to_string_pretty(&report).map_err(|error| error.to_string())? + "\n",
        _ => report.to_string(),
    };
    match io::stdout().write_all(told.as_bytes()) {
        // A broken pipe means that the reader has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(report.is_right),
    }
}

fn path(matches: &ArgMatches, name: &str) -> PathBuf {
    matches.get_one::<PathBuf>(name).cloned().unwrap_or_default()
}

fn write_schemas(folder: &Path) -> Result<(), String> {
    for module in MODULES {
        let file = folder.join(format!("{}.json", module.root_id));
        let text = module.schema_text().map_err(|error| error.to_string())?;
        write(&file, &text)?;
    }
    Ok(())
}

fn write_pages(folder: &Path) -> Result<(), String> {
    PAGES.iter().try_for_each(|(name, page)| write(&folder.join(name), &page()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
