//! Networks that an operator names.

use core::fmt;
use core::net::IpAddr;
use ipnet::IpNet;
use tidegate_config::ConfigError;

const MAX_NETWORKS: usize = 256;

/// At most 256 distinct networks of either family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Parses networks such as `10.0.0.0/8` and addresses such as `::1`, written at `path`.
    pub fn new<T: AsRef<str>>(written: &[T], path: &str) -> Result<Self, ConfigError> {
        if written.len() > MAX_NETWORKS {
            let found = written.len();
            let problem = format!("found {found} networks, accepted are up to {MAX_NETWORKS}");
            return Err(ConfigError::new(path, problem));
        }
        let network = |(index, text): (usize, &T)| network(text.as_ref(), &format!("{path}[{index}]"));
        written.iter().enumerate().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Returns true if there are no networks.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if `address` is in one of the networks. IPv4 mapped into IPv6 counts as IPv4. Other forms with an
    /// IPv4 address inside count as IPv6, because a client could make them up from an address that is not its own.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Adds a network.
    pub fn add(&mut self, text: &str, path: &str) -> Result<(), ConfigError> {
        self.0.push(network(text, path)?);
        Ok(())
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(IpNet::to_string).collect();
        f.write_str(&names.join(" or "))
    }
}

fn network(text: &str, path: &str) -> Result<IpNet, ConfigError> {
    let single = || text.parse().map(|address: IpAddr| IpNet::from(address));
    text.parse().or_else(|_| single()).map_err(|_| {
        let accepted = "accepted is a network such as 10.0.0.0/8 or 2001:db8::/32, or an address";
        ConfigError::new(path, format!("found {text:?}, {accepted}"))
    })
}
