//! AF_XDP on real veth pairs, in network namespaces. Needs root; says so and passes without.

mod netns;
mod queues;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant as Clock};

use nix::poll::{PollFd, PollFlags, poll};
use ringroad_ebpf::{AttachMode, PortSettings, Redirector};

use self::netns::Lab;
use super::*;
use crate::limits::HEADROOM;

const PATIENCE: Duration = Duration::from_secs(10);
const FRAMES: usize = 1024;

fn settings(interface: &str) -> Settings {
    let ifindex = nix::net::if_::if_nametoindex(interface).unwrap();
    Settings { rx_entries: 256, tx_entries: 256, ..Settings::new(interface, ifindex, 0) }
}

/// An edge with a port on either side, over one UMEM. To be made on the edge.
struct Edge {
    pool: FramePool,
    west: AfXdp,
    east: AfXdp,
    _programs: [Redirector; 2],
}

impl Edge {
    fn new() -> Self {
        let mut pool = FramePool::in_memory(FRAMES, 2048);
        let umem = Umem::new(&pool);
        let west = AfXdp::open(&mut pool, &umem, settings("west")).unwrap();
        let east = AfXdp::open(&mut pool, &umem, settings("east")).unwrap();
        let programs = [&west, &east].map(redirect);
        Edge { pool, west, east, _programs: programs }
    }

    fn close(mut self) {
        self.west.close(&mut self.pool);
        self.east.close(&mut self.pool);
        assert_eq!(self.pool.free_count(), self.pool.capacity(), "every frame is home");
        assert_eq!(self.pool.with_devices(), 0);
        assert!(!self.pool.is_scarce());
    }
}

/// Brings all that arrives on a port's interface to it.
fn redirect(port: &AfXdp) -> Redirector {
    let Settings { interface, ifindex, queue, .. } = port.settings().clone();
    let mode = AttachMode::Native;
    let mut redirector = Redirector::load(PortSettings { ifindex, interface, mode }).unwrap();
    redirector.set_socket(queue, port.fd().unwrap()).unwrap();
    redirector.attach().unwrap();
    redirector
}

/// Sleeps until a port has packets.
fn wait(port: &AfXdp) {
    let fd = port.fd().unwrap();
    let ready = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], 10_000u16).unwrap();
    assert_eq!(ready, 1, "no packet came");
}

/// Receives until `count` packets are there.
fn receive(port: &mut AfXdp, pool: &mut FramePool, count: usize) -> Burst {
    let mut burst = Burst::new();
    while burst.len() < count {
        wait(port);
        port.rx_burst(pool, &mut burst);
    }
    burst
}

/// An IPv4 packet of UDP, as far as anybody looks here.
fn packet(number: u32) -> Vec<u8> {
    let mut packet = vec![0xff; 6];
    packet.extend([2, 0, 0, 0, 0, 1, 8, 0]);
    packet.extend([0x45; 28]);
    packet.extend(number.to_be_bytes());
    packet.extend((0..100u32).map(|i| (i + number) as u8));
    packet
}

/// The longer headers that take the place of Ethernet, IPv4 and UDP: Ethernet, IPv6 and UDP.
fn longer_headers() -> Vec<u8> {
    let mut headers = vec![0xff; 6];
    headers.extend([2, 0, 0, 0, 0, 2, 0x86, 0xdd]);
    headers.extend([0x60; 48]);
    headers
}

#[test]
fn frames_are_reheaded_in_place_and_leave_by_another_interface() {
    let Some(lab) = Lab::new() else { return };
    let (left, right) = (lab.packets("left"), lab.packets("right"));
    lab.on("edge", || {
        let mut edge = Edge::new();
        for round in 0..5 {
            let numbers = round * 64..(round + 1) * 64;
            numbers.clone().for_each(|n| left.send(&packet(n)));
            let mut burst = receive(&mut edge.west, &mut edge.pool, BURST);
            let mut out = Burst::new();
            for mut frame in burst.drain() {
                assert!(frame.start() >= HEADROOM, "arrived at {}", frame.start());
                let (index, start) = (frame.index(), frame.start());
                frame.trim_front(14 + 28);
                let headers = longer_headers();
                edge.pool.push_front(&mut frame, headers.len()).copy_from_slice(&headers);
                assert_eq!((frame.index(), frame.start()), (index, start - 20));
                out.push(frame).unwrap();
            }
            edge.east.tx_burst(&mut edge.pool, &mut out);
            assert!(out.is_empty());
            assert_eq!(edge.east.custody.sending(), BURST);
            edge.east.flush(&mut edge.pool);
            assert_eq!(
                edge.east.custody.sending(),
                0,
                "one flush sent more than 32, and all came home"
            );
            for number in numbers {
                let mut expected = longer_headers();
                expected.extend(&packet(number)[14 + 28..]);
                assert_eq!(right.receive(), Some(expected));
            }
        }
        assert_eq!(edge.west.stats(), PortStats { received: 320, ..PortStats::default() });
        assert_eq!(edge.east.stats(), PortStats { sent: 320, ..PortStats::default() });
        edge.close();
    });
}

#[test]
fn hosts_reach_each_other_over_both_families() {
    let Some(lab) = Lab::new() else { return };
    lab.give_addresses();
    lab.on("edge", || {
        let mut edge = Edge::new();
        for target in ["10.9.0.2", "fd09::2"] {
            let mut ping = Command::new("ip")
                .args(["netns", "exec", &lab.namespace("left")])
                .args(["ping", "-c", "5", "-i", "0.05", "-W", "5", "-s", "1400", target])
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let start = Clock::now();
            let status = loop {
                let Edge { pool, west, east, .. } = &mut edge;
                let mut burst = Burst::new();
                west.rx_burst(pool, &mut burst);
                east.tx_burst(pool, &mut burst);
                assert!(burst.is_empty());
                east.rx_burst(pool, &mut burst);
                west.tx_burst(pool, &mut burst);
                assert!(burst.is_empty());
                west.flush(pool);
                east.flush(pool);
                if let Some(status) = ping.try_wait().unwrap() {
                    break status;
                }
                assert!(start.elapsed() < PATIENCE);
                std::thread::sleep(Duration::from_micros(200));
            };
            assert!(status.success(), "ping {target}");
        }
        assert_eq!(edge.pool.held_count(), edge.pool.with_devices());
        edge.close();
    });
}

#[test]
fn every_frame_comes_home_whatever_was_under_way() {
    let Some(lab) = Lab::new() else { return };
    let left = lab.packets("left");
    lab.on("edge", || {
        // Twice: a queue can be opened again as soon as it is closed.
        for _ in 0..2 {
            let mut edge = Edge::new();
            (0..40).for_each(|n| left.send(&packet(n)));
            // Some are received and queued to be sent but not flushed, one of them kept for
            // retransmission; the rest stay in the receive ring.
            let mut burst = receive(&mut edge.west, &mut edge.pool, 1);
            let kept = burst.iter().next().map(|f| edge.pool.share(f)).unwrap();
            edge.east.tx_burst(&mut edge.pool, &mut burst);
            assert!(edge.pool.is_shared(&kept));
            edge.east.close(&mut edge.pool);
            assert!(!edge.pool.is_shared(&kept), "ours alone again");
            edge.pool.free(kept);
            // A closed port is dead, not dangerous.
            edge.east.rx_burst(&mut edge.pool, &mut burst);
            edge.east.flush(&mut edge.pool);
            assert!(burst.is_empty() && edge.east.fd().is_none());
            edge.close();
        }
    });
}

#[test]
fn held_data_does_not_starve_reception() {
    let Some(lab) = Lab::new() else { return };
    let left = lab.packets("left");
    lab.on("edge", || {
        let mut edge = Edge::new();
        let mut held = Vec::new();
        for round in 0..40u32 {
            (0..32).for_each(|n| left.send(&packet(round * 32 + n)));
            let mut burst = receive(&mut edge.west, &mut edge.pool, 32);
            for frame in burst.drain() {
                if edge.pool.is_scarce() { edge.pool.free(frame) } else { held.push(frame) }
            }
        }
        assert_eq!(edge.west.stats(), PortStats { received: 40 * 32, ..PortStats::default() });
        assert_eq!(edge.west.fill_level(), 256, "the device has all it wants");
        // Two fill rings and two reserves are the devices'; all else could be held.
        assert_eq!(held.len(), FRAMES - 2 * (256 + DEVICE_RESERVE));
        held.into_iter().for_each(|frame| edge.pool.free(frame));
        edge.close();
    });
}

#[test]
fn a_frame_is_not_sent_twice_at_once_nor_one_without_headers() {
    let Some(lab) = Lab::new() else { return };
    lab.on("edge", || {
        let mut edge = Edge::new();
        let mut frame = edge.pool.alloc().unwrap();
        edge.pool.push_back(&mut frame, 60).unwrap().fill(0xff);
        let again = edge.pool.share(&frame);
        let mut stump = edge.pool.alloc().unwrap();
        edge.pool.push_back(&mut stump, 13).unwrap().fill(0xff);
        let mut burst = Burst::new();
        for frame in [frame, again, stump] {
            burst.push(frame).unwrap();
        }
        edge.west.tx_burst(&mut edge.pool, &mut burst);
        assert!(burst.is_empty());
        edge.west.flush(&mut edge.pool);
        assert_eq!(edge.west.stats(), PortStats { sent: 3, tx_dropped: 2, ..PortStats::default() });
        edge.close();
    });
}

#[test]
fn a_full_transmit_ring_takes_no_more_until_the_link_takes_what_it_has() {
    let Some(lab) = Lab::new() else { return };
    let right = lab.packets("right");
    lab.on("edge", || {
        let mut edge = Edge::new();
        let mut queued = 0;
        let mut left_over = loop {
            let mut burst = Burst::new();
            for _ in 0..60 {
                let mut frame = edge.pool.alloc().unwrap();
                edge.pool.push_back(&mut frame, 60).unwrap().fill(0xff);
                burst.push(frame).unwrap();
            }
            edge.east.tx_burst(&mut edge.pool, &mut burst);
            queued += 60 - burst.len();
            if !burst.is_empty() {
                break burst;
            }
        };
        assert_eq!(queued, 256);
        assert_eq!(left_over.len(), 300 - 256);
        let start = Clock::now();
        while edge.east.custody.sending() > 0 {
            edge.east.flush(&mut edge.pool);
            assert!(start.elapsed() < PATIENCE);
        }
        let mut arrived = std::iter::from_fn(|| right.receive()).count();
        edge.east.tx_burst(&mut edge.pool, &mut left_over);
        assert!(left_over.is_empty());
        edge.east.flush(&mut edge.pool);
        arrived += std::iter::from_fn(|| right.receive()).count();
        assert_eq!(arrived, 300);
        edge.close();
    });
}

#[test]
fn an_interface_that_goes_away_takes_no_frames_with_it() {
    let Some(lab) = Lab::new() else { return };
    let left = lab.packets("left");
    lab.on("edge", || {
        let mut edge = Edge::new();
        (0..20).for_each(|n| left.send(&packet(n)));
        let mut burst = receive(&mut edge.west, &mut edge.pool, 20);
        let deleted = Command::new("ip").args(["link", "del", "east"]).status().unwrap();
        assert!(deleted.success());
        for _ in 0..3 {
            edge.east.tx_burst(&mut edge.pool, &mut burst);
            edge.east.flush(&mut edge.pool);
            edge.east.rx_burst(&mut edge.pool, &mut burst);
        }
        assert_eq!(edge.east.custody.sending(), 20, "nobody sends them");
        // The other interface, whose socket came first, works on.
        left.send(&packet(20));
        let mut more = receive(&mut edge.west, &mut edge.pool, 1);
        more.drain().for_each(|frame| edge.pool.free(frame));
        edge.close();
    });
}

#[test]
fn copying_and_need_wakeup_are_what_the_kernel_says() {
    let Some(lab) = Lab::new() else { return };
    lab.on("edge", || {
        let edge = Edge::new();
        for port in [&edge.west, &edge.east] {
            assert_eq!(port.copying(), Copying::Copy, "veth has no zero-copy");
            let socket = port.socket.as_ref().unwrap();
            assert!(socket.tx.needs_wakeup(), "in copy mode nothing leaves without a call");
            assert!(!socket.fill.needs_wakeup());
            assert!(!port.busy_polling());
        }
        edge.close();

        let mut pool = FramePool::in_memory(FRAMES, 2048);
        let umem = Umem::new(&pool);
        let busy_poll = Some(BusyPoll { micros: 20, budget: 64 });
        let wanted = Settings { busy_poll, ..settings("west") };
        let mut port = AfXdp::open(&mut pool, &umem, wanted).unwrap();
        assert!(port.busy_polling());
        let mut burst = Burst::new();
        port.rx_burst(&mut pool, &mut burst);
        assert!(burst.is_empty());
        port.close(&mut pool);
        assert_eq!(pool.free_count(), pool.capacity());
    });
}

#[test]
fn what_cannot_be_opened_says_why_and_what_to_do() {
    let Some(lab) = Lab::new() else { return };
    lab.on("edge", || {
        let mut pool = FramePool::in_memory(FRAMES, 2048);
        let umem = Umem::new(&pool);
        let mut refused = |change: &dyn Fn(&mut Settings)| {
            let mut wanted = settings("west");
            change(&mut wanted);
            let message = AfXdp::open(&mut pool, &umem, wanted).unwrap_err().to_string();
            assert_eq!(pool.free_count(), pool.capacity(), "{message}");
            assert!(message.starts_with("west: "), "{message}");
            assert!(!message.contains('\n') && !message.contains("  "), "{message}");
            message
        };
        for (change, expected) in [
            (&(|s: &mut Settings| s.ifindex = 4711) as &dyn Fn(&mut Settings), "no such interface"),
            (&|s: &mut Settings| s.queue = 7, "no queue 7"),
            (&|s: &mut Settings| s.mode = XdpMode::ZeroCopy, "no zero-copy AF_XDP"),
            (&|s: &mut Settings| s.rx_entries = 100, "a ring of 100 entries"),
            (&|s: &mut Settings| s.tx_entries = 1 << 20, "a ring of 1048576 entries"),
            (&|s: &mut Settings| s.rx_entries = 1024, "1024 frames are free"),
        ] {
            let message = refused(change);
            assert!(message.contains(expected), "{message}");
        }
        let mut holder_pool = FramePool::in_memory(FRAMES, 2048);
        let holder_umem = Umem::new(&holder_pool);
        let mut holder = AfXdp::open(&mut holder_pool, &holder_umem, settings("west")).unwrap();
        assert!(refused(&|_| {}).contains("queue 0 is in use"));
        holder.close(&mut holder_pool);

        // The raw call changes this thread alone, which ends with the test.
        // SAFETY: takes no pointers.
        #[allow(unsafe_code, reason = "libc's own wrapper would change all threads")]
        let result = unsafe { libc::syscall(libc::SYS_setresuid, -1, 65534, -1) };
        assert_eq!(result, 0);
        let capabilities = "CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON";
        assert!(refused(&|_| {}).contains(capabilities));
    });
}

mod custody {
    use super::super::custody::{Custody, Purpose};
    use crate::frame::FramePool;

    #[test]
    fn a_device_is_believed_only_about_what_it_was_given() {
        let mut pool = FramePool::in_memory(4, 2048);
        let mut custody = Custody::new(4, 2048);
        let frame = pool.alloc().unwrap();
        let ours = pool.alloc().unwrap();
        let address = custody.give(&mut pool, frame, Purpose::Receive).unwrap();
        let not_its = ours.index() as u64 * 2048 + 256;
        assert!(custody.take(&mut pool, not_its, 60, Purpose::Receive).is_none(), "ours");
        assert!(custody.take(&mut pool, address, 60, Purpose::Send).is_none(), "not to be sent");
        assert!(custody.take(&mut pool, address, 4000, Purpose::Receive).is_none(), "too long");
        assert!(custody.take(&mut pool, u64::MAX, 1, Purpose::Receive).is_none(), "outside");
        let back = custody.take(&mut pool, address + 2, 60, Purpose::Receive).unwrap();
        assert_eq!((back.start(), back.len()), (258, 60));
        assert!(custody.take(&mut pool, address, 60, Purpose::Receive).is_none(), "twice");
        pool.free(back);
        pool.free(ours);
        assert_eq!((pool.free_count(), custody.receiving(), custody.sending()), (4, 0, 0));
    }
}
