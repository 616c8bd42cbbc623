//! Who a packet belongs to: flow keys.

pub mod key;

pub use key::FlowKey;
