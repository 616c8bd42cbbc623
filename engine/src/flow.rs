//! Who a packet belongs to: flow keys, their keyed hash, and the table that finds them.
//!
//! A [`FlowKey`] names one TCP connection as seen from our side. A [`FlowHasher`] makes of it a
//! hash that nobody outside can predict, and a [`FlowTable`] finds the slot index stored for it: in
//! memory taken once, in a bounded number of steps, whatever keys an attacker chooses. Among several
//! workers a [`Steering`] says whose a flow is.
//!
//! Start reading at [`FlowTable`].

pub mod hash;
pub mod key;
pub mod steering;
pub mod table;
pub mod toeplitz;

pub use hash::{FlowHash, FlowHasher};
pub use key::FlowKey;
pub use steering::{Owner, Rss, Steering};
pub use table::{FlowTable, Full};
