//! Hosts that are not here, laid out as sysfs and procfs would show them, and what is found there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::finding::Status;
use super::process::Process;
use super::*;

mod ports;
mod services;

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

/// What is found of the cores of a configuration on the server, of which a process can have some.
fn cores_of(root: &Path, engine: &str, usable: &[usize]) -> Vec<String> {
    let config = config_of(engine);
    // Linux keeps off those that are isolated.
    let allowed = usable.iter().copied().filter(|core| ![4, 5, 7].contains(core)).collect();
    let within = cores::Within { usable: usable.to_vec(), allowed };
    lines(&cores::judge(&config, &within, &read(root).cpus))
}

/// With these settings of the engine, also those that this version refuses.
fn config_of(engine: &str) -> Config {
    let (cores, idle) = engine.split_once(' ').unwrap_or((engine, "adaptive"));
    let text = format!(
        "engine: {{ frames: 16384, idle: {idle} }}\n\
         ports: [{{ interface: eth1 }}]\n\
         services: [{{ listen: [\"192.0.2.1:80\"], origins: [\"192.0.2.2:80\"] }}]\n"
    );
    let mut config = ringroad_config::parse("edge.yaml", &text).unwrap();
    config.engine.cores = cores.split(',').map(|core| core.parse().unwrap()).collect();
    config
}

const ALL_CORES: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

#[test]
fn a_core_that_is_all_ours_is_good() {
    let root = server();
    assert_eq!(
        cores_of(root.path(), "4", &ALL_CORES),
        [
            "Ok arrangement: run-to-completion: core 4 receives, processes and sends",
            "Ok core-isolation core 4: Linux leaves it alone",
            "Warning smt-siblings core 4: shares a physical core with core 6, where Linux runs \
             programs → leave that one unused: echo 0 > /sys/devices/system/cpu/cpu6/online",
            "Ok frequency core 4: governor performance",
        ]
    );
}

#[test]
fn what_several_cores_do_is_told() {
    let root = server();
    assert_eq!(
        cores_of(root.path(), "4,5,6", &ALL_CORES)[0],
        "Ok arrangement: pipeline: 3 cores for 1 queue; core 4 receives and sends, 5-6 process"
    );
}

#[test]
fn a_process_of_which_nothing_is_left_to_linux_is_told() {
    let root = server();
    let last = |engine| cores_of(root.path(), engine, &[1, 3, 4]).pop().unwrap();
    assert_eq!(
        last("1,3 spin"),
        "Warning control-plane: every core of this process polls without a pause: routes, commands \
         and figures come late, and packets wait for them → leave a core out of engine.cores, or \
         set engine.idle to adaptive"
    );
    assert!(!last("1,3 adaptive").starts_with("Warning control-plane"));
    assert!(!last("3,4 spin").starts_with("Warning control-plane"), "core 1 is left");
}

#[test]
fn cores_that_are_shared_or_slow_are_told() {
    let root = server();
    assert_eq!(
        cores_of(root.path(), "0,5,7,9", &[0, 1, 2, 3, 5, 6]),
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
            "Warning frequency core 5: governor powersave: slow after every pause → echo performance \
             > /sys/devices/system/cpu/cpu5/cpufreq/scaling_governor",
            "Failure core core 7: is not online, or not this process's to use → choose from 0-3,5-6 \
             in engine.cores",
            "Failure core core 9: is not online, or not this process's to use → choose from 0-3,5-6 \
             in engine.cores",
            "Warning smt-siblings core 5: polls on the same physical core as core 7, for half the \
             speed each → give engine.cores one thread of each physical core",
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

#[test]
fn cookies_want_a_linux_that_accepts_them() {
    let root = server();
    let config = |shield: &str, fallback: &str| {
        let config = format!(
            "ports: [{{ name: wan, interface: wan0 }}]\n\
             services: [{{ listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\"], \
             fallback: {fallback} }}]\nshield: {{ syn_cookies: {shield} }}\n"
        );
        ringroad_config::parse("f", &config).unwrap()
    };
    let judge = |shield, fallback| {
        let finding = cookies::judge(&config(shield, fallback), &read(root.path()));
        lines(finding.as_slice())
    };
    assert_eq!(
        judge("auto", "kernel"),
        [
            "Note syn-cookies: Linux 6.1.0-18-amd64 cannot accept what the shield answered: where it \
          stands in for the engine, clients that were just answered are reset → boot Linux 6.9 or \
          later"
        ]
    );
    assert!(judge("off", "kernel").is_empty() && judge("always", "reset").is_empty());
    lay_out(root.path(), &[("proc/sys/kernel/osrelease", "6.12.9")]);
    assert_eq!(
        judge("always", "kernel"),
        ["Ok syn-cookies: Linux accepts them where it stands in for the engine"]
    );
    lay_out(root.path(), &[("proc/sys/net/ipv4/tcp_timestamps", "0")]);
    assert_eq!(
        judge("always", "kernel"),
        [
            "Warning syn-cookies: net.ipv4.tcp_timestamps is 0: where Linux stands in for the engine, \
          clients that the shield has answered are reset → sysctl -w net.ipv4.tcp_timestamps=1"
        ]
    );
}

fn memory_of(root: &Path, cores: &str, running: bool) -> Vec<String> {
    let config = config_of(cores);
    let host = read(root);
    let needs = memory::Needs::of(&config, &super::ports::Interfaces::new(), &host);
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
