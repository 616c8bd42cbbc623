//! How many queues an interface receives on, asked of Linux as `ethtool -l` does: over ethtool's
//! generic netlink (Linux 5.7 and later), for which no privilege is needed.

use std::io;

use rtnetlink::sys::protocols::NETLINK_GENERIC;
use rtnetlink::sys::{Socket, SocketAddr};

/// Queues of a device that receive, as they are set now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveQueues {
    /// Those that only receive (`ethtool -L … rx`).
    pub receiving: u32,
    /// Those that send as well (`ethtool -L … combined`).
    pub combined: u32,
}

impl ReceiveQueues {
    pub fn total(self) -> u32 {
        self.receiving.saturating_add(self.combined)
    }

    fn read(attributes: &[u8]) -> Self {
        let count = |kind| {
            let value = find(attributes, kind).and_then(|value| value.try_into().ok());
            value.map_or(0, u32::from_ne_bytes)
        };
        ReceiveQueues {
            receiving: count(ETHTOOL_A_CHANNELS_RX_COUNT),
            combined: count(ETHTOOL_A_CHANNELS_COMBINED_COUNT),
        }
    }
}

/// The queues of device `ifindex` in the calling thread's network namespace; `None` if its driver
/// does not say.
pub fn receive_queues(ifindex: u32) -> io::Result<Option<ReceiveQueues>> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;

    let name = attribute(CTRL_ATTR_FAMILY_NAME, b"ethtool\0");
    let reply = ask(&socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &name)?;
    let family = find(&reply, CTRL_ATTR_FAMILY_ID).and_then(|value| value.try_into().ok());
    let family = u16::from_ne_bytes(family.ok_or_else(unreadable)?);

    let device = attribute(ETHTOOL_A_HEADER_DEV_INDEX, &ifindex.to_ne_bytes());
    let header = attribute(ETHTOOL_A_CHANNELS_HEADER | NLA_F_NESTED, &device);
    match ask(&socket, family, ETHTOOL_MSG_CHANNELS_GET, &header) {
        Ok(reply) => Ok(Some(ReceiveQueues::read(&reply))),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends one question; the attributes of the answer. Linux answers before the call returns.
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
fn answer(message: &[u8]) -> io::Result<Vec<u8>> {
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
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut octets = ((ATTRIBUTE_HEADER + value.len()) as u16).to_ne_bytes().to_vec();
    octets.extend(kind.to_ne_bytes());
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(ATTRIBUTE_ALIGNMENT), 0);
    octets
}

/// The value of the first attribute of a kind.
fn find(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let found = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        let value = attributes.get(ATTRIBUTE_HEADER..length)?;
        if found == kind {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(ATTRIBUTE_ALIGNMENT)..)?;
    }
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
const GENL_ID_CTRL: u16 = 16;
const GENL_VERSION: u8 = 1;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const ETHTOOL_MSG_CHANNELS_GET: u8 = 17;
const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
const ETHTOOL_A_CHANNELS_HEADER: u16 = 1;
const ETHTOOL_A_CHANNELS_RX_COUNT: u16 = 6;
const ETHTOOL_A_CHANNELS_COMBINED_COUNT: u16 = 9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queues_that_receive_and_those_that_also_send_count() {
        let attributes = [(2, 8_u32), (6, 1), (7, 4), (9, 3)]
            .map(|(kind, count)| attribute(kind, &count.to_ne_bytes()))
            .concat();
        let queues = ReceiveQueues::read(&attributes);
        assert_eq!(queues, ReceiveQueues { receiving: 1, combined: 3 });
        assert_eq!(queues.total(), 4);
    }

    #[test]
    fn a_refusal_is_told_by_its_number() {
        let mut message = 36_u32.to_ne_bytes().to_vec();
        message.extend(NLMSG_ERROR.to_ne_bytes());
        message.extend([0; 10]);
        message.extend((-19_i32).to_ne_bytes());
        message.extend([0; 16]);
        assert_eq!(answer(&message).unwrap_err().raw_os_error(), Some(19));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(attributes) = answer(&octets) {
                ReceiveQueues::read(&attributes);
            }
            ReceiveQueues::read(&octets);
        }
    }
}
