//! How many queues an interface receives on, asked of Linux as `ethtool -l` does: over ethtool's
//! generic netlink (Linux 5.7 and later), for which no privilege is needed.

use std::io;

use super::generic_netlink::{Family, find};

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
    let reply = Family::open("ethtool")?.ask_of_device(ETHTOOL_MSG_CHANNELS_GET, ifindex)?;
    Ok(reply.map(|attributes| ReceiveQueues::read(&attributes)))
}

/// The kernel's numbers (`linux/ethtool_netlink.h`).
const ETHTOOL_MSG_CHANNELS_GET: u8 = 17;
const ETHTOOL_A_CHANNELS_RX_COUNT: u16 = 6;
const ETHTOOL_A_CHANNELS_COMBINED_COUNT: u16 = 9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::generic_netlink::{answer, attribute};
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
