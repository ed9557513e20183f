//! What Istio and Envoy Gateway are given.

use crate::Error;
use crate::documents::{self, indented};
use crate::filter::Filter;
use crate::for_each;
use crate::region::Regions;

/// Where images are, until `make package` writes the operator's registry.
pub const REGISTRY: &str = "registry.example.com/tidegate";

/// Of the images.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A WasmPlugin for each filter. Istio runs those of one phase by falling priority.
pub fn istio_chain(filters: &[Filter]) -> Regions {
    let plugin = |(left, filter): (usize, &Filter)| {
        let (name, kind) = (filter.listed.root_id, filter.kind().to_uppercase());
        let reload = match kind.as_str() {
            "NETWORK" => "  # A VM that trapped is made anew, instead of refusing everything for ever.\n",
            _ => "",
        };
        let priority = left.saturating_mul(10);
        let document = indented(&filter.shipped.mesh, 4);
        format!(
            r"---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {{ name: tidegate-{name}, namespace: istio-system }}
spec:
  selector: {{ matchLabels: {{ istio: ingressgateway }} }}
  type: {kind}
  url: oci://{REGISTRY}/{name}:{VERSION}
  imagePullPolicy: IfNotPresent
  pluginName: {name}
{reload}  failStrategy: FAIL_RELOAD
  phase: AUTHN
  priority: {priority}
  pluginConfig:
{document}"
        )
    };
    let plugins: String = (1..=filters.len()).rev().zip(filters).map(plugin).collect();
    Regions::from([("plugins", plugins)])
}

/// The document of the composite.
pub fn composite(filters: &[Filter]) -> Regions {
    Regions::from([("documents", documents::mesh(filters))])
}

/// The same where headers can be held.
pub fn holding(filters: &[Filter]) -> Result<Regions, Error> {
    let documents = indented(&documents::mesh_holding(filters)?, 2);
    Ok(Regions::from([("documents", format!("value: |\n{documents}"))]))
}

/// A module of Envoy Gateway's for each HTTP filter.
pub fn gateway_chain(filters: &[Filter]) -> Regions {
    let module = |filter: &Filter| {
        let name = filter.listed.root_id;
        let document = indented(&filter.shipped.mesh, 4);
        format!(
            r"- name: {name}
  rootID: {name}
  failOpen: false
  code:
    type: Image
    pullPolicy: IfNotPresent
    image:
      url: {REGISTRY}/{name}:{VERSION}
  config:
{document}"
        )
    };
    let modules = for_each(filters, |filter| if filter.is_http() { module(filter) } else { String::new() });
    Regions::from([("modules", modules)])
}
