use super::*;

/// An IPv4 header from 198.51.100.7 to 203.0.113.9 and 8 octets of TCP, without a checksum of its
/// own: nobody verifies the one of a quoted header.
const QUOTED: [u8; 28] = [
    0x45, 0x00, 0x05, 0xdc, 0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0x00, 0x00, 0xc6, 0x33, 0x64, 0x07,
    0xcb, 0x00, 0x71, 0x09, 0x01, 0xbb, 0xb2, 0x6e, 0x01, 0x02, 0x03, 0x04,
];

fn message(kind: u8, code: u8, quoted: &[u8], pseudo_header: u16) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0, 0, 0, 0x05, 0x78];
    message.extend_from_slice(quoted);
    let sum = checksum::combine(
        checksum::sum(&message),
        checksum::with_length(pseudo_header, if pseudo_header == 0 { 0 } else { message.len() }),
    );
    message[2..4].copy_from_slice(&checksum::finish(sum).to_be_bytes());
    message
}

fn v4(kind: u8, code: u8) -> Option<IcmpErrorKind> {
    IcmpError::parse_v4(&message(kind, code, &QUOTED, 0)).expect("valid").map(|error| error.kind)
}

fn v6(kind: u8, code: u8) -> Option<IcmpErrorKind> {
    let mut quoted = [0; 48];
    quoted[0] = 0x60;
    quoted[6] = PROTOCOL_TCP;
    let message = message(kind, code, &quoted, 0x1234);
    IcmpError::parse_v6(&message, 0x1234).expect("valid").map(|error| error.kind)
}

#[test]
fn types_and_codes() {
    assert_eq!(v4(3, 4), Some(IcmpErrorKind::PacketTooBig { mtu: 1400 }));
    assert_eq!(v4(3, 2), Some(IcmpErrorKind::PortUnreachable));
    assert_eq!(v4(3, 3), Some(IcmpErrorKind::PortUnreachable));
    assert_eq!(v4(3, 13), Some(IcmpErrorKind::Unreachable { code: 13 }));
    assert_eq!(v4(11, 0), None, "time exceeded");
    assert_eq!(v4(8, 0), None, "echo request");

    assert_eq!(v6(2, 77), Some(IcmpErrorKind::PacketTooBig { mtu: 1400 }));
    assert_eq!(v6(1, 4), Some(IcmpErrorKind::PortUnreachable));
    assert_eq!(v6(1, 1), Some(IcmpErrorKind::Unreachable { code: 1 }));
    assert_eq!(v6(3, 0), None, "time exceeded");
    assert_eq!(v6(135, 0), None, "neighbour solicitation");
}

#[test]
fn an_error_about_other_protocols_is_not_judged() {
    let mut quoted = QUOTED;
    quoted[9] = 17;
    let mut damaged = message(3, 3, &quoted, 0);
    damaged[2] ^= 1;
    assert_eq!(IcmpError::parse_v4(&damaged), Ok(None));
}

#[test]
fn a_quoted_later_fragment_names_no_segment() {
    let mut quoted = QUOTED;
    quoted[7] = 1;
    assert_eq!(IcmpError::parse_v4(&message(3, 4, &quoted, 0)), Ok(None));
}

#[test]
fn a_quoted_header_with_options_is_measured() {
    let mut quoted = QUOTED.to_vec();
    quoted[0] = 0x46;
    quoted.splice(20..20, [1, 1, 1, 1]);
    let error = IcmpError::parse_v4(&message(3, 4, &quoted, 0)).expect("valid").expect("about TCP");
    assert_eq!((error.quoted.source_port, error.quoted.destination_port), (443, 45_678));
}
