//! Against a real kernel: two network namespaces joined by a veth pair, `edge0` here and `peer0`
//! there. They live in one thread of the test process and go with it, however the test ends.
//!
//! Needs root and `ip`; prints `SKIP` and the reason without.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use tokio::sync::mpsc;

use super::super::*;
use super::{gateway, ip};
use crate::wire::ethernet::MacAddr;

/// How long to wait for something that will happen, before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Lab {
    edge: File,
    peer: File,
}

impl Lab {
    /// Runs an `ip` command at the edge.
    fn ip(&self, arguments: &str) {
        let mut command = Command::new("ip");
        run(command.args(arguments.split_whitespace()));
    }

    /// Runs an `ip` command at the peer.
    fn peer(&self, arguments: &str) {
        setns(&self.peer, CloneFlags::CLONE_NEWNET).unwrap();
        self.ip(arguments);
        setns(&self.edge, CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// Sets a knob of the edge's neighbour handling.
    fn tune(&self, family: &str, knob: &str, value: &str) {
        let path = format!("/proc/sys/net/{family}/neigh/edge0/{knob}");
        std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Builds the lab and runs `test` in it, in a thread of its own.
fn in_lab<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F + Send + 'static) {
    let thread = std::thread::spawn(|| {
        let mut namespaces = Vec::new();
        for _ in 0..2 {
            match unshare(CloneFlags::CLONE_NEWNET) {
                Ok(()) => {}
                Err(Errno::EPERM) => {
                    eprintln!("SKIP not root: cannot make network namespaces");
                    return;
                }
                Err(error) => panic!("cannot make a network namespace: {error}"),
            }
            namespaces.push(File::open("/proc/thread-self/ns/net").unwrap());
        }
        let peer = namespaces.pop().unwrap();
        let edge = namespaces.pop().unwrap();
        setns(&edge, CloneFlags::CLONE_NEWNET).unwrap();
        let lab = Lab { edge, peer };

        let there = format!("/proc/{}/fd/{}", std::process::id(), lab.peer.as_raw_fd());
        lab.ip(&format!("link add edge0 type veth peer name peer0 netns {there}"));
        lab.ip("link set lo up");
        // Link-local addresses by hand: the kernel's own would be tentative for a second.
        lab.ip("link set edge0 addrgenmode none");
        lab.ip("link set edge0 up");
        lab.ip("addr add 10.9.0.1/24 dev edge0");
        lab.ip("addr add fe80::1/64 dev edge0 nodad");
        lab.ip("addr add 2001:db8::1/64 dev edge0 nodad");
        lab.peer("link set peer0 addrgenmode none");
        lab.peer("link set peer0 address 02:00:00:00:00:99 up");
        lab.peer("addr add 10.9.0.2/24 dev peer0");
        lab.peer("addr add fe80::2/64 dev peer0 nodad");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(lab));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A watcher, and the snapshots it published.
struct Follow {
    watcher: Watcher,
    latest: Arc<Routes>,
    published: mpsc::UnboundedReceiver<Arc<Routes>>,
}

impl Follow {
    async fn start() -> Follow {
        let (publish, published) = mpsc::unbounded_channel();
        let (watcher, latest) = Watcher::start(move |routes| {
            // The test may be over.
            let _ = publish.send(routes);
        })
        .await
        .unwrap();
        Follow { watcher, latest, published }
    }

    /// Waits for a snapshot in which `found` finds what it looks for.
    async fn until<T>(&mut self, what: &str, found: impl Fn(&Routes) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(&self.latest) {
                return found;
            }
            let next = tokio::time::timeout_at(deadline, self.published.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("never saw: {what}"));
            let next = next.expect("the watcher ended");
            assert!(next.generation() > self.latest.generation());
            self.latest = next;
        }
    }

    async fn until_path(&mut self, destination: &str, expected: Result<(), NoPath>) {
        let what = format!("{destination}: {expected:?}");
        let path = |routes: &Routes| routes.path_to(ip(destination)).map(drop);
        self.until(&what, |routes| (path(routes) == expected).then_some(())).await;
    }
}

const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);

#[test]
fn linux_is_asked_and_the_peer_answers() {
    in_lab(|lab| async move {
        let mut follow = Follow::start().await;
        let edge = interface(&follow.latest, "edge0").unwrap().clone();
        for (destination, address) in
            [("10.9.0.2", "10.9.0.2"), ("198.51.100.7", "10.9.0.2"), ("2001:db8:7::1", "fe80::2")]
        {
            let destination = ip(destination);
            if destination.is_ipv6() {
                lab.ip("-6 route add 2001:db8:7::/48 via fe80::2 dev edge0");
            } else if address != destination.to_string() {
                lab.ip("route add 198.51.100.0/24 via 10.9.0.2");
            }
            let next_hop = NextHop { ifindex: edge.ifindex, address: ip(address) };
            let known = follow
                .until("the route", |routes| match routes.path_to(destination) {
                    Err(NoPath::Unresolved(asked)) => {
                        assert_eq!(asked, next_hop);
                        Some(false)
                    }
                    path => path.is_ok().then_some(true),
                })
                .await;
            // The second destination is behind the first.
            if !known {
                assert!(follow.watcher.resolver().resolve(next_hop));
            }
            let path = follow.until("an answer", |routes| routes.path_to(destination).ok()).await;
            assert_eq!(
                path,
                Path {
                    ifindex: edge.ifindex,
                    vlan: None,
                    source_mac: edge.mac.unwrap(),
                    destination_mac: PEER_MAC,
                    mtu: 1500,
                    advmss: None,
                    next_hop,
                }
            );
        }
    });
}

/// Linux takes the routes of a nexthop object out with it, those of IPv4 without a word.
#[test]
fn a_nexthop_object_takes_its_routes_with_it() {
    in_lab(|lab| async move {
        lab.ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:99 dev edge0");
        lab.ip("neigh add 10.9.0.3 lladdr 02:00:00:00:00:98 dev edge0");
        lab.ip("nexthop add id 1 via 10.9.0.2 dev edge0");
        lab.ip("nexthop add id 2 via 10.9.0.3 dev edge0");
        lab.ip("route add 192.0.2.0/24 nhid 1");
        lab.ip("route add 192.0.2.0/24 nhid 2 metric 10");
        let mut follow = Follow::start().await;
        let next_hop =
            |routes: &Routes| routes.path_to(ip("192.0.2.1")).map(|path| path.next_hop.address);
        assert_eq!(next_hop(&follow.latest), Ok(ip("10.9.0.2")));
        lab.ip("nexthop del id 1");
        let second = |routes: &Routes| (next_hop(routes) == Ok(ip("10.9.0.3"))).then_some(());
        follow.until("the route by the other", second).await;
        lab.ip("nexthop del id 2");
        follow.until_path("192.0.2.1", Err(NoPath::NoRoute)).await;
    });
}

#[test]
fn routes_hold_as_linux_has_them() {
    in_lab(|lab| async move {
        lab.ip("addr add 10.9.0.3/24 dev edge0");
        lab.ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:99 dev edge0");
        lab.ip("route add 192.0.2.0/24 via 10.9.0.2 mtu 1400 advmss 1300 src 10.9.0.3");
        lab.ip("route add blackhole 192.0.2.128/25");
        let mut follow = Follow::start().await;
        let routes = Arc::clone(&follow.latest);
        let path = routes.path_to(ip("192.0.2.1")).unwrap();
        assert_eq!((path.mtu, path.advmss), (1400, Some(1300)));
        assert_eq!(routes.source_for(ip("192.0.2.1")), Some(ip("10.9.0.3")));
        assert_eq!(routes.source_for(ip("10.9.0.77")), Some(ip("10.9.0.1")));
        assert_eq!(routes.source_for(ip("2001:db8::77")), Some(ip("2001:db8::1")));
        assert_eq!(routes.source_for(ip("fe80::2")), Some(ip("fe80::1")));
        assert_eq!(routes.path_to(ip("192.0.2.200")), Err(NoPath::Refused));
        assert_eq!(routes.path_to(ip("203.0.113.1")), Err(NoPath::NoRoute));
        assert_eq!(routes.path_to(ip("10.9.0.3")), Err(NoPath::Local));
        assert_eq!(routes.path_to(ip("127.0.0.9")), Err(NoPath::Local));
        assert_eq!(routes.path_to(ip("10.9.0.255")), Err(NoPath::NotUnicast));
        assert!(routes.is_local(ip("2001:db8::1")) && !routes.is_local(ip("10.9.0.2")));

        lab.ip("route del blackhole 192.0.2.128/25");
        follow.until_path("192.0.2.200", Ok(())).await;
        lab.ip("route replace 192.0.2.0/24 via 10.9.0.7");
        follow
            .until("the replacing gateway", |routes| {
                (gateway(routes, "192.0.2.1").as_deref() == Some("10.9.0.7")).then_some(())
            })
            .await;
        // Two of equal prefix and metric: the message does not tell which of them is first.
        lab.ip("route prepend 192.0.2.0/24 via 10.9.0.8");
        follow
            .until("the prepended gateway", |routes| {
                (gateway(routes, "192.0.2.1").as_deref() == Some("10.9.0.8")).then_some(())
            })
            .await;
        lab.ip("route append 192.0.2.0/24 via 10.9.0.9");
        lab.ip("route del 192.0.2.0/24 via 10.9.0.8");
        lab.ip("route del 192.0.2.0/24 via 10.9.0.7");
        follow
            .until("the appended gateway", |routes| {
                (gateway(routes, "192.0.2.1").as_deref() == Some("10.9.0.9")).then_some(())
            })
            .await;
        // The address that a route prefers goes, and the route with it.
        lab.ip("route replace 192.0.2.0/24 via 10.9.0.2 src 10.9.0.3");
        follow.until_path("192.0.2.1", Ok(())).await;
        lab.ip("addr del 10.9.0.3/24 dev edge0");
        follow.until_path("192.0.2.1", Err(NoPath::NoRoute)).await;
    });
}

#[test]
fn ipv6_multipath_grows_and_shrinks() {
    in_lab(|lab| async move {
        let mut follow = Follow::start().await;
        let gateways = |routes: &Routes| {
            let destinations = (1..=64).map(|n| format!("2001:db8:7::{n:x}"));
            let mut gateways: Vec<_> = destinations.filter_map(|d| gateway(routes, &d)).collect();
            gateways.sort();
            gateways.dedup();
            gateways
        };
        for (command, expected) in [
            ("add 2001:db8:7::/64 via fe80::2 dev edge0", vec!["fe80::2"]),
            ("append 2001:db8:7::/64 via fe80::3 dev edge0", vec!["fe80::2", "fe80::3"]),
            ("del 2001:db8:7::/64 via fe80::2 dev edge0", vec!["fe80::3"]),
            ("replace 2001:db8:7::/64 via fe80::4 dev edge0", vec!["fe80::4"]),
            ("del 2001:db8:7::/64", vec![]),
        ] {
            lab.ip(&format!("-6 route {command}"));
            follow.until(command, |routes| (gateways(routes) == expected).then_some(())).await;
        }
    });
}

#[test]
fn a_neighbour_appears_moves_and_goes() {
    in_lab(|lab| async move {
        let mut follow = Follow::start().await;
        let mac = |routes: &Routes| routes.path_to(ip("10.9.0.5")).ok().map(|p| p.destination_mac);
        let mut latency = Vec::new();
        for last in 1..=9_u8 {
            lab.ip(&format!("neigh replace 10.9.0.5 lladdr 02:00:00:00:01:0{last} dev edge0"));
            let told = Instant::now();
            let what = format!("address {last}");
            let expected = MacAddr([2, 0, 0, 0, 1, last]);
            follow.until(&what, |routes| (mac(routes) == Some(expected)).then_some(())).await;
            latency.push(told.elapsed());
        }
        latency.sort();
        eprintln!(
            "from `ip neigh` returning to the new snapshot: median {:?}, worst {:?}",
            latency[latency.len() / 2],
            latency[latency.len() - 1]
        );
        lab.ip("neigh del 10.9.0.5 dev edge0");
        follow.until("that it is gone", |routes| mac(routes).is_none().then_some(())).await;
    });
}

#[test]
fn nobody_answering_is_told() {
    in_lab(|lab| async move {
        lab.tune("ipv4", "retrans_time_ms", "20");
        let mut follow = Follow::start().await;
        let Err(NoPath::Unresolved(next_hop)) = follow.latest.path_to(ip("10.9.0.66")) else {
            panic!("{:?}", follow.latest.path_to(ip("10.9.0.66")));
        };
        assert!(follow.watcher.resolver().resolve(next_hop));
        follow.until_path("10.9.0.66", Err(NoPath::Failed(next_hop))).await;
        // It comes up after all, and is asked for again.
        lab.peer("addr add 10.9.0.66/24 dev peer0");
        assert!(follow.watcher.resolver().resolve(next_hop));
        follow.until_path("10.9.0.66", Ok(())).await;
    });
}

#[test]
fn a_neighbour_in_use_is_confirmed_and_its_failure_noticed() {
    in_lab(|lab| async move {
        for (knob, value) in
            [("retrans_time_ms", "20"), ("delay_first_probe_time", "0"), ("mcast_resolicit", "0")]
        {
            lab.tune("ipv4", knob, value);
        }
        let mut follow = Follow::start().await;
        let ifindex = interface(&follow.latest, "edge0").unwrap().ifindex;
        let next_hop = NextHop { ifindex, address: ip("10.9.0.2") };
        // Stale at an address where nobody is: Linux would leave it at that, as it sends nothing.
        lab.ip("neigh replace 10.9.0.2 lladdr 02:00:00:00:00:55 dev edge0 nud stale");
        follow.until_path("10.9.0.2", Ok(())).await;
        assert!(follow.watcher.resolver().in_use(next_hop));
        follow.until_path("10.9.0.2", Err(NoPath::Failed(next_hop))).await;
        // The word still counts when it goes stale the next time, now at the right address.
        lab.ip("neigh replace 10.9.0.2 lladdr 02:00:00:00:00:55 dev edge0 nud reachable");
        follow.until_path("10.9.0.2", Ok(())).await;
        lab.ip("neigh change 10.9.0.2 lladdr 02:00:00:00:00:55 dev edge0 nud stale");
        follow.until_path("10.9.0.2", Err(NoPath::Failed(next_hop))).await;
    });
}

#[test]
fn a_link_that_goes_down_takes_its_paths_along() {
    in_lab(|lab| async move {
        // IPv6 addresses leave with the link and are announced; IPv4 has to do without that hint.
        lab.ip("-6 addr flush dev edge0");
        lab.ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:99 dev edge0");
        lab.ip("route add 192.0.2.0/24 via 10.9.0.2");
        let mut follow = Follow::start().await;
        follow.until_path("192.0.2.1", Ok(())).await;
        let ifindex = interface(&follow.latest, "edge0").unwrap().ifindex;

        lab.peer("link set peer0 down");
        follow.until_path("192.0.2.1", Err(NoPath::LinkDown { ifindex })).await;
        lab.peer("link set peer0 up");
        follow.until_path("192.0.2.1", Ok(())).await;

        // Linux drops the route without a word.
        lab.ip("link set edge0 down");
        follow.until_path("192.0.2.1", Err(NoPath::NoRoute)).await;
        lab.ip("link set edge0 up mtu 1400");
        lab.ip("route add 192.0.2.0/24 via 10.9.0.2");
        lab.ip("neigh replace 10.9.0.2 lladdr 02:00:00:00:00:99 dev edge0");
        follow.until_path("192.0.2.1", Ok(())).await;
        let mtu = |routes: &Routes| routes.path_to(ip("192.0.2.1")).ok().map(|path| path.mtu);
        follow.until("the new MTU", |routes| (mtu(routes) == Some(1400)).then_some(())).await;

        lab.ip("link del edge0");
        follow.until("no link", |routes| interface(routes, "edge0").is_err().then_some(())).await;
    });
}

#[test]
fn lost_news_are_made_up_for() {
    in_lab(|lab| async move {
        let mut follow = Follow::start().await;
        let before = follow.latest.route_count();
        // Nobody reads while these are added, and the socket's buffer cannot hold them all.
        let mut batch = tempfile::NamedTempFile::new().unwrap();
        const ADDED: usize = 60_000;
        for n in 0..ADDED {
            let (high, low) = (n >> 8, n & 0xFF);
            std::io::Write::write_fmt(
                &mut batch,
                format_args!("route add 20.{high}.{low}.0/24 via 10.9.0.2\n"),
            )
            .unwrap();
        }
        lab.ip(&format!("-batch {}", batch.path().display()));
        let count = |routes: &Routes| routes.route_count() - before;
        let added = Instant::now();
        follow.until("all routes", |routes| (count(routes) == ADDED).then_some(())).await;
        eprintln!("{ADDED} routes were known {:?} after the last was added", added.elapsed());

        // A change is as quick to come through as before.
        lab.ip("neigh add 10.9.0.5 lladdr 02:00:00:00:01:05 dev edge0");
        let told = Instant::now();
        follow.until_path("10.9.0.5", Ok(())).await;
        eprintln!("with {ADDED} routes a new neighbour took {:?}", told.elapsed());
    });
}

#[test]
fn source_ports_are_reserved_in_the_namespace_and_clashes_named() {
    in_lab(|lab| async move {
        let list =
            || std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap();
        std::fs::write("/proc/sys/net/ipv4/ip_local_reserved_ports", "30000-30002").unwrap();
        let guard = ReservedPorts::reserve(&[20000..=20003, 30002..=30010]).unwrap();
        assert_eq!(list().trim(), "20000-20003,30000-30010");
        drop(guard);
        assert_eq!(list().trim(), "30000-30002");

        let listener = TcpListener::bind("10.9.0.1:20001").unwrap();
        let everywhere = TcpListener::bind("[::]:20002").unwrap();
        let found = clashes(ip("10.9.0.1"), 20000..=20010).unwrap();
        let said: Vec<String> = found.iter().map(|clash| clash.to_string()).collect();
        assert_eq!(found.len(), 2, "{said:?}");
        assert!(said[0].starts_with("Linux has a TCP socket on 10.9.0.1:20001 (LISTEN)"));
        assert!(said[1].starts_with("Linux has a TCP socket on [::]:20002 (LISTEN)"));
        drop((listener, everywhere, lab));
        assert!(clashes(ip("10.9.0.1"), 20000..=20010).unwrap().is_empty());
    });
}

#[test]
fn a_namespace_without_anything_is_read() {
    in_lab(|lab| async move {
        lab.ip("link del edge0");
        let routes = read_once().await.unwrap();
        assert_eq!(
            interface(&routes, "edge0").unwrap_err().to_string(),
            "no interface is named \"edge0\"; there are lo"
        );
        assert_eq!(routes.link_by_name("lo").unwrap().mac, None);
        assert_eq!(routes.path_to(ip("192.0.2.1")), Err(NoPath::NoRoute));
    });
}

#[test]
fn the_queues_that_a_device_receives_on_are_found() {
    in_lab(async |lab| {
        lab.ip("link add four0 numrxqueues 4 numtxqueues 4 type veth");
        let queues = |name: &str| {
            let ifindex = nix::net::if_::if_nametoindex(name).unwrap();
            receive_queues(ifindex).unwrap().map(ReceiveQueues::total)
        };
        // Has room for more, and uses one.
        assert_eq!(queues("edge0"), Some(1));
        assert_eq!(queues("four0"), Some(4));
        assert_eq!(queues("lo"), None, "a device that has no queues to set");
        assert_eq!(receive_queues(9999).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    });
}
