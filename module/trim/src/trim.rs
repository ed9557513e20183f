//! The reduction of a module, based on its call graph.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::{Result, bail, ensure};
use walrus::ir::{Call, RefFunc, ReturnCall, Visitor, dfs_in_order};
use walrus::{ConstExpr, ModuleConfig};
use walrus::{ElementItems, ExportItem, FunctionBuilder, FunctionId, FunctionKind, ImportKind, Module};

use crate::surface::Surface;

const LIFECYCLE: [&str; 4] =
    ["proxy_on_context_create", "proxy_on_vm_start", "proxy_on_configure", "proxy_on_delete"];
const ALLOCATORS: [&str; 2] = ["proxy_on_memory_allocate", "malloc"];

/// Reduces `wasm` to `surface`. The error names a difference between the two.
pub fn trim(wasm: &[u8], surface: &Surface) -> Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(wasm)?;
    cut_exports(&mut module, surface)?;
    let graph = Graph::of(&module)?;
    graph.check(&module, surface)?;
    cut_provided_methods(&mut module, &graph, surface);
    walrus::passes::gc::run(&mut module);
    check_finished(&module, surface)?;
    Ok(module.emit_wasm())
}

fn cut_exports(module: &mut Module, surface: &Surface) -> Result<()> {
    for name in LIFECYCLE.into_iter().chain(surface.exports.iter().map(String::as_str)) {
        let found = module.exports.iter().any(|export| export.name == name);
        ensure!(found, "callback {name} is listed, but the module does not export it");
    }
    let allocates = module.exports.iter().any(|export| ALLOCATORS.contains(&export.name.as_str()));
    ensure!(allocates, "the module exports none of {}", ALLOCATORS.join(", "));
    let unhandled: Vec<_> =
        module.exports.iter().filter(|e| !is_kept(&e.name, surface)).map(|e| e.id()).collect();
    for id in unhandled {
        module.exports.delete(id);
    }
    Ok(())
}

fn is_kept(export: &str, surface: &Surface) -> bool {
    !export.starts_with("proxy_on_")
        || LIFECYCLE.contains(&export)
        || ALLOCATORS.contains(&export)
        || surface.exports.contains(export)
}

struct Graph {
    calls: HashMap<FunctionId, Vec<FunctionId>>,
    imports: HashMap<FunctionId, String>,
    provided: HashSet<FunctionId>,
    roots: Vec<FunctionId>,
}

impl Graph {
    fn of(module: &Module) -> Result<Self> {
        ensure!(
            module.funcs.iter_local().any(|(id, _)| is_provided_method(&name_of(module, id))),
            "no SDK method found by name: build with the function names kept (strip = \"none\")"
        );
        let mut graph = Self {
            calls: HashMap::new(),
            imports: HashMap::new(),
            provided: HashSet::new(),
            roots: Vec::new(),
        };
        for function in module.funcs.iter() {
            let id = function.id();
            match &function.kind {
                FunctionKind::Import(imported) => {
                    let import = module.imports.get(imported.import);
                    graph.imports.insert(id, format!("{} {}", import.module, import.name));
                }
                FunctionKind::Local(local) => {
                    let mut callees = Callees::default();
                    dfs_in_order(&mut callees, local, local.entry_block());
                    graph.calls.insert(id, callees.0);
                }
                FunctionKind::Uninitialized(_) => bail!("a function without a body"),
            }
            if is_provided_method(&name_of(module, id)) {
                graph.provided.insert(id);
            }
        }
        graph.roots.extend(module.start);
        graph.roots.extend(module.exports.iter().filter_map(|export| match export.item {
            ExportItem::Function(id) => Some(id),
            _ => None,
        }));
        for element in module.elements.iter() {
            let entries = match &element.items {
                ElementItems::Functions(functions) => functions.clone(),
                ElementItems::Expressions(_, items) => items.iter().filter_map(referenced).collect(),
            };
            graph.roots.extend(entries.into_iter().filter(|id| !graph.provided.contains(id)));
        }
        graph.roots.extend(module.globals.iter().filter_map(|global| match &global.kind {
            walrus::GlobalKind::Local(value) => referenced(value),
            walrus::GlobalKind::Import(_) => None,
        }));
        Ok(graph)
    }

    /// Returns every host function that is reachable from `roots`, with the function that calls it.
    fn reach(&self, roots: &[FunctionId]) -> BTreeMap<&str, FunctionId> {
        let mut reached = BTreeMap::new();
        let mut seen: HashSet<FunctionId> = roots.iter().copied().collect();
        let mut waiting = roots.to_vec();
        while let Some(caller) = waiting.pop() {
            for callee in self.calls.get(&caller).into_iter().flatten() {
                if let Some(import) = self.imports.get(callee) {
                    reached.insert(import.as_str(), caller);
                }
                if seen.insert(*callee) {
                    waiting.push(*callee);
                }
            }
        }
        reached
    }

    fn check(&self, module: &Module, surface: &Surface) -> Result<()> {
        let known: BTreeSet<&str> = self.imports.values().map(String::as_str).collect();
        let called = self.reach(&self.roots);
        for import in surface.imports.iter().map(String::as_str) {
            ensure!(known.contains(import), "import {import} is listed, but the module does not know it");
            ensure!(called.contains_key(import), "import {import} is listed, but nothing calls it");
        }
        for (import, caller) in called {
            let caller = name_of(module, caller);
            ensure!(
                surface.imports.contains(import),
                "import {import} is called by {caller}, but not listed"
            );
        }
        Ok(())
    }
}

#[derive(Default)]
struct Callees(Vec<FunctionId>);

impl<'instr> Visitor<'instr> for Callees {
    fn visit_call(&mut self, call: &Call) {
        self.0.push(call.func);
    }

    fn visit_return_call(&mut self, call: &ReturnCall) {
        self.0.push(call.func);
    }

    fn visit_ref_func(&mut self, reference: &RefFunc) {
        self.0.push(reference.func);
    }
}

fn referenced(value: &ConstExpr) -> Option<FunctionId> {
    match value {
        ConstExpr::RefFunc(id) => Some(*id),
        _ => None,
    }
}

fn cut_provided_methods(module: &mut Module, graph: &Graph, surface: &Surface) {
    let never_called = FunctionBuilder::new(&mut module.types, &[], &[]);
    let never_called = {
        let mut builder = never_called;
        builder.func_body().unreachable();
        builder.finish(Vec::new(), &mut module.funcs)
    };
    let reaches_unlisted =
        |id: &FunctionId| graph.reach(&[*id]).keys().any(|import| !surface.imports.contains(*import));
    for element in module.elements.iter_mut() {
        if let ElementItems::Functions(functions) = &mut element.items {
            for entry in functions.iter_mut().filter(|id| graph.provided.contains(id) && reaches_unlisted(id))
            {
                *entry = never_called;
            }
        }
    }
}

fn check_finished(module: &Module, surface: &Surface) -> Result<()> {
    let left: BTreeSet<String> =
        module.imports.iter().map(|import| format!("{} {}", import.module, import.name)).collect();
    for import in module.imports.iter() {
        ensure!(matches!(import.kind, ImportKind::Function(_)), "import {} is not a function", import.name);
    }
    if let Some(import) = left.symmetric_difference(&surface.imports).next() {
        bail!("import {import} is in only one of the finished module and the list");
    }
    Ok(())
}

fn name_of(module: &Module, id: FunctionId) -> String {
    let name = module.funcs.get(id).name.as_deref().unwrap_or("a function without a name");
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Returns true if `name` is a method of an SDK trait that the SDK's dispatcher never calls, written as either
/// `<Stream as proxy_wasm::traits::Context>::done` or `proxy_wasm::traits::Context::done`.
fn is_provided_method(name: &str) -> bool {
    let Some((before, method)) = name.rsplit_once("::") else { return false };
    let of_the_sdk = ["Context", "RootContext", "StreamContext", "HttpContext"]
        .iter()
        .any(|name| before.trim_end_matches('>').ends_with(&format!("proxy_wasm::traits::{name}")));
    let dispatched = method.starts_with("on_") || method.starts_with("create_") || method == "get_type";
    of_the_sdk && !dispatched
}

#[cfg(test)]
mod tests;
