//! Questions over generic netlink, one at a time; no privilege is needed for those asked here.

use std::io;

use rtnetlink::sys::protocols::NETLINK_GENERIC;
use rtnetlink::sys::{Socket, SocketAddr};

/// A family of questions, such as `ethtool`, in the network namespace of the thread that opened it.
pub(super) struct Family {
    socket: Socket,
    id: u16,
}

impl Family {
    /// Fails with `NotFound` on a kernel that does not know the family.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let name = attribute(CTRL_ATTR_FAMILY_NAME, &[name.as_bytes(), b"\0"].concat());
        let reply = ask(&socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &name)?;
        let id = find(&reply, CTRL_ATTR_FAMILY_ID).and_then(|value| value.try_into().ok());
        let id = u16::from_ne_bytes(id.ok_or_else(unreadable)?);
        Ok(Family { socket, id })
    }

    /// Sends one question; the attributes of the answer.
    pub(super) fn ask(&self, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
        ask(&self.socket, self.id, command, attributes)
    }

    /// The same of ethtool's family about one device; `None` if its driver does not say.
    pub(super) fn ask_of_device(&self, command: u8, ifindex: u32) -> io::Result<Option<Vec<u8>>> {
        let device = attribute(ETHTOOL_A_HEADER_DEV_INDEX, &ifindex.to_ne_bytes());
        match self.ask(command, &attribute(ETHTOOL_A_HEADER | NLA_F_NESTED, &device)) {
            Ok(reply) => Ok(Some(reply)),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Linux answers before the call returns.
fn ask(socket: &Socket, family: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let length = (HEADERS + attributes.len()) as u32;
    let mut question = Vec::with_capacity(HEADERS + attributes.len());
    question.extend(length.to_ne_bytes());
    question.extend(family.to_ne_bytes());
    question.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number, and who asks: left to Linux.
    question.extend([0; 8]);
    question.extend([command, GENL_VERSION, 0, 0]);
    question.extend(attributes);
    socket.send(&question, 0)?;
    answer(&socket.recv_from_full()?.0)
}

/// The attributes of a message, or the error that it carries.
pub(super) fn answer(message: &[u8]) -> io::Result<Vec<u8>> {
    let length = message.first_chunk().map_or(0, |octets| u32::from_ne_bytes(*octets) as usize);
    let message = message.get(..length).ok_or_else(unreadable)?;
    let kind = message.get(4..6).ok_or_else(unreadable)?;
    if kind == NLMSG_ERROR.to_ne_bytes() {
        let code = message.get(16..20).and_then(|octets| octets.try_into().ok());
        let code = i32::from_ne_bytes(code.ok_or_else(unreadable)?);
        return Err(io::Error::from_raw_os_error(code.saturating_neg()));
    }
    message.get(HEADERS..).map(<[u8]>::to_vec).ok_or_else(unreadable)
}

/// One attribute, padded.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut octets = ((ATTRIBUTE_HEADER + value.len()) as u16).to_ne_bytes().to_vec();
    octets.extend(kind.to_ne_bytes());
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(ATTRIBUTE_ALIGNMENT), 0);
    octets
}

/// The value of the first attribute of a kind.
pub(super) fn find(octets: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(octets).find_map(|(found, value)| (found == kind).then_some(value))
}

/// Kind and value of each attribute, as far as they make sense.
pub(super) fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*octets.first_chunk()?));
        let kind = u16::from_ne_bytes(octets.get(2..4)?.try_into().ok()?) & NLA_TYPE_MASK;
        let value = octets.get(ATTRIBUTE_HEADER..length)?;
        octets = octets.get(length.next_multiple_of(ATTRIBUTE_ALIGNMENT)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer that cannot be understood")
}

/// Headers of netlink and of generic netlink [octets].
const HEADERS: usize = 16 + 4;
const ATTRIBUTE_HEADER: usize = 4;
const ATTRIBUTE_ALIGNMENT: usize = 4;
/// The kernel's numbers (`linux/netlink.h`, `linux/genetlink.h`, `linux/ethtool_netlink.h`).
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLA_F_NESTED: u16 = 1 << 15;
const NLA_TYPE_MASK: u16 = !(0b11 << 14);
const GENL_ID_CTRL: u16 = 16;
const GENL_VERSION: u8 = 1;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const ETHTOOL_A_HEADER: u16 = 1;
const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_number() {
        let mut message = 36_u32.to_ne_bytes().to_vec();
        message.extend(NLMSG_ERROR.to_ne_bytes());
        message.extend([0; 10]);
        message.extend((-19_i32).to_ne_bytes());
        message.extend([0; 16]);
        assert_eq!(answer(&message).unwrap_err().raw_os_error(), Some(19));
    }

    #[test]
    fn attributes_are_found_in_turn() {
        let two = [attribute(7, b"abc"), attribute(9 | NLA_F_NESTED, b"d")].concat();
        assert_eq!(find(&two, 9), Some(&b"d"[..]));
        assert_eq!(find(&two, 8), None);
        let kinds: Vec<_> = attributes(&two).map(|(kind, value)| (kind, value.len())).collect();
        assert_eq!(kinds, [(7, 3), (9, 1)]);
    }
}
