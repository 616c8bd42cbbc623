//! Which packets are wanted: alternatives of tests that all have to hold.
//!
//! A plain value of fixed size. How it is written is the command's business, which makes of any
//! expression such alternatives.

use std::net::SocketAddr;

use ipnet::IpNet;
use thiserror::Error;

use super::About;
use crate::limits::{CAPTURE_ALTERNATIVES_MAX as ALTERNATIVES_MAX, CAPTURE_TESTS_MAX as TESTS_MAX};
use crate::wire::tcp::Flags;

/// See the module.
#[derive(Clone, Debug)]
pub struct Filter {
    alternatives: [Alternative; ALTERNATIVES_MAX],
    count: usize,
    asks_for_drops: bool,
}

/// Tests that all have to hold; the first `None` ends them.
type Alternative = [Option<Literal>; TESTS_MAX];

/// A test, and whether it is to hold or not to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    pub test: Test,
    pub holds: bool,
}

/// What can be asked of a packet. Addresses and ports are those of either end, of either leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// By index.
    Service(u16),
    Net(IpNet),
    Port(u16),
    /// All of these are set.
    Flags(Flags),
    /// Dropped, for this reason or any.
    Drop(Option<&'static str>),
}

/// More alternatives than a filter has room for, or more tests in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "is too long: it comes to more than {ALTERNATIVES_MAX} alternatives, or {TESTS_MAX} tests in one"
)]
pub struct TooLong;

impl Filter {
    /// One that takes every packet.
    pub const ALL: Filter = Filter {
        alternatives: [[None; TESTS_MAX]; ALTERNATIVES_MAX],
        count: 1,
        asks_for_drops: false,
    };

    /// Takes what any of `alternatives` takes: what all of its tests allow.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn any_of(alternatives: &[Vec<Literal>]) -> Result<Self, TooLong> {
        let mut filter = Filter { count: alternatives.len(), ..Filter::ALL };
        let places = filter.alternatives.get_mut(..alternatives.len()).ok_or(TooLong)?;
        for (place, literals) in places.iter_mut().zip(alternatives) {
            let tests = place.get_mut(..literals.len()).ok_or(TooLong)?;
            tests.iter_mut().zip(literals).for_each(|(test, literal)| *test = Some(*literal));
        }
        let asks = |literal: &Literal| matches!(literal.test, Test::Drop(_));
        filter.asks_for_drops = alternatives.iter().flatten().any(asks);
        Ok(filter)
    }

    /// Whether it can be answered only when it is known whether a packet is dropped.
    pub fn asks_for_drops(&self) -> bool {
        self.asks_for_drops
    }

    /// Whether a packet is wanted that was `dropped` for that reason, or not at all.
    pub fn matches(&self, about: &About, dropped: Option<&str>) -> bool {
        let holds = |literal: &Literal| literal.test.holds(about, dropped) == literal.holds;
        self.alternatives[..self.count]
            .iter()
            .any(|all| all.iter().map_while(Option::as_ref).all(holds))
    }
}

impl Test {
    fn holds(&self, about: &About, dropped: Option<&str>) -> bool {
        match self {
            Test::Service(index) => about.service == Some(*index),
            Test::Net(net) => ends(about).any(|end| net.contains(&end.ip())),
            Test::Port(port) => ends(about).any(|end| end.port() == *port),
            Test::Flags(flags) => about.flags.contains(*flags),
            Test::Drop(None) => dropped.is_some(),
            Test::Drop(Some(reason)) => dropped == Some(*reason),
        }
    }
}

/// Both ends of both legs, as far as they are known.
fn ends(about: &About) -> impl Iterator<Item = SocketAddr> + '_ {
    about.flows.iter().flatten().flat_map(|flow| [flow.local(), flow.remote()])
}
