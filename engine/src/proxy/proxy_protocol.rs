//! The PROXY protocol, versions 1 and 2 (HAProxy, `proxy-protocol.txt`, revision of 2020): tells
//! the origin who the client is, in the first octets of the connection.

use std::net::{IpAddr, SocketAddr};

use super::as_v6;

/// Room that the longest header needs: version 1 over IPv6 [octets].
pub const HEADER_MAX: usize = 107;

const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Which header the origin expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// Writes the header for a connection from `client` to `service` at the front of `out`; returns
/// its length [octets].
pub fn write(
    version: Version,
    client: SocketAddr,
    service: SocketAddr,
    out: &mut [u8; HEADER_MAX],
) -> usize {
    match version {
        Version::V1 => write_v1(client, service, out),
        Version::V2 => write_v2(client, service, out),
    }
}

fn write_v1(client: SocketAddr, service: SocketAddr, out: &mut [u8; HEADER_MAX]) -> usize {
    use std::io::Write;
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let mut rest = out.as_mut_slice();
    let written = write!(
        rest,
        "PROXY {family} {} {} {} {}\r\n",
        client.ip(),
        service.ip(),
        client.port(),
        service.port()
    );
    debug_assert!(written.is_ok(), "HEADER_MAX holds the longest header");
    HEADER_MAX - rest.len()
}

fn write_v2(client: SocketAddr, service: SocketAddr, out: &mut [u8; HEADER_MAX]) -> usize {
    // Version 2, command PROXY; then family and transport (STREAM).
    const PROXY: u8 = 0x21;
    const TCP4: u8 = 0x11;
    const TCP6: u8 = 0x21;
    let mut at = 0;
    let mut put = |octets: &[u8]| {
        out[at..at + octets.len()].copy_from_slice(octets);
        at += octets.len();
    };
    put(&V2_SIGNATURE);
    match (client.ip(), service.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            put(&[PROXY, TCP4, 0, 12]);
            put(&from.octets());
            put(&to.octets());
        }
        (from, to) => {
            put(&[PROXY, TCP6, 0, 36]);
            put(&as_v6(from).octets());
            put(&as_v6(to).octets());
        }
    }
    put(&client.port().to_be_bytes());
    put(&service.port().to_be_bytes());
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: Version, client: &str, service: &str) -> Vec<u8> {
        let mut out = [0; HEADER_MAX];
        let len = write(version, client.parse().unwrap(), service.parse().unwrap(), &mut out);
        out[..len].to_vec()
    }

    #[test]
    fn version_1_is_one_line() {
        let v4 = header(Version::V1, "192.0.2.7:50000", "198.51.100.1:443");
        assert_eq!(v4, b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 443\r\n");
        let v6 = header(Version::V1, "[2001:db8::7]:50000", "[2001:db8::1]:443");
        assert_eq!(v6, b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n");
    }

    #[test]
    fn the_longest_header_fits() {
        let address = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        assert_eq!(header(Version::V1, address, address).len(), 104);
    }

    #[test]
    fn version_2_is_binary() {
        let v4 = header(Version::V2, "192.0.2.7:50000", "198.51.100.1:443");
        let mut expected = V2_SIGNATURE.to_vec();
        expected.extend([0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 0xc3, 0x50, 0x01, 0xbb]);
        assert_eq!(v4, expected);
        let v6 = header(Version::V2, "[2001:db8::7]:50000", "[2001:db8::1]:443");
        assert_eq!((v6.len(), v6[13], v6[15]), (12 + 4 + 36, 0x21, 36));
        assert_eq!(v6[48..], [0xc3, 0x50, 0x01, 0xbb]);
    }
}
