//! The same object in the hands of aya: agents in pure Rust can carry the same shield.

use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::{HashMap, PerCpuArray, XskMap};
use aya::programs::{Xdp, XdpFlags};
use ringroad_ebpf::{SHIELD_OBJECT, Verdict};

use crate::rig::{in_namespace, runs_xdp, veth_pair};

/// What is received, each verdict, and buckets that were evicted.
const COUNTERS: usize = 2 + Verdict::ALL.len();

#[test]
fn aya_loads_fills_and_attaches_the_same_object() {
    in_namespace(|| {
        veth_pair();
        // In memory of its own: the parser wants it aligned.
        let object = SHIELD_OBJECT.to_vec();
        let mut ebpf = Ebpf::load(&object).expect("aya loads the object");

        let services = ebpf.map_mut("services").expect("the map of services");
        let mut services: HashMap<_, [u8; 24], [u8; 8]> =
            services.try_into().expect("a hash map of the right sizes");
        services.insert([0; 24], [0; 8], 0).expect("insert a service");
        assert!(XskMap::try_from(ebpf.map("xsks").expect("the map of sockets")).is_ok());
        let counters = ebpf.map("counters").expect("the map of counters");
        let counters: PerCpuArray<_, [u64; COUNTERS]> =
            counters.try_into().expect("a per-CPU array");
        assert!(counters.get(&0, 0).expect("counters").iter().all(|cpu| *cpu == [0; COUNTERS]));

        let program = ebpf.program_mut("ringroad_shield").expect("the program");
        let program: &mut Xdp = program.try_into().expect("an XDP program");
        program.load().expect("the verifier accepts it");
        program.attach("veth0", XdpFlags::DRV_MODE).expect("aya attaches it");
        assert!(runs_xdp("veth0"));
        drop(ebpf);
        // aya closes the link; a process being started by another test may hold a copy until it
        // runs.
        let deadline = Instant::now() + Duration::from_secs(10);
        while runs_xdp("veth0") {
            assert!(Instant::now() < deadline, "detached");
        }
    });
}
