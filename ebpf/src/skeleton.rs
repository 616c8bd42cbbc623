//! The skeletons that libbpf-cargo generated from the compiled programs, and with them the
//! structures of `bpf/structs.h` as Rust types.

#![allow(unsafe_code, reason = "generated")]
#![allow(unreachable_pub, missing_debug_implementations, reason = "generated")]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks, reason = "generated")]
#![allow(clippy::allow_attributes_without_reason, reason = "generated")]

mod acceptor {
    include!(concat!(env!("OUT_DIR"), "/acceptor.skel.rs"));
}

mod shield {
    include!(concat!(env!("OUT_DIR"), "/shield.skel.rs"));
}

mod wire {
    include!(concat!(env!("OUT_DIR"), "/wire.skel.rs"));
}

pub(crate) use acceptor::AcceptorSkelBuilder;
pub(crate) use shield::{ShieldSkelBuilder, types};
pub(crate) use wire::WireSkelBuilder;
