//! Networks that an operator names, and whether an address is in one.

use core::fmt;
use core::net::IpAddr;
use ipnet::IpNet;
use tidegate_config::ConfigError;

const MAX_NETWORKS: usize = 256;

/// Networks of either family, each once and at most 256.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// From networks, `10.0.0.0/8`, and addresses, `::1`, as written at `path`.
    pub fn new<T: AsRef<str>>(written: &[T], path: &str) -> Result<Self, ConfigError> {
        if written.len() > MAX_NETWORKS {
            let found = written.len();
            let problem = format!("found {found} networks, accepted are up to {MAX_NETWORKS}");
            return Err(ConfigError::new(path, problem));
        }
        let network = |(index, text): (usize, &T)| network(text.as_ref(), &format!("{path}[{index}]"));
        written.iter().enumerate().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `address` is in one of them. IPv4 that is mapped into IPv6 is itself; other forms, which a client could make
    /// up of an address that is not its own, are what they are.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// With one more.
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
