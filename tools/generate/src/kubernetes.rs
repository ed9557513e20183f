//! The Deployment of an Envoy that mounts a module's image for each filter.

use crate::filter::Filter;
use crate::for_each;
use crate::mesh::{REGISTRY, VERSION};
use crate::region::Regions;

/// The mounts, and the volumes that they mount.
pub fn gateway(filters: &[Filter]) -> Regions {
    let mount = |filter: &Filter| {
        let name = filter.listed.root_id;
        format!(
            "- {{ name: {name}, mountPath: /etc/envoy/{name}.wasm, subPath: plugin.wasm, readOnly: true }}\n"
        )
    };
    let volume = |filter: &Filter| {
        let name = filter.listed.root_id;
        format!(
            "- name: {name}\n  image:\n    reference: {REGISTRY}/{name}:{VERSION}\n    pullPolicy: IfNotPresent\n"
        )
    };
    Regions::from([("mounts", for_each(filters, mount)), ("volumes", for_each(filters, volume))])
}
