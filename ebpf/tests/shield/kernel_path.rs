//! Real connections, with the shield attached and no engine behind it: Linux must not notice.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use ringroad_ebpf::{AttachMode, PortSettings, Shield, ShieldSettings, Verdict};

use crate::rig::{in_namespace, ip_command, now_ns, settings, veth_pair};

const PATIENCE: Duration = Duration::from_secs(10);

/// A client in a namespace of its own behind `veth1` asks each of `servers` for an echo.
fn ask_from_outside(servers: &[SocketAddr]) {
    let (tell, told) = mpsc::channel();
    let (moved, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a namespace for the client");
            tell.send(nix::unistd::gettid()).expect("the test to listen");
            if wait.recv().is_err() {
                return;
            }
            ip_command("link set veth1 up");
            ip_command("addr add 10.1.0.2/24 dev veth1");
            ip_command("addr add fd00:1::2/64 dev veth1 nodad");
            for server in servers {
                let mut stream = TcpStream::connect_timeout(server, PATIENCE)
                    .unwrap_or_else(|error| panic!("connect to {server}: {error}"));
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                stream.write_all(b"around the city").expect("send");
                let mut reply = [0; 15];
                stream.read_exact(&mut reply).expect("receive");
                assert_eq!(&reply, b"around the city");
            }
        });
        let client = told.recv().expect("the client's namespace");
        ip_command(&format!("link set veth1 netns {client}"));
        ip_command("link set veth0 up");
        ip_command("addr add 10.1.0.1/24 dev veth0");
        ip_command("addr add fd00:1::1/64 dev veth0 nodad");
        let listeners: Vec<_> =
            servers.iter().map(|server| TcpListener::bind(server).expect("listen")).collect();
        // A client that gave up must not leave us waiting for it.
        let patience = TimeVal::seconds(PATIENCE.as_secs() as i64);
        for listener in &listeners {
            setsockopt(listener, sockopt::ReceiveTimeout, &patience).expect("a timeout");
        }
        moved.send(()).expect("the client to wait");
        for listener in listeners {
            let (mut stream, _) = listener.accept().expect("the client's connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let mut request = [0; 15];
            stream.read_exact(&mut request).expect("receive");
            stream.write_all(&request).expect("send");
        }
    });
}

fn connections_reach_linux(mode: AttachMode) {
    in_namespace(|| {
        let [wan, _] = veth_pair();
        let ports = vec![PortSettings { mode, ..wan }];
        let shield = Shield::load(&ShieldSettings { ports, ..settings() });
        let mut shield = shield.expect("load the shield");
        shield.attach(0).expect("attach");
        // An engine that is alive and accepts, but has no socket; it does not accept service 1.
        let control = shield.control();
        for queue in 0..4 {
            control.beat(queue, now_ns());
            control.set_accepting(queue, 0, true);
        }

        let servers = ["10.1.0.1:80", "[fd00:1::1]:80", "10.1.0.1:443", "10.1.0.1:22"];
        ask_from_outside(&servers.map(|server| server.parse().expect("an address and port")));

        let counters = shield.counters().expect("read the counters");
        assert_eq!(counters.of(Verdict::NoSocket), 2, "two new connections to service 0");
        assert_eq!(counters.of(Verdict::NotAccepting), 1, "one to service 1");
        assert!(counters.of(Verdict::KernelFlow) >= 6, "and what followed them: {counters:?}");
        assert!(counters.of(Verdict::NotOurs) >= 3, "ARP, NDP and port 22: {counters:?}");
        assert_eq!(counters.to_engine(), 0);
    });
}

#[test]
fn without_an_engine_connections_reach_linux_through_the_driver() {
    connections_reach_linux(AttachMode::Native);
}

#[test]
fn without_an_engine_connections_reach_linux_in_generic_mode() {
    connections_reach_linux(AttachMode::Generic);
}
