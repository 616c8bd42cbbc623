//! Hosts that are not here, laid out as sysfs and procfs would show them, and what is found there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use ringroad_config::schema::{AfXdp, XdpMode};
use ringroad_ebpf::ShieldError;
use ringroad_engine::kernel::{Link, Offloads, ReceiveQueues, SimulatedHost, XdpSupport};
use ringroad_engine::wire::ethernet::MacAddr;
use ringroad_hugepages::Nic;

use super::finding::Status;
use super::ports::Peer;
use super::process::Process;
use super::services::SourcePorts;
use super::*;

fn lay_out(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }
}

fn link(root: &Path, from: &str, to: &str) {
    let (from, to) = (root.join(from), root.join(to));
    fs::create_dir_all(from.parent().unwrap()).unwrap();
    fs::create_dir_all(&to).unwrap();
    symlink(to, from).unwrap();
}

/// A server of two sockets with two cores of two threads each: 0-3 and 4-7, siblings two apart.
/// Core 4 is all ours, 5 and 7 are isolated. A card of two ports is on node 1.
fn server() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    lay_out(
        path,
        &[
            ("sys/devices/system/cpu/online", "0-7"),
            ("sys/devices/system/cpu/isolated", "4-5,7"),
            ("sys/devices/system/cpu/nohz_full", "4"),
            ("sys/devices/system/node/node0/cpulist", "0-3"),
            ("sys/devices/system/node/node0/distance", "10 21"),
            ("sys/devices/system/node/node1/cpulist", "4-7"),
            ("sys/devices/system/node/node1/distance", "21 10"),
            ("sys/kernel/btf/vmlinux", ""),
            ("proc/sys/kernel/osrelease", "6.1.0-18-amd64"),
            ("proc/net/protocols", "protocol  size\nXDP       1088      0"),
            ("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable:  4194304 kB"),
        ],
    );
    for (cpu, siblings) in [(0, "0,2"), (1, "1,3"), (2, "0,2"), (3, "1,3")] {
        let upper = siblings.split(',').map(|n| (n.parse::<u32>().unwrap() + 4).to_string());
        let upper = upper.collect::<Vec<_>>().join(",");
        for (cpu, siblings) in [(cpu, siblings), (cpu + 4, &upper)] {
            let own = format!("sys/devices/system/cpu/cpu{cpu}");
            let governor = if cpu == 4 { "performance" } else { "powersave" };
            lay_out(
                path,
                &[
                    (&format!("{own}/topology/thread_siblings_list"), siblings),
                    (&format!("{own}/cpufreq/scaling_governor"), governor),
                ],
            );
        }
    }
    for (node, total, free) in [(0, "100", "100"), (1, "40", "8")] {
        let pool = format!("sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
        lay_out(
            path,
            &[(&format!("{pool}/nr_hugepages"), total), (&format!("{pool}/free_hugepages"), free)],
        );
    }
    for function in [0, 1] {
        let device = format!("sys/bus/pci/devices/0000:3b:00.{function}");
        lay_out(
            path,
            &[(&format!("{device}/numa_node"), "1"), (&format!("{device}/class"), "0x020000")],
        );
    }
    link(path, "sys/bus/pci/devices/0000:3b:00.0/driver", "sys/bus/pci/drivers/ice");
    root
}

fn read(root: &Path) -> Host {
    Host::read(&root.join("sys"), &root.join("proc")).unwrap()
}

/// Every finding in one line: status, check, subject, message, fix.
fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        let Finding { check, subject, status, message, fix } = finding;
        let subject = subject.as_deref().map(|subject| format!(" {subject}")).unwrap_or_default();
        let fix = fix.as_deref().map(|fix| format!(" → {fix}")).unwrap_or_default();
        assert_eq!(*status == Status::Ok, fix.is_empty(), "{message}{fix}");
        format!("{status:?} {check}{subject}: {message}{fix}")
    };
    findings.iter().map(line).collect()
}

const ALL_CORES: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

#[test]
fn a_core_that_is_all_ours_is_good() {
    let root = server();
    let cpus = read(root.path()).cpus;
    let mut findings = cores::judge(&[4], &ALL_CORES, &cpus);
    assert_eq!(
        lines(&[findings.remove(0), findings.pop().unwrap()]),
        [
            "Ok core-isolation core 4: Linux leaves it alone",
            "Ok frequency core 4: governor performance",
        ]
    );
    assert_eq!(
        lines(&findings),
        ["Warning smt-siblings core 4: shares a physical core with core 6, where Linux runs \
             programs → leave that one unused: echo 0 > /sys/devices/system/cpu/cpu6/online"]
    );
}

#[test]
fn cores_that_are_shared_or_slow_are_told() {
    let root = server();
    let cpus = read(root.path()).cpus;
    assert_eq!(
        lines(&cores::judge(&[0, 5, 7, 9], &ALL_CORES[..7], &cpus)),
        [
            "Warning core-isolation core 0: Linux runs other programs there too; each makes packets \
             wait, or be dropped → boot with isolcpus=3 nohz_full=3 rcu_nocbs=3, and give \
             engine.cores that core: Linux needs core 0 itself",
            "Warning smt-siblings core 0: shares a physical core with core 2, where Linux runs \
             programs → leave that one unused: echo 0 > /sys/devices/system/cpu/cpu2/online",
            "Warning frequency core 0: governor powersave: slow after every pause → echo performance \
             > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "Note core-isolation core 5: isolated, but for the timer's tick → boot with nohz_full=5 \
             rcu_nocbs=5 as well",
            "Warning smt-siblings core 5: polls on the same physical core as core 7, for half the \
             speed each → give engine.cores one thread of each physical core",
            "Warning frequency core 5: governor powersave: slow after every pause → echo performance \
             > /sys/devices/system/cpu/cpu5/cpufreq/scaling_governor",
            "Failure core core 7: is not online, or not this process's to use → choose from 0-6 in \
             engine.cores",
            "Failure core core 9: is not online, or not this process's to use → choose from 0-6 in \
             engine.cores",
        ]
    );
}

#[test]
fn the_cores_of_a_host_are_summed_up() {
    let root = server();
    assert_eq!(
        lines(&cores::overview(&read(root.path()))),
        [
            "Ok cores: 0-7 on 2 NUMA nodes, SMT on; isolated 4-5,7",
            "Warning frequency cores 0-3,5-7: governor other than performance: slow after every \
             pause → give it to those that are to poll: cpupower -c CORES frequency-set -g \
             performance",
        ]
    );
}

#[test]
fn the_kernel_has_to_be_new_enough_and_have_af_xdp() {
    let root = server();
    let judge = |release: &str, protocols: &str| {
        let files = [("proc/sys/kernel/osrelease", release), ("proc/net/protocols", protocols)];
        lay_out(root.path(), &files);
        lines(&host::judge(&read(root.path()), true)).join("\n")
    };
    assert_eq!(
        judge("6.1.0-18-amd64", "XDP  1"),
        "Ok kernel: Linux 6.1.0-18-amd64 with AF_XDP and BTF"
    );
    assert_eq!(
        judge("5.10.0", "XDP  1"),
        "Failure kernel: Linux 5.10.0 is too old → boot Linux 5.15 or later"
    );
    assert_eq!(
        judge("6.1.0", "TCP  1"),
        "Failure kernel: Linux 6.1.0 has no AF_XDP sockets → boot a kernel built with \
         CONFIG_XDP_SOCKETS, as Debian's are"
    );
}

/// The packet memory of a configuration with these cores on the server.
fn memory_of(root: &Path, cores: &str, running: bool) -> Vec<String> {
    let text = format!(
        "engine: {{ frames: 16384 }}\nports: [{{ interface: eth1 }}]\n\
         services: [{{ listen: [\"192.0.2.1:80\"], origins: [\"192.0.2.2:80\"] }}]\n"
    );
    let mut config = ringroad_config::parse("edge.yaml", &text).unwrap();
    config.engine.cores = cores.split(',').map(|core| core.parse().unwrap()).collect();
    let host = read(root);
    let needs = memory::Needs::of(&config, &ports::Interfaces::new(), &host);
    lines(&memory::judge(&needs, &host, running))
}

#[test]
fn hugepages_are_counted_where_the_cores_are() {
    let root = server();
    let short = "Warning hugepages node 1: of 2 MiB: 16 needed, 8 free; with too few, packet memory \
                 is on ordinary pages, and slower → echo 48 > \
                 /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages";
    let enough = "Ok hugepages node 0: of 2 MiB: 32 needed, 100 free";
    assert_eq!(memory_of(root.path(), "0,1,4", false), [enough, short]);
    let has_its_own = "Ok hugepages node 1: of 2 MiB: 16 needed, 40 free";
    assert_eq!(memory_of(root.path(), "4", true), [has_its_own]);

    lay_out(root.path(), &[("proc/meminfo", "MemAvailable: 20480 kB")]);
    assert_eq!(
        memory_of(root.path(), "4", false),
        [
            short,
            "Failure memory: 32 MiB of packet memory are needed, 20 MiB are left → lower \
             engine.frames, or free memory",
        ]
    );
    assert_eq!(memory_of(root.path(), "0", false).len(), 1, "on hugepages that are set aside");
}

#[test]
fn what_a_process_may_not_do_is_told() {
    let process = |lacking: &[&'static str], open_files| Process {
        lacking: lacking.to_vec(),
        memlock: 8 << 20,
        open_files,
        reserves_ports: false,
    };
    assert_eq!(
        lines(&process::judge(&process(&[], 1024), 64 << 20)),
        [
            "Ok capabilities: this process has those that ringroad run needs",
            "Failure reserved-ports: /proc/sys/net/ipv4/ip_local_reserved_ports cannot be written → \
             make /proc/sys writable for it (ProtectKernelTunables=no in systemd)",
        ]
    );
    assert_eq!(
        lines(&process::judge(&process(&["CAP_NET_RAW", "CAP_BPF", "CAP_IPC_LOCK"], 64), 64 << 20)),
        [
            "Failure capabilities: this process lacks CAP_NET_RAW, CAP_BPF → run as root, for \
             example with sudo, or grant these",
            "Failure locked-memory: 8192 KiB may be locked, 65536 KiB are needed → raise it \
             (`ulimit -l`, LimitMEMLOCK= in systemd), or grant CAP_IPC_LOCK",
            "Warning open-files: 64 files may be open at a time → allow 256 (`ulimit -n`, \
             LimitNOFILE= in systemd)",
        ]
    );
}

/// A good interface: a card on node 1, one queue, zero-copy.
fn eth1() -> Interface {
    Interface {
        link: Link {
            ifindex: 7,
            name: "eth1".to_owned(),
            mac: Some(MacAddr([2, 0, 0, 0, 0, 7])),
            mtu: 1500,
            up: true,
            vlan: None,
            kind: None,
            peer: None,
            xdp_program: None,
        },
        nic: Some(Nic {
            driver: Some("ice".to_owned()),
            address: "0000:3b:00.0".parse().ok(),
            node: Some(1),
        }),
        queues: Some(ReceiveQueues { receiving: 0, combined: 1 }),
        offloads: Some(Offloads::default()),
        xdp: Some(XdpSupport { native: true, zero_copy: true }),
        vlans: Vec::new(),
        peer: None,
        occupied: None,
    }
}

/// What is wrong with a port on `interface`, polled by `core`; every line names the interface.
fn port_on(interface: &Interface, mode: XdpMode, core: usize) -> Vec<String> {
    let name = interface.link.name.clone();
    let port = AfXdp { interface: name.clone(), queues: 1, xdp_mode: mode, busy_poll: None };
    let root = server();
    let findings = ports::judge(&port, interface, &[core], &read(root.path()), false);
    assert!(findings.iter().all(|finding| finding.subject.as_ref() == Some(&name)));
    let wrong = findings.into_iter().filter(|finding| finding.status != Status::Ok);
    lines(&wrong.map(|finding| Finding { subject: None, ..finding }).collect::<Vec<_>>())
}

#[test]
fn a_good_port_has_nothing_against_it() {
    assert!(port_on(&eth1(), XdpMode::Auto, 4).is_empty());
    assert!(port_on(&eth1(), XdpMode::ZeroCopy, 4).is_empty());
}

#[test]
fn a_card_on_the_other_node_costs() {
    assert_eq!(
        port_on(&eth1(), XdpMode::Auto, 0),
        ["Warning numa: on node 1, core 0 on node 0 (distance 21, within a node 10) → choose \
          engine.cores from 4-7"]
    );
}

#[test]
fn what_stops_a_port_is_a_failure() {
    let mut eth1 = eth1();
    eth1.link.up = false;
    eth1.link.mtu = 9000;
    eth1.queues = Some(ReceiveQueues { receiving: 0, combined: 8 });
    eth1.occupied = Some(ShieldError::OtherProgram {
        interface: "eth1".to_owned(),
        program: "balancer".to_owned(),
        id: 12,
    });
    assert_eq!(
        port_on(&eth1, XdpMode::Auto, 4),
        [
            "Failure interface: is down, or nothing is plugged in → ip link set eth1 up",
            "Failure xdp-program: runs the XDP program \"balancer\" (id 12) of somebody else → stop \
             what owns it (`bpftool net`), or ip link set dev eth1 xdp off",
            "Failure receive-queues: receives on 8 queues, of which 1 would be polled → ethtool -L \
             eth1 combined 1",
            "Failure mtu: 9000: its packets do not fit one frame → ip link set eth1 mtu 3822, or less",
        ]
    );
}

#[test]
fn the_mode_is_held_against_what_the_driver_can() {
    let judge = |native, zero_copy, mode| {
        let interface = Interface { xdp: Some(XdpSupport { native, zero_copy }), ..eth1() };
        port_on(&interface, mode, 4).join("\n")
    };
    let none = "Failure xdp-support: ice has no XDP of its own, and xdp_mode is copy → set xdp_mode \
                to auto, or use a NIC whose driver has XDP";
    assert_eq!(judge(false, false, XdpMode::Copy), none);
    assert!(
        judge(true, false, XdpMode::ZeroCopy).starts_with("Failure xdp-support: ice has no zero")
    );
    assert!(judge(false, false, XdpMode::Auto).starts_with("Warning xdp-support: ice has no XDP"));
    assert!(judge(true, true, XdpMode::Generic).starts_with("Warning xdp-support: ice has XDP"));
    assert!(
        judge(true, false, XdpMode::Auto).starts_with("Note xdp-support: ice: native, the kernel")
    );
    assert_eq!(judge(true, true, XdpMode::Copy), "");
    let silent = Interface { xdp: None, queues: None, ..eth1() };
    let notes = port_on(&silent, XdpMode::Auto, 4);
    assert!(notes.len() == 2 && notes.iter().all(|note| note.starts_with("Note ")), "{notes:?}");
}

#[test]
fn offloads_that_spoil_packets_are_told() {
    let mut eth1 = eth1();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    eth1.offloads = Some(Offloads {
        active: names(&["rx-lro", "rx-gro-hw", "rx-vlan-hw-parse"]),
        changeable: names(&["rx-lro", "rx-vlan-hw-parse"]),
    });
    eth1.vlans = vec!["eth1.5".to_owned()];
    assert_eq!(
        port_on(&eth1, XdpMode::Auto, 4),
        [
            "Warning receive-offloads: large receive offload is on; drivers refuse XDP with it, or \
             fuse packets beyond a frame → ethtool -K eth1 rx-lro off",
            "Warning receive-offloads: GRO in hardware is on; drivers refuse XDP with it, or fuse \
             packets beyond a frame; it cannot be switched here → switch it off in the NIC, or in the \
             hypervisor for this machine",
            "Warning vlan-offload: takes VLAN tags off, and so the packets of eth1.5 pass for \
             untagged ones → ethtool -K eth1 rx-vlan-hw-parse off",
        ]
    );
}

#[test]
fn a_cable_without_checksums_is_told() {
    let veth = |offloads: Option<Offloads>| Interface {
        link: Link { kind: Some("veth".to_owned()), ..eth1().link },
        nic: None,
        xdp: Some(XdpSupport { native: true, zero_copy: false }),
        peer: offloads.map(|offloads| Peer { name: "far0".to_owned(), offloads: Some(offloads) }),
        ..eth1()
    };
    let leaves =
        Offloads { active: ["tx-checksum-ip-generic".to_owned()].into(), ..Offloads::default() };
    assert_eq!(
        port_on(&veth(Some(leaves)), XdpMode::Auto, 4),
        [
            "Warning peer-checksums: far0, its other end, leaves TCP checksums undone: its packets are \
          dropped → ethtool -K far0 tx off"
        ]
    );
    assert!(port_on(&veth(Some(Offloads::default())), XdpMode::Auto, 4).is_empty());
    assert_eq!(
        port_on(&veth(None), XdpMode::Auto, 4),
        [
            "Note peer-checksums: its other end cannot be seen from here; packets without TCP checksums \
          are dropped → at the other end: ethtool -K PEER tx off"
        ]
    );
}

/// What is found of a DPDK device in a program that has DPDK.
fn dpdk_on(root: &Path, device: &str, core: usize) -> Vec<String> {
    lines(&dpdk::judge(device, true, &[core], &read(root)))
}

#[test]
fn a_card_that_linux_drives_is_not_dpdks() {
    let root = server();
    assert_eq!(
        dpdk_on(root.path(), "0000:3b:00.0", 0),
        [
            "Failure pci-driver 0000:3b:00.0: bound to ice, the kernel's own driver → modprobe \
             vfio-pci && dpdk-devbind.py --bind=vfio-pci 0000:3b:00.0 (its interface goes from Linux: \
             not the one you came by)",
            "Warning numa 0000:3b:00.0: on node 1, core 0 on node 0 (distance 21, within a node 10) → \
             choose engine.cores from 4-7",
        ]
    );
    assert_eq!(
        dpdk_on(root.path(), "3b:00.1", 4)[0],
        "Failure pci-driver 3b:00.1: bound to no driver → modprobe vfio-pci && dpdk-devbind.py \
         --bind=vfio-pci 0000:3b:00.1"
    );
    assert_eq!(
        dpdk_on(root.path(), "0000:5e:00.0", 4),
        [
            "Failure pci-device 0000:5e:00.0: there is no device at that address → see those there are: \
          dpdk-devbind.py --status-dev net"
        ]
    );
}

#[test]
fn a_card_given_to_vfio_wants_an_iommu() {
    let root = server();
    let second = "sys/bus/pci/devices/0000:3b:00.1";
    link(root.path(), &format!("{second}/driver"), "sys/bus/pci/drivers/vfio-pci");
    let device = "0000:3b:00.1,queues=2";
    let found = dpdk_on(root.path(), device, 4);
    assert_eq!(found[0], format!("Ok pci-driver {device}: bound to vfio-pci"));
    let unguarded =
        format!("Failure iommu {device}: none guards the device, and VFIO insists on one");
    assert!(found[1].starts_with(&unguarded), "{found:?}");
    assert_eq!(found[2], format!("Ok numa {device}: node 1, as its cores"));

    let unsafe_mode = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
    lay_out(root.path(), &[(unsafe_mode, "Y")]);
    assert!(dpdk_on(root.path(), device, 4)[1].starts_with("Warning iommu"));
    link(root.path(), &format!("{second}/iommu_group"), "sys/kernel/iommu_groups/12");
    assert_eq!(dpdk_on(root.path(), device, 4)[1], format!("Ok iommu {device}: group 12"));
}

#[test]
fn a_virtual_device_needs_nothing_but_dpdk() {
    let root = server();
    assert!(dpdk_on(root.path(), "net_tap0", 0).is_empty());
    assert_eq!(
        lines(&dpdk::judge("net_tap0", false, &[0], &read(root.path()))),
        ["Failure dpdk net_tap0: this ringroad was built without DPDK → install libdpdk-dev, and \
          build with --features dpdk"]
    );
}

#[test]
fn cards_without_an_interface_are_listed() {
    let root = server();
    assert_eq!(
        lines(&nics::overview(&read(root.path()), &Routes::default())),
        [
            "Ok nic 0000:3b:00.0: bound to ice, node 1, no interface in this network namespace",
            "Ok nic 0000:3b:00.1: bound to no driver, node 1, no interface in this network namespace",
            "Note iommu: none; DPDK cannot take PCI devices by VFIO, AF_XDP does without → for DPDK: \
             enable VT-d or AMD-Vi in the firmware, and boot with intel_iommu=on iommu=pt (Intel) or \
             iommu=pt (AMD)",
        ]
    );
}

/// A host with client and origin on links of their own, of these MTUs.
fn routes(wan_mtu: u32, lan_mtu: u32) -> Arc<Routes> {
    let mut host = SimulatedHost::new();
    for (ifindex, mtu) in [(1, wan_mtu), (2, lan_mtu)] {
        host.link(ifindex, MacAddr([2, 0, 0, 0, 0, ifindex as u8]), mtu);
        let address = format!("10.10.{ifindex}.1").parse().unwrap();
        host.address(ifindex, address, 24);
        host.route((format!("10.10.{ifindex}.0").parse().unwrap(), 24), ifindex, None);
    }
    host.snapshot()
}

#[test]
fn sides_of_different_mtus_and_ways_by_the_wrong_port_are_told() {
    let text = "\
ports: [{ interface: sim1, name: wan }, { interface: sim2, name: lan }]
services:
  - { name: web, port: wan, listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\", \"10.10.2.3:80\"] }
  - { name: odd, port: wan, listen: [\"10.10.1.1:81\"], origins: [\"10.10.2.2:80\"],
      egress: { port: wan, address: 10.10.1.1 } }
  - { name: far, port: wan, listen: [\"10.10.1.1:82\"], origins: [\"192.0.2.1:80\"],
      egress: { address: 10.10.2.1 } }
";
    let config = ringroad_config::parse("edge.yaml", text).unwrap();
    let findings = services::judge(&config, &routes(1500, 9000), false).unwrap();
    let told = |check| {
        let wrong = findings.iter().filter(|f| f.check == check && f.status != Status::Ok);
        lines(&wrong.cloned().collect::<Vec<_>>())
    };
    let mismatch = |service| {
        format!(
            "Warning mtu-match {service}: 1500 towards clients (sim1), 9000 towards origins (sim2): \
             segments are copied to fit → ip link set sim2 mtu 1500, at both ends"
        )
    };
    assert_eq!(told("mtu-match"), [mismatch("web"), mismatch("odd")]);
    assert_eq!(
        told("origin-route"),
        [
            "Failure origin-route odd: Linux routes origin 10.10.2.2:80 by sim2, not by egress.port \
             \"wan\" → route it by a port, or add that interface to ports",
            "Failure origin-route far: no way to 192.0.2.1:80: Linux has no route; add one with `ip \
             route add` → see `ip route get 192.0.2.1`",
        ]
    );
    // A simulated host has no table of local addresses.
    let listen = "Failure listen-address web: 10.10.1.1 is no address of this host → ip addr add \
                  10.10.1.1/32 dev sim1, or choose another";
    assert_eq!(told("listen-address")[0], listen);
}

#[test]
fn source_ports_that_are_not_ours_alone_are_told() {
    let good =
        || SourcePorts { ports: 20000..=29999, clash: None, reserved: 0, linux: 32768..=60999 };
    assert_eq!(lines(&good().judge()), ["Ok source-ports: 20000-29999 are free"]);
    let local = "10.10.2.1:20005".parse().unwrap();
    let bad = SourcePorts {
        clash: Some(ringroad_engine::kernel::Clash { local, state: "LISTEN" }),
        reserved: 3,
        linux: 20000..=30000,
        ..good()
    };
    assert_eq!(
        lines(&bad.judge()),
        [
            "Failure source-ports: Linux has a TCP socket on 10.10.2.1:20005 (LISTEN), one of \
             20000-29999 → choose other egress.source_ports, or stop what holds it (`ss -tanp 'sport \
             = :20005'`)",
            "Note source-ports: 3 of 20000-29999 are reserved in Linux already: for another program, \
             or since a crash → if another program connects from them, choose other \
             egress.source_ports",
            "Note source-ports: 20000-29999 leave Linux 1 of the ports that it connects from itself → \
             if programs here open many connections, choose others than net.ipv4.ip_local_port_range",
        ]
    );
}
