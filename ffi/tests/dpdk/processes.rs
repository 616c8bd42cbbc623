//! What a process of its own is needed for, since DPDK starts once in each: refusals, which are one
//! line of an error with nothing on the screen, and starts. It is this test binary again, told
//! what to try.
use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::{self, Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use dpdk_sys::{Eal, EalSettings, Error, Level, Memory, Packet};

use crate::frames::Frames;
use crate::{eal_settings, skip};

/// Tells [`tries`] what to do.
const CASE: &str = "DPDK_SYS_TRIES";

type Try = fn() -> Result<(), Error>;

const CASES: &[(&str, Try, &str)] = &[
    (
        "unknown driver",
        || attach("net_nonesuch0", ""),
        "DPDK has no driver for \"net_nonesuch0\"; for a virtual device start the name with its \
         driver's, as in net_tap0",
    ),
    (
        "missing capture",
        || attach("net_pcap0", "rx_pcap=/nonexistent"),
        "cannot attach net_pcap0 with \"rx_pcap=/nonexistent\": open_single_rx_pcap(): Couldn't \
         open /nonexistent: /nonexistent: No such file or directory; check the device\'s \
         name and arguments",
    ),
    (
        "bad device argument",
        || attach("net_ring0", "nodeaction=x"),
        "cannot attach net_ring0 with \"nodeaction=x\": parse_kvlist(): could not parse node \
         value from x; check the device\'s name and arguments",
    ),
    (
        "unknown device argument",
        || attach("net_null0", "nonesuch=1"),
        "cannot attach net_null0 with \"nonesuch=1\": EAL: Driver cannot attach the device \
         (net_null0); check the device\'s name and arguments",
    ),
    (
        "interface exists",
        || attach("net_tap0", "iface=lo"),
        "cannot attach net_tap0: interface lo exists already; remove it (ip link del lo), or give \
         the device another name in iface=",
    ),
    (
        "device attached twice",
        || {
            let eal = start(eal_settings())?;
            let _first = eal.attach("net_null0", "")?;
            eal.attach("net_null0", "").map(drop)
        },
        "device net_null0 is attached already; give each device a name of its own",
    ),
    (
        "PCI address malformed",
        || attach("3b:00.0", ""),
        "\"3b:00.0\" is no PCI address; write it as in 0000:3b:00.0 (lspci -D)",
    ),
    (
        "no such PCI device",
        || start(EalSettings { pci: vec!["fffe:ff:1f.7".into()], ..eal_settings() }).map(drop),
        "there is no PCI device fffe:ff:1f.7; see which there are: lspci -D",
    ),
    (
        "unknown EAL argument",
        || start(EalSettings { arguments: vec!["--nonesuch".into()], ..eal_settings() }).map(drop),
        "DPDK does not start with --no-telemetry --file-prefix ringroad-PID --lcores 0@(0) --no-huge --no-shconf -m 64 \
         --no-pci --nonesuch: Invalid argument (dpdk: unrecognized option '--nonesuch'); correct \
         these settings",
    ),
    (
        "no such processor",
        || start(EalSettings { cpus: vec![100_000], ..eal_settings() }).map(drop),
        "DPDK does not start with --no-telemetry --file-prefix ringroad-PID --lcores 0@(100000) --no-huge --no-shconf -m 64 \
         --no-pci: Invalid argument (EAL: invalid parameter for --lcores); correct these settings",
    ),
    (
        "second start",
        || {
            drop(start(eal_settings())?);
            start(eal_settings()).map(drop)
        },
        "DPDK was started before in this process, and starts once; start another process",
    ),
];

#[test]
fn each_refusal_is_one_line_and_the_screen_stays_clean() {
    for (case, _, message) in CASES {
        assert_eq!(said(case), format!("{message}\n"), "{case}");
    }
}

/// A terabyte of hugepages is more than is free where tests run.
#[test]
fn without_hugepages_it_says_what_to_do() {
    let said = said("no hugepages");
    let (start, end) = (
        "cannot start DPDK with 1000000 MB on hugepages: ",
        "; reserve some (sysctl vm.nr_hugepages=N), or give it ordinary memory\n",
    );
    assert!(said.starts_with(start) && said.ends_with(end), "{said}");
}

/// Finds a device of this machine that the kernel drives, and that is no network interface.
#[test]
fn a_pci_device_in_use_is_left_alone() {
    let Some(address) = kernels_pci_device() else {
        skip("a PCI device in use: the kernel drives none here");
        return;
    };
    let said = said(&format!("pci {address}"));
    assert!(said.starts_with(&format!("PCI device {address} is bound to the kernel's driver ")));
    let end = format!("bind it to vfio-pci: dpdk-devbind.py --bind=vfio-pci {address}\n");
    assert!(said.ends_with(&end), "{said}");
}

/// The log reaches its callback while nothing reaches the screen, and the thread that started
/// DPDK runs where it ran before.
#[test]
fn a_start_leaves_the_process_as_it_was() {
    assert_eq!(said("start"), "started\n");
}

#[test]
fn packets_go_round_on_hugepages() {
    let free = free_hugepages_megabytes();
    if free < HUGEPAGES_MEGABYTES {
        skip(&format!("DPDK on hugepages: {free} MB are free, it takes {HUGEPAGES_MEGABYTES}"));
        return;
    }
    assert_eq!(said("hugepages"), "started\n");
}

/// Not a test by itself: does what [`CASE`] says, between two marks on either descriptor.
#[test]
fn tries() {
    let Ok(case) = env::var(CASE) else { return };
    println!("{MARK}");
    eprintln!("{MARK}");
    let result = match case.split_once(' ') {
        Some(("pci", address)) => {
            start(EalSettings { pci: vec![address.into()], ..eal_settings() }).map(drop)
        }
        _ if case == "no hugepages" => {
            let memory = Memory::Hugepages { megabytes: 1_000_000 };
            start(EalSettings { memory, ..eal_settings() }).map(drop)
        }
        _ if case == "hugepages" => round_on_hugepages(),
        _ if case == "start" => {
            started_quietly();
            Ok(())
        }
        _ => CASES.iter().find(|(name, ..)| *name == case).expect("a case").1(),
    };
    println!("{MARK}");
    eprintln!("{MARK}");
    match result {
        Ok(()) => println!("started"),
        Err(error) => println!("{}", error.to_string().replace(&own_prefix(), "ringroad-PID")),
    }
    process::exit(0);
}

fn started_quietly() {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    let state = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let kept = ["SigBlk", "Cpus_allowed"];
        let lines = status.lines().filter(|line| kept.iter().any(|k| line.starts_with(k)));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = state();
    let _eal = Eal::init(&eal_settings(), |level, _| {
        LOGGED.fetch_or(level == Level::Info, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(state(), before);
    assert!(LOGGED.load(Ordering::Relaxed));
    assert!(!Path::new("/var/run/dpdk").join(own_prefix()).exists());
}

/// The name under which DPDK keeps files of this process.
fn own_prefix() -> String {
    format!("ringroad-{}", process::id())
}

/// Packets go round in frames on hugepages, of which some may lie across two pages.
fn round_on_hugepages() -> Result<(), Error> {
    let memory = Memory::Hugepages { megabytes: HUGEPAGES_MEGABYTES };
    let eal = start(EalSettings { memory, ..eal_settings() })?;
    let pool = crate::pool(&eal, 5000);
    let layout = pool.layout();
    assert!((4900..=5000).contains(&layout.usable));
    let ring = crate::open(&eal, &pool, "net_ring0", "");
    let mut frames = Frames::new(&pool);
    let mut seen = BTreeSet::new();
    while let Some(index) = frames.take() {
        let packet = Packet::new(index, 200, 60);
        let mut back = [Packet::default(); 2];
        // SAFETY: this thread's pool, and a frame of ours.
        let moved = unsafe { (ring.tx_burst(0, &[packet]), ring.rx_burst(0, &mut back)) };
        assert_eq!((moved, back[0]), ((1, 1), packet));
        assert!(index < layout.frames && seen.insert(index));
    }
    assert_eq!(seen.len(), layout.usable as usize);
    Ok(())
}

/// Free hugepages of the usual size [MB].
fn free_hugepages_megabytes() -> u32 {
    let path = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
    let free = std::fs::read_to_string(path).unwrap_or_default();
    2 * free.trim().parse::<u32>().unwrap_or_default()
}

/// What [`tries`] says behind its marks, having said nothing between them.
fn said(case: &str) -> String {
    let Output { stdout, stderr, .. } = Command::new(env::current_exe().unwrap())
        .args(["--exact", "processes::tries", "--nocapture"])
        .env(CASE, case)
        .output()
        .unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    let between = |text: &str| {
        let mut parts = text.split(MARK).skip(1).map(|part| part.trim_start().to_owned());
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    let ((silence, said), (more_silence, rest)) = (between(&stdout), between(&stderr));
    assert_eq!((silence.as_str(), more_silence.as_str(), rest.as_str()), ("", "", ""), "{case}");
    said
}

fn start(settings: EalSettings) -> Result<std::sync::Arc<Eal>, Error> {
    Eal::init(&settings, |_, _| {})
}

fn attach(device: &str, arguments: &str) -> Result<(), Error> {
    start(eal_settings())?.attach(device, arguments).map(drop)
}

fn kernels_pci_device() -> Option<String> {
    let devices = std::fs::read_dir("/sys/bus/pci/devices").ok()?;
    devices
        .flatten()
        .filter(|device| {
            let class = std::fs::read_to_string(device.path().join("class")).unwrap_or_default();
            device.path().join("driver").exists() && !class.starts_with("0x02")
        })
        .map(|device| device.file_name().to_string_lossy().into_owned())
        .next()
}

/// Enough for a pool, with what DPDK needs besides.
const HUGEPAGES_MEGABYTES: u32 = 32;

const MARK: &str = "---- mark ----";
