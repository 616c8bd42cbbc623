//! Those who misbehave, on either side of the appliance.
//!
//! [`Behaviour`] is how one end of a connection behaves that speaks through a strict host
//! ([`crate::appliance::peer`]), and [`Script`] what it says. [`Attack`] is somebody who has no TCP
//! worth the name and sends packets as they please. Each is plain data, and tells what end is
//! justified by it ([`Expectation`]).

mod attack;
mod behaviour;
mod conduct;
mod flood;
mod greed;
mod malformed;
mod script;

pub use attack::{Attack, Mischief, PER_SECOND_MAX, Scene};
pub use behaviour::{Behaviour, Moment};
pub use script::{HEAD, Role, Script, proxy_header};

/// What end of a connection is justified. What either end has received is a beginning of what the
/// other has said, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expectation {
    /// Both ends receive all, and then a FIN.
    Whole,
    /// It may be cut short, but both ends learn of it.
    EitherEndMayReset,
    /// One end is not there to learn anything; the other is told.
    Nothing,
}

impl Expectation {
    /// What is justified if two ends, or an end and the network, give reason for this and that.
    pub fn and(self, other: Expectation) -> Expectation {
        self.max(other)
    }
}
