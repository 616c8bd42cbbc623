//! A netlink socket: Linux's news, its tables, and what it is asked.
//!
//! News and answers come by separate sockets. Each piece of news speaks of one entry absolutely
//! ("this neighbour is now so"), so that those which arrive while a table is being read can be
//! applied to what was read afterwards, in order: doing so a second time does no harm.

use std::io;
use std::ops::RangeInclusive;

use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::constants::{
    RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE, RTMGRP_LINK,
    RTMGRP_NEIGH,
};
use rtnetlink::packet_core::{
    NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};
use rtnetlink::packet_route::route::{RouteMessage, RouteType};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

use super::neighbour::NextHop;
use super::route::Origin;
use super::routes::{Effect, Routes};
use crate::limits::NETLINK_BUFFER;

/// Linux writes at most 32 KiB at a time, but for a single message that is larger [octets].
const DATAGRAM_MAX: usize = 64 * 1024;

/// How often a table is read before a picture that changed underneath is taken as it is. What it
/// may lack is then announced, or found the next time.
const DUMP_ATTEMPTS: usize = 4;

/// A message of Linux's.
pub(super) type News = NetlinkMessage<RouteNetlinkMessage>;

/// A netlink socket, and the datagram last received on it.
pub(super) struct Netlink {
    socket: TokioSocket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Netlink {
    /// A socket on which Linux announces every change of links, addresses, routes, neighbours and
    /// nexthop objects.
    pub(super) fn news() -> io::Result<Netlink> {
        let mut news = Netlink::open(
            RTMGRP_LINK
                | RTMGRP_NEIGH
                | RTMGRP_IPV4_IFADDR
                | RTMGRP_IPV6_IFADDR
                | RTMGRP_IPV4_ROUTE
                | RTMGRP_IPV6_ROUTE,
        )?;
        // A Linux from before 5.3 has no such objects.
        let _ = news.socket.socket_mut().add_membership(GROUP_NEXTHOP);
        Ok(news)
    }

    /// A socket to ask on, or to read tables by.
    pub(super) fn questions() -> io::Result<Netlink> {
        Netlink::open(0)
    }

    fn open(groups: u32) -> io::Result<Netlink> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind(&SocketAddr::new(0, groups))?;
        // Beyond `net.core.rmem_max` where we may; otherwise as much as we can get.
        if setsockopt(socket.socket_ref(), sockopt::RcvBufForce, &NETLINK_BUFFER).is_err() {
            setsockopt(socket.socket_ref(), sockopt::RcvBuf, &NETLINK_BUFFER)?;
        }
        Ok(Netlink { socket, buffer: Vec::with_capacity(DATAGRAM_MAX), sequence: 0 })
    }

    /// Waits for a datagram; read it with [`Netlink::messages`]. May be cancelled at any time.
    ///
    /// # Errors
    /// `ENOBUFS` when the buffer overflowed: messages are lost and everything is to be read
    /// again. Anything else means that the socket is of no more use.
    pub(super) async fn receive(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer).await
    }

    /// The messages of the datagram last received.
    pub(super) fn messages(&self) -> impl Iterator<Item = Result<News, Unread>> {
        Datagram { rest: &self.buffer }
    }

    /// Asks Linux to find out a neighbour's Ethernet address, or to confirm the one it has.
    ///
    /// It is told that the neighbour is in use (NTF_USE), as if a packet of its own had been sent
    /// there. Its answer is a notification; a refusal comes back on this socket.
    pub(super) async fn use_neighbour(&mut self, next_hop: NextHop) -> io::Result<()> {
        let mut message = NeighbourMessage::default();
        message.header.family = match next_hop.address {
            std::net::IpAddr::V4(_) => AddressFamily::Inet,
            std::net::IpAddr::V6(_) => AddressFamily::Inet6,
        };
        message.header.ifindex = next_hop.ifindex;
        message.header.flags = NeighbourFlags::Use;
        message.header.kind = RouteType::Unicast;
        message.attributes.push(NeighbourAttribute::Destination(match next_hop.address {
            std::net::IpAddr::V4(address) => NeighbourAddress::Inet(address),
            std::net::IpAddr::V6(address) => NeighbourAddress::Inet6(address),
        }));
        self.send(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE).await
    }

    /// Reads one kind of table whole into `routes`.
    pub(super) async fn dump(&mut self, what: Dump, routes: &mut Routes) -> io::Result<()> {
        for attempt in 1..=DUMP_ATTEMPTS {
            let mut read = routes.clone();
            if self.dump_once(what, &mut read).await? || attempt == DUMP_ATTEMPTS {
                *routes = read;
                break;
            }
        }
        Ok(())
    }

    /// Returns whether the table stood still while it was read.
    async fn dump_once(&mut self, what: Dump, routes: &mut Routes) -> io::Result<bool> {
        self.send(what.request(), NLM_F_DUMP).await?;
        let mut stood_still = true;
        loop {
            self.receive().await?;
            // A table is there for the taking, for seconds if it is large: let others run.
            tokio::task::yield_now().await;
            for message in self.messages() {
                let Ok(message) = message else {
                    tracing::warn!("a netlink message of a {what:?} dump could not be read");
                    continue;
                };
                // Answers to something else: a neighbour that could not be asked for.
                if message.header.sequence_number != self.sequence {
                    log_refusal(&message);
                    continue;
                }
                stood_still &= message.header.flags & NLM_F_DUMP_INTR == 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(message) => {
                        routes.apply(&message, Origin::Dump);
                    }
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(-done.code));
                    }
                    NetlinkPayload::Done(_) => return Ok(stood_still),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }

    async fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        // Zero is the sequence number of what nobody asked for.
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        self.socket.send_to(&octets, &SocketAddr::new(0, 0)).await?;
        Ok(())
    }
}

/// What Linux refused, for who looks: a full neighbour table, a link that is gone.
pub(super) fn log_refusal(message: &News) {
    if let NetlinkPayload::Error(error) = &message.payload
        && error.code.is_some()
    {
        tracing::debug!("Linux refused to look for a neighbour: {}", error.to_io());
    }
}

/// Applies a notification.
pub(super) fn apply_news(routes: &mut Routes, message: &News) -> Effect {
    // A route that takes another's place says so; only routes make a difference of it.
    let replaces = message.header.flags & NLM_F_REPLACE != 0;
    let origin = if replaces { Origin::Replaced } else { Origin::Added };
    match &message.payload {
        NetlinkPayload::InnerMessage(message) => routes.apply(message, origin),
        _ => Effect::NONE,
    }
}

/// A kind of table that can be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dump {
    Links,
    Addresses,
    Routes,
    Neighbours,
}

impl Dump {
    /// Everything, in the order in which one refers to another.
    pub(super) const ALL: [Dump; 4] =
        [Dump::Links, Dump::Addresses, Dump::Routes, Dump::Neighbours];

    /// Of all address families at once: what is none of ours is left out when applied.
    fn request(self) -> RouteNetlinkMessage {
        match self {
            Dump::Links => RouteNetlinkMessage::GetLink(LinkMessage::default()),
            Dump::Addresses => RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            Dump::Routes => RouteNetlinkMessage::GetRoute(RouteMessage::default()),
            Dump::Neighbours => RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()),
        }
    }
}

/// What stands for a message that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// A nexthop object (`ip nexthop`) has come, changed or gone. Routes by it may go with it, of
    /// IPv4 without a word.
    NextHopObject,
    /// It could not be understood.
    Garbled,
}

/// The messages in a datagram.
struct Datagram<'a> {
    rest: &'a [u8],
}

impl Iterator for Datagram<'_> {
    type Item = Result<News, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::try_from(u32::from_ne_bytes(*self.rest.first_chunk()?)).ok()?;
        // What is shorter than its header or longer than what came ends the datagram.
        let message = match self.rest.get(..length) {
            Some(message) if length >= NETLINK_HEADER => message,
            _ => {
                self.rest = &[];
                return Some(Err(Unread::Garbled));
            }
        };
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        if NEXTHOP_MESSAGES.contains(&u16::from_ne_bytes([message[4], message[5]])) {
            return Some(Err(Unread::NextHopObject));
        }
        Some(NetlinkMessage::deserialize(message).map_err(|_| Unread::Garbled))
    }
}

/// Length of the header of a netlink message [octets].
const NETLINK_HEADER: usize = 16;

/// News of nexthop objects (linux/rtnetlink.h): RTNLGRP_NEXTHOP, and RTM_NEWNEXTHOP and RTM_DELNEXTHOP.
const GROUP_NEXTHOP: u32 = 32;
const NEXTHOP_MESSAGES: RangeInclusive<u16> = 104..=105;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_datagram_is_read_to_its_end(octets in prop::collection::vec(any::<u8>(), 0..256)) {
            let count = Datagram { rest: &octets }.count();
            prop_assert!(count <= octets.len() / NETLINK_HEADER + 1);
        }

        #[test]
        fn no_route_message_makes_it_panic(
            kind in 16_u16..32,
            body in prop::collection::vec(any::<u8>(), 0..128),
        ) {
            let mut octets = (16 + body.len() as u32).to_ne_bytes().to_vec();
            octets.extend(kind.to_ne_bytes());
            octets.extend([0; 10]);
            octets.extend(body);
            let mut routes = Routes::default();
            for message in (Datagram { rest: &octets }).flatten() {
                apply_news(&mut routes, &message);
            }
        }
    }
}
