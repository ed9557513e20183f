//! The reference configurations: a module for each filter, and the composite.

use crate::documents::{self, comment, indented};
use crate::filter::Filter;
use crate::for_each;
use crate::region::Regions;

/// One module for each filter.
pub fn chain(filters: &[Filter]) -> Regions {
    let of = |is_http: bool| {
        for_each(filters, |filter| if filter.is_http() == is_http { module(filter) } else { String::new() })
    };
    Regions::from([("network filters", of(false)), ("http filters", of(true))])
}

/// The HTTP filters in one module.
pub fn composite(filters: &[Filter]) -> Regions {
    let network = chain(filters).remove("network filters").unwrap_or_default();
    let documents = format!("value: |\n{}", indented(&documents::reference(filters), 2));
    Regions::from([("network filters", network), ("documents", documents)])
}

fn module(filter: &Filter) -> String {
    let (name, kind, shipped) = (filter.listed.root_id, filter.kind(), &filter.shipped);
    let before = comment(shipped.before.as_deref());
    let reload = match kind {
        "network" => "      # A VM that trapped is made anew, instead of refusing everyone for ever.\n",
        _ => "",
    };
    let holds = match &shipped.holds_headers {
        Some(why) => format!("      # {why}\n      allow_on_headers_stop_iteration: true\n"),
        None => String::new(),
    };
    let note =
        if shipped.note.is_some() { indented(&comment(shipped.note.as_deref()), 8) } else { String::new() };
    let document = indented(&shipped.reference, 10);
    format!(
        r#"{before}- name: {name}
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.{kind}.wasm.v3.Wasm
    config:
      name: {name}
      root_id: {name}
{reload}      failure_policy: FAIL_RELOAD
{holds}      vm_config:
        vm_id: tidegate
        runtime: envoy.wasm.runtime.v8
        code: {{ local: {{ filename: /etc/envoy/{name}.wasm }} }}
      configuration:
        "@type": type.googleapis.com/google.protobuf.StringValue
{note}        value: |
{document}"#
    )
}
