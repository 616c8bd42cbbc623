//! Who is asked: an HTTP URL, as far as one is needed.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// `http://HOST[:PORT][/PATH]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) address: SocketAddr,
    /// As the URL has it.
    pub(super) authority: String,
    pub(super) path: String,
    /// Of a reply of another size, where one is known.
    pub(super) other: Option<String>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or("give http://HOST[:PORT][/PATH]")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let has_port = authority.rsplit(':').next().is_some_and(|port| {
            port.len() < authority.len() && port.bytes().all(|digit| digit.is_ascii_digit())
        });
        let with_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let mut addresses =
            with_port.to_socket_addrs().map_err(|error| format!("{authority}: {error}"))?;
        let address = addresses.next().ok_or_else(|| format!("{authority} has no address"))?;
        Ok(Target { address, authority: authority.to_owned(), path: path.to_owned(), other: None })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_whom_to_ask_for_what() {
        for (url, address, path) in [
            ("http://10.10.1.1", "10.10.1.1:80", "/"),
            ("http://10.10.1.1:8080/bytes/1024", "10.10.1.1:8080", "/bytes/1024"),
            ("http://[fd00:1::1]/", "[fd00:1::1]:80", "/"),
            ("http://[fd00:1::1]:8080", "[fd00:1::1]:8080", "/"),
        ] {
            let target: Target = url.parse().unwrap();
            assert_eq!((target.address, target.path.as_str()), (address.parse().unwrap(), path));
        }
        for url in ["10.10.1.1", "https://10.10.1.1/", "http://", "http://10.10.1.1:port/"] {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }
}
