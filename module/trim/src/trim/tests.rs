//! Tests of the reduction, on modules small enough to read.

use super::{is_provided_method, trim};
use crate::surface::parse;
use walrus::{FunctionBuilder, FunctionId, Module, ValType};

const LISTED: &str = "export proxy_on_tick\nimport env proxy_log";

/// Returns a module whose callbacks call the functions in `called`, and whose vtable contains a provided method per
/// import.
fn module(imports: &[&str], called: &[&str], callbacks: &[&str]) -> Vec<u8> {
    let mut module = Module::default();
    let memory = module.memories.add_local(false, false, 1, None, None);
    module.exports.add("memory", memory);
    let nothing = module.types.add(&[], &[]);
    let imports: Vec<(&str, FunctionId)> =
        imports.iter().map(|name| (*name, module.add_import_func("env", name, nothing).0)).collect();
    let provided: Vec<FunctionId> = imports
        .iter()
        .map(|(name, import)| {
            function(&mut module, &format!("<S as proxy_wasm::traits::Context>::{name}"), &[*import])
        })
        .collect();
    let calls: Vec<FunctionId> =
        imports.iter().filter(|(name, _)| called.contains(name)).map(|(_, import)| *import).collect();
    let table = module.tables.add_local(false, 8, None, walrus::RefType::FUNCREF);
    let offset = walrus::ConstExpr::Value(walrus::ir::Value::I32(0));
    module
        .elements
        .add(walrus::ElementKind::Active { table, offset }, walrus::ElementItems::Functions(provided));
    for name in super::LIFECYCLE.iter().chain(["malloc"].iter()).chain(callbacks) {
        let id = function(&mut module, name, if callbacks.contains(name) { &calls } else { &[] });
        module.exports.add(name, id);
    }
    through_the_table(&mut module, table);
    module.emit_wasm()
}

fn function(module: &mut Module, name: &str, calls: &[FunctionId]) -> FunctionId {
    let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
    builder.name(name.to_owned());
    for callee in calls {
        builder.func_body().call(*callee);
    }
    builder.finish(Vec::new(), &mut module.funcs)
}

fn through_the_table(module: &mut Module, table: walrus::TableId) {
    let nothing = module.types.add(&[], &[]);
    let mut builder = FunctionBuilder::new(&mut module.types, &[ValType::I32], &[]);
    let which = module.locals.add(ValType::I32);
    builder.func_body().local_get(which).call_indirect(nothing, table);
    let dispatch = builder.finish(vec![which], &mut module.funcs);
    module.exports.add("_initialize", dispatch);
}

fn refusal(wasm: &[u8], listed: &str) -> String {
    trim(wasm, &parse(listed).unwrap()).unwrap_err().to_string()
}

#[test]
fn uncalled_functions_are_neither_imported_nor_exported() {
    let wasm = module(&["proxy_log", "proxy_done"], &["proxy_log"], &["proxy_on_tick", "proxy_on_log"]);
    let trimmed = Module::from_buffer(&trim(&wasm, &parse(LISTED).unwrap()).unwrap()).unwrap();
    let imports: Vec<&str> = trimmed.imports.iter().map(|import| import.name.as_str()).collect();
    let exports: Vec<&str> = trimmed.exports.iter().map(|export| export.name.as_str()).collect();
    assert_eq!(imports, ["proxy_log"]);
    assert!(
        exports.contains(&"proxy_on_tick") && exports.contains(&"_initialize") && exports.contains(&"memory")
    );
    assert!(!exports.contains(&"proxy_on_log"));
}

#[test]
fn a_host_function_that_is_called_but_not_listed_is_refused_with_its_caller() {
    let wasm = module(&["proxy_log", "proxy_done"], &["proxy_log", "proxy_done"], &["proxy_on_tick"]);
    assert_eq!(refusal(&wasm, LISTED), "import env proxy_done is called by proxy_on_tick, but not listed");
}

#[test]
fn a_listed_host_function_that_nothing_calls_is_refused() {
    let wasm = module(&["proxy_log"], &[], &["proxy_on_tick"]);
    assert_eq!(refusal(&wasm, LISTED), "import env proxy_log is listed, but nothing calls it");
}

#[test]
fn a_listed_host_function_that_does_not_exist_is_refused() {
    let wasm = module(&["proxy_done"], &[], &["proxy_on_tick"]);
    assert_eq!(refusal(&wasm, LISTED), "import env proxy_log is listed, but the module does not know it");
}

#[test]
fn a_listed_callback_that_does_not_exist_is_refused() {
    let wasm = module(&["proxy_log"], &["proxy_log"], &["proxy_on_log"]);
    assert_eq!(refusal(&wasm, LISTED), "callback proxy_on_tick is listed, but the module does not export it");
}

#[test]
fn a_surface_line_that_is_neither_export_nor_import_is_refused() {
    let error = parse("exports proxy_on_tick").unwrap_err().to_string();
    assert_eq!(
        error,
        "`exports proxy_on_tick`: expected `export <callback>` or `import <module> <function>`"
    );
    assert_eq!(parse("export a\nexport a").unwrap_err().to_string(), "`export a` is listed twice");
}

#[test]
fn only_methods_that_the_dispatcher_never_calls_count_as_provided() {
    for name in [
        "<a::S as proxy_wasm::traits::Context>::done",
        "proxy_wasm::traits::HttpContext::get_http_request_body",
    ] {
        assert!(is_provided_method(name), "{name}");
    }
    for name in [
        "<a::S as proxy_wasm::traits::HttpContext>::on_http_request_headers",
        "<a::S as proxy_wasm::traits::RootContext>::create_http_context",
        "<a::S as proxy_wasm::traits::RootContext>::get_type",
        "<a::S as a::Context>::done",
        "proxy_wasm::hostcalls::done",
        "done",
    ] {
        assert!(!is_provided_method(name), "{name}");
    }
}
