//! Several queues of one interface, over one memory.

use std::collections::HashSet;

use nix::poll::{PollFd, PollFlags, poll};
use ringroad_ebpf::Redirector;

use super::netns::Lab;
use super::{FRAMES, packet, redirect, settings};
use crate::frame::{Burst, FramePool};
use crate::port::af_xdp::{AfXdp, Settings, Umem};
use crate::port::queues::Queues;
use crate::port::{Port as _, PortStats};

/// The queue of "west" with this number. To be opened on the edge.
fn open(pool: &mut FramePool, umem: &std::sync::Arc<Umem>, queue: u32) -> AfXdp {
    AfXdp::open(pool, umem, Settings { queue, ..settings("west") }).unwrap()
}

/// Brings what arrives in either queue to its socket.
fn redirect_both(first: &AfXdp, second: &AfXdp) -> Redirector {
    let redirector = redirect(first);
    redirector.set_socket(1, second.fd().unwrap()).unwrap();
    redirector
}

/// A packet of a flow of its own; Linux spreads them over the queues of the link.
fn of_flow(number: u32) -> Vec<u8> {
    let mut packet = packet(number);
    packet[26..30].copy_from_slice(&number.to_be_bytes());
    packet
}

/// Sleeps until one of the ports has packets.
fn wait(ports: &[AfXdp; 2]) {
    let mut fds = ports.each_ref().map(|port| PollFd::new(port.fd().unwrap(), PollFlags::POLLIN));
    assert!(poll(&mut fds, 10_000u16).unwrap() > 0, "no packet came");
}

/// Two cores: each polls a queue with a pool of its own. What one has received the other sends.
#[test]
fn what_one_queue_receives_leaves_by_another() {
    let Some(lab) = Lab::with_queues(2) else { return };
    let left = lab.packets("left");
    lab.on("edge", || {
        let mut pools = FramePool::in_memory(FRAMES, 2048).split(&[FRAMES / 2; 2]);
        let umem = Umem::new(&pools[1]);
        let mut ports = [0, 1].map(|queue| open(&mut pools[queue as usize], &umem, queue));
        let _program = redirect_both(&ports[0], &ports[1]);
        let mut to_second = Burst::new();
        let mut arrived = [HashSet::new(), HashSet::new()];
        (0..60).for_each(|number| left.send(&of_flow(number)));
        while arrived[0].len() + arrived[1].len() < 60 {
            wait(&ports);
            for (queue, (port, pool)) in ports.iter_mut().zip(&mut pools).enumerate() {
                let mut burst = Burst::new();
                port.rx_burst(pool, &mut burst);
                for frame in burst.drain() {
                    arrived[queue].insert(pool.bytes(&frame).to_vec());
                    if queue == 0 { to_second.push(frame).unwrap() } else { pool.free(frame) }
                }
            }
        }
        assert!(arrived.iter().all(|packets| !packets.is_empty()), "both queues receive");

        let [first, second] = &mut pools[..] else { unreachable!() };
        let passed = to_second.len();
        let mut burst = Burst::new();
        for frame in to_second.drain() {
            burst.push(second.arrive(first.depart(frame))).unwrap();
        }
        ports[1].tx_burst(second, &mut burst);
        ports[1].flush(second);
        let returned: HashSet<Vec<u8>> = std::iter::from_fn(|| left.receive()).collect();
        assert_eq!(returned, arrived[0]);
        assert_eq!(ports[1].stats().sent, passed as u64);

        // The socket that registered the memory goes; the other works on.
        ports[0].close(first);
        let late = arrived[1].iter().next().unwrap();
        left.send(late);
        wait_for_one(&mut ports[1], second, late);
        ports[1].close(second);
        assert_eq!(first.capacity(), FRAMES / 2 - passed);
        assert_eq!(second.capacity(), FRAMES / 2 + passed);
        assert!(pools.iter().all(|pool| pool.free_count() == pool.capacity()));
    });
}

/// Receives one packet, which is to be this one.
fn wait_for_one(port: &mut AfXdp, pool: &mut FramePool, expected: &[u8]) {
    super::receive(port, pool, 1).drain().for_each(|frame| {
        assert_eq!(pool.bytes(&frame), expected);
        pool.free(frame);
    });
}

/// A frame that its worker keeps for retransmission is sent by the core that has the device.
#[test]
fn a_lent_frame_leaves_and_comes_home_to_its_lender() {
    let Some(lab) = Lab::new() else { return };
    let left = lab.packets("left");
    lab.on("edge", || {
        let mut pools = FramePool::in_memory(FRAMES, 2048).split(&[FRAMES - 10, 10]);
        let umem = Umem::new(&pools[0]);
        let mut port = open(&mut pools[0], &umem, 0);
        let [io, worker] = &mut pools[..] else { unreachable!() };
        for round in 0..5 {
            let (mut burst, mut kept) = (Burst::new(), Vec::new());
            while let Some(mut frame) = worker.alloc() {
                let octets = packet(round);
                worker.push_back(&mut frame, octets.len()).unwrap().copy_from_slice(&octets);
                let shared = worker.share(&frame);
                kept.push(frame);
                burst.push(io.host(worker.lend(shared))).unwrap();
            }
            let free = io.free_count();
            port.tx_burst(io, &mut burst);
            assert!(burst.is_empty() && kept.iter().all(|frame| worker.is_shared(frame)));
            port.flush(io);
            assert_eq!((io.free_count(), io.guest_count()), (free, 10), "not on its stack");
            io.departing_guests(1).for_each(|loan| worker.receive_back(loan));
            assert!(!kept.iter().any(|frame| worker.is_shared(frame)), "sole again");
            kept.into_iter().for_each(|frame| worker.free(frame));
            let sent: Vec<Vec<u8>> = std::iter::from_fn(|| left.receive()).collect();
            assert_eq!(sent, vec![packet(round); 10]);
        }
        port.close(io);
        assert_eq!(port.stats(), PortStats { sent: 50, ..PortStats::default() });
        assert_eq!((io.free_count(), worker.free_count()), (FRAMES - 10, 10));
    });
}

/// One core that polls both.
#[test]
fn queues_of_one_interface_are_one_port() {
    let Some(lab) = Lab::with_queues(2) else { return };
    let left = lab.packets("left");
    lab.on("edge", || {
        let mut pool = FramePool::in_memory(FRAMES, 2048);
        let umem = Umem::new(&pool);
        let mut port = Queues::new((0..2).map(|queue| open(&mut pool, &umem, queue)).collect());
        let _program = redirect_both(&port.queues()[0], &port.queues()[1]);
        let mut missing: HashSet<Vec<u8>> = (0..60).map(of_flow).collect();
        missing.iter().for_each(|packet| left.send(packet));
        while !missing.is_empty() {
            let mut fds = [PollFd::new(port.wait_fd().unwrap(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, 10_000u16), Ok(1), "{} missing", missing.len());
            let mut burst = Burst::new();
            port.rx_burst(&mut pool, &mut burst);
            assert!(burst.iter().all(|frame| missing.remove(pool.bytes(frame))));
            // By the first, whichever they came by.
            port.tx_burst(&mut pool, &mut burst);
            port.flush(&mut pool);
        }
        assert!(port.queues().iter().all(|queue| queue.stats().received > 0));
        assert_eq!(std::iter::from_fn(|| left.receive()).count(), 60);
        assert_eq!(port.stats(), PortStats { received: 60, sent: 60, ..PortStats::default() });
        port.close(&mut pool);
        assert_eq!(pool.free_count(), FRAMES);
    });
}
