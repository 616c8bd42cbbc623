//! Attached, replaced, detached: on interfaces of a namespace.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use libbpf_rs::{ObjectBuilder, Xdp, XdpFlags};
use ringroad_ebpf::{
    AttachMode, AttachedMode, PortSettings, Redirector, SHIELD_OBJECT, Shield, ShieldError,
    ShieldSettings, Verdict,
};

use crate::packets::{ACK, SYN, segment};
use crate::rig::{in_namespace, now_ns, port, runs_xdp, settings, socket, veth_pair};

/// Names the interface that [`holder`] is to attach to.
const HOLD: &str = "RINGROAD_TEST_HOLD";

fn shield_on(ports: &[PortSettings]) -> Shield {
    let settings = ShieldSettings { ports: ports.to_vec(), ..settings() };
    Shield::load(&settings).expect("load the shield")
}

/// Attaches the program in `object` the old way, which outlives its process.
fn leave_behind(object: &[u8], port: &PortSettings) {
    let object = ObjectBuilder::default().open_memory(object).and_then(|object| object.load());
    let object = object.expect("load the object");
    let program = object.progs().next().expect("its program");
    Xdp::new(program.as_fd())
        .attach(port.ifindex as i32, XdpFlags::SKB_MODE)
        .expect("attach without a link");
}

/// The shield under another name of the same length.
fn foreign_object() -> Vec<u8> {
    let (ours, theirs) = (b"ringroad_shield", b"another_program");
    let mut object = SHIELD_OBJECT.to_vec();
    let places: Vec<_> =
        object.windows(ours.len()).enumerate().filter(|(_, w)| w == ours).map(|(i, _)| i).collect();
    for place in places {
        object[place..place + theirs.len()].copy_from_slice(theirs);
    }
    object
}

#[test]
fn attaches_in_the_driver_where_it_can_and_detaches_when_dropped() {
    in_namespace(|| {
        let [wan, lan] = veth_pair();
        let mut shield = shield_on(&[wan, PortSettings { mode: AttachMode::Generic, ..lan }]);
        assert!(!runs_xdp("veth0"), "loading attaches nothing");
        assert_eq!(shield.attach(0).ok(), Some(AttachedMode::Native));
        assert_eq!(shield.attach(1).ok(), Some(AttachedMode::Generic));
        assert_eq!(shield.attach(1).ok(), Some(AttachedMode::Generic), "attached once already");
        assert!(runs_xdp("veth0") && runs_xdp("veth1"));
        shield.detach_all();
        assert!(!runs_xdp("veth0") && !runs_xdp("veth1"));
        assert!(shield.attach(0).is_ok());
        drop(shield);
        assert!(!runs_xdp("veth0"));
    });
}

#[test]
fn an_interface_without_native_support_is_served_in_generic_mode() {
    in_namespace(|| {
        let mut shield = shield_on(&[port("lo")]);
        assert_eq!(shield.attach(0).ok(), Some(AttachedMode::Generic));
        let native = PortSettings { mode: AttachMode::Native, ..port("lo") };
        drop(shield);
        let error = shield_on(&[native]).attach(0).expect_err("lo has no native mode");
        assert!(error.to_string().contains("lo in native mode"), "{error}");
    });
}

#[test]
fn the_program_of_another_is_left_alone() {
    in_namespace(|| {
        let [wan, _] = veth_pair();
        leave_behind(&foreign_object(), &wan);
        let error = shield_on(&[wan]).attach(0).expect_err("the interface is taken");
        assert!(matches!(error, ShieldError::OtherProgram { .. }), "{error}");
        let message = error.to_string();
        assert!(message.starts_with("veth0 already runs the XDP program \"another_program\""));
        assert!(message.ends_with("ip link set dev veth0 xdp off"), "{message}");
        assert!(runs_xdp("veth0"));
    });
}

#[test]
fn another_ringroad_is_left_alone() {
    in_namespace(|| {
        let [wan, _] = veth_pair();
        let mut first = shield_on(std::slice::from_ref(&wan));
        first.attach(0).expect("the interface is free");
        let error = shield_on(&[wan]).attach(0).expect_err("the interface is taken");
        assert!(matches!(error, ShieldError::InUse { .. }), "{error}");
        assert!(runs_xdp("veth0"));
    });
}

#[test]
fn what_an_earlier_run_left_attached_is_replaced() {
    in_namespace(|| {
        let [wan, _] = veth_pair();
        leave_behind(SHIELD_OBJECT, &wan);
        assert!(runs_xdp("veth0"));
        let mut shield = shield_on(&[wan]);
        assert_eq!(shield.attach(0).ok(), Some(AttachedMode::Native));
        drop(shield);
        assert!(!runs_xdp("veth0"));
    });
}

/// Not a test of its own: the process that is killed below.
#[test]
fn holder() {
    let Ok(interface) = std::env::var(HOLD) else { return };
    let mut shield = shield_on(&[port(&interface)]);
    shield.attach(0).expect("attach");
    eprintln!("attached");
    // Until killed, or until the test that started us has ended.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn the_death_of_the_process_detaches() {
    in_namespace(|| {
        let [wan, _] = veth_pair();
        let mut child = Command::new(std::env::current_exe().expect("the path of this test"))
            .args(["--exact", "lifecycle::holder", "--nocapture"])
            .env(HOLD, &wan.interface)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start a process that attaches");
        let mut lines = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.ends_with("attached"))));
        assert!(runs_xdp("veth0"));
        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
        assert!(!runs_xdp("veth0"));
        assert!(shield_on(&[wan]).attach(0).is_ok());
    });
}

#[test]
fn taking_over_leaves_no_gap_and_keeps_the_kernels_connections() {
    in_namespace(|| {
        let [wan, lan] = veth_pair();
        let ports = [wan, lan];
        let client = "192.0.2.7:1".parse().expect("an address and port");
        let web = "10.1.0.1:80".parse().expect("an address and port");
        let (syn, data) = (segment(client, web, SYN, 0), segment(client, web, ACK, 0));

        let mut old = shield_on(&ports);
        old.attach(0).expect("attach");
        old.attach(1).expect("attach");
        let attached = crate::rig::ip_command("link show veth0");
        old.dry_run(0, 0, &syn, 1).expect("a connection for the kernel");
        assert_eq!(old.kernel_flow_count(), 1);

        let mut new = shield_on(&ports);
        let socket = socket();
        new.set_socket(0, 0, socket.as_fd()).expect("register the socket");
        new.control().beat(0, now_ns());
        new.take_over(&mut old).expect("take over");
        drop(old);
        assert!(runs_xdp("veth0") && runs_xdp("veth1"), "the old one detached nothing");
        assert_ne!(crate::rig::ip_command("link show veth0"), attached, "another program");
        new.dry_run(0, 0, &data, 1).expect("a dry run");
        assert_eq!(new.counters().expect("counters").of(Verdict::KernelFlow), 1);
        drop(new);
        assert!(!runs_xdp("veth0") && !runs_xdp("veth1"));
    });
}

#[test]
fn a_wire_attaches_like_a_shield() {
    in_namespace(|| {
        let [wan, _] = veth_pair();
        let mut wire = Redirector::load(wan.clone()).expect("load the wire");
        let socket = socket();
        wire.set_socket(0, socket.as_fd()).expect("register the socket");
        assert!(matches!(
            wire.set_socket(128, socket.as_fd()),
            Err(ShieldError::QueueOutOfRange(128))
        ));
        assert_eq!(wire.attach().ok(), Some(AttachedMode::Native));
        assert!(matches!(shield_on(&[wan]).attach(0), Err(ShieldError::InUse { .. })));
        drop(wire);
        assert!(!runs_xdp("veth0"));
    });
}
