//! The requests that no limit charges: from exempt networks, for exempt paths, and, without a configured list, requests
//! for health or metrics and CORS preflights, which cost no model anything.

use crate::client::ClientSources;
use crate::network::Networks;
use core::fmt;
use tidegate_config::ConfigError;
use tidegate_host::exchange::Exchange;
use tidegate_host::headers::HeaderMap;
use tidegate_policy::path::is_canonical;

const PREFLIGHT: &str = "preflight";
const USUAL: [&str; 3] = ["/health", "/metrics", PREFLIGHT];
const MAX_ENTRIES: usize = 256;

/// The exemptions.
#[derive(Debug, Default)]
pub struct Exempt {
    networks: Networks,
    paths: Vec<Vec<u8>>,
    preflights: bool,
}

impl Exempt {
    /// Validates `exempt`: networks, paths, and `preflight`.
    pub fn new(written: Option<Vec<String>>) -> Result<Self, ConfigError> {
        let written = written.unwrap_or_else(|| USUAL.map(str::to_owned).to_vec());
        if written.len() > MAX_ENTRIES {
            let problem = format!("found {} entries, accepted are up to {MAX_ENTRIES}", written.len());
            return Err(ConfigError::new("exempt", problem));
        }
        let mut exempt = Self::default();
        for (index, entry) in written.into_iter().enumerate() {
            let path = format!("exempt[{index}]");
            match entry.as_str() {
                PREFLIGHT => exempt.preflights = true,
                _ if !entry.starts_with('/') => exempt.networks.add(&entry, &path).map_err(|_| {
                    let accepted =
                        "accepted are networks such as 10.0.0.0/8, paths such as /health, and preflight";
                    ConfigError::new(&path, format!("found {entry:?}, {accepted}"))
                })?,
                _ if is_canonical(entry.as_bytes()) => exempt.paths.push(entry.into_bytes()),
                _ => {
                    let accepted =
                        "accepted is a path without %, ?, #, // and dot segments: requests are matched so";
                    return Err(ConfigError::new(path, format!("found {entry:?}, {accepted}")));
                }
            }
        }
        Ok(exempt)
    }

    /// Returns true if this request is exempt. Costs one host call if networks are exempt and addresses come from no
    /// header.
    pub fn holds(&self, exchange: &dyn Exchange, clients: &ClientSources) -> bool {
        let headers = exchange.request_headers();
        (!self.paths.is_empty() && self.has_path(&headers.path()))
            || (self.preflights && is_preflight(headers))
            || (!self.networks.is_empty()
                && clients.address(exchange).is_some_and(|address| self.networks.contain(address)))
    }

    fn has_path(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|exempt| match exempt.last() {
            Some(b'/') => path.starts_with(exempt),
            _ => path == exempt.as_slice(),
        })
    }
}

/// Returns true for a CORS preflight.
///
/// Source: the Fetch standard, "CORS-preflight request".
fn is_preflight(headers: &HeaderMap) -> bool {
    headers.method() == b"OPTIONS" && headers.all(b"access-control-request-method").next().is_some()
}

impl fmt::Display for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.paths.iter().map(|path| String::from_utf8_lossy(path).into_owned());
        let networks = (!self.networks.is_empty()).then(|| format!("requests from {}", self.networks));
        let preflights = self.preflights.then(|| "CORS preflights".to_owned());
        let names: Vec<_> = paths.chain(preflights).chain(networks).collect();
        f.write_str(if names.is_empty() { "nothing" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_host::fake::FakeProxy;

    fn holds(written: Option<&[&str]>, headers: &[(&str, &str)]) -> bool {
        let written = written.map(|entries| entries.iter().map(|entry| (*entry).to_owned()).collect());
        let mut proxy = FakeProxy::default();
        proxy.peer = Some("10.1.2.3".parse().unwrap());
        let clients = ClientSources::new(None, None).unwrap();
        Exempt::new(written).unwrap().holds(&proxy.exchange(headers), &clients)
    }

    #[test]
    fn requests_that_cost_no_model_anything_are_exempt_by_default() {
        let preflight = [(":method", "OPTIONS"), ("access-control-request-method", "POST")];
        for headers in [&[(":path", "/health")][..], &[(":path", "//metrics?x")], &preflight] {
            assert!(holds(None, headers) && !holds(Some(&[]), headers));
        }
        for headers in [&[(":path", "/health/x")][..], &[(":path", "/healthz")], &[(":method", "OPTIONS")]] {
            assert!(!holds(None, headers));
        }
    }

    #[test]
    fn a_list_may_contain_networks_and_paths() {
        assert!(holds(Some(&["10.0.0.0/8"]), &[]) && !holds(Some(&["11.0.0.0/8"]), &[]));
        assert!(holds(Some(&["/a/"]), &[(":path", "/a/b")]) && !holds(Some(&["/a/"]), &[(":path", "/a")]));
    }

    #[test]
    fn an_invalid_entry_is_refused() {
        for (entry, accepted) in
            [("health", "paths such as"), ("10.0.0.0/33", "networks"), ("/a/../b", "dot")]
        {
            let error = Exempt::new(Some(vec!["/x".to_owned(), entry.to_owned()])).unwrap_err().to_string();
            assert!(error.contains("exempt[1]") && error.contains(accepted), "{error}");
        }
    }
}
