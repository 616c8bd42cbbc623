//! Several pools over one memory.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::frame::{Frame, FramePool, Loan, Transit};

fn pools<const N: usize>(shares: [usize; N]) -> [FramePool; N] {
    let pool = FramePool::in_memory(shares.iter().sum(), 2048);
    pool.split(&shares).try_into().unwrap()
}

fn figures(pool: &FramePool) -> [usize; 4] {
    [pool.capacity(), pool.free_count(), pool.held_count(), pool.with_devices()]
}

fn filled(pool: &mut FramePool, octets: &[u8]) -> Frame {
    let mut frame = pool.alloc().unwrap();
    pool.push_back(&mut frame, octets.len()).unwrap().copy_from_slice(octets);
    frame
}

#[test]
fn each_frame_of_the_memory_is_in_one_of_its_pools() {
    let mut pools = pools([3, 0, 5]);
    assert_eq!(pools.each_ref().map(FramePool::capacity), [3, 0, 5]);
    assert_eq!(pools.each_ref().map(FramePool::index_end), [8, 8, 8]);
    assert_eq!(pools.each_ref().map(FramePool::number), [0, 1, 2]);
    let mut indices = Vec::new();
    for pool in &mut pools {
        let held: Vec<Frame> = std::iter::from_fn(|| pool.alloc()).collect();
        indices.extend(held.iter().map(Frame::index));
        held.into_iter().for_each(|frame| pool.free(frame));
    }
    indices.sort_unstable();
    assert!(indices.into_iter().eq(0..8));
}

#[test]
fn a_frame_in_transit_is_written_on_where_it_arrives() {
    let [mut here, mut there] = pools([4, 2]);
    let mut frame = filled(&mut here, b"payload");
    here.push_front(&mut frame, 4).copy_from_slice(b"head");
    let transit = here.depart(frame);
    assert_eq!((figures(&here), figures(&there)), ([3, 3, 0, 0], [2, 2, 0, 0]), "on its way");
    let mut frame = there.arrive(transit);
    assert_eq!((figures(&here), figures(&there)), ([3, 3, 0, 0], [3, 2, 1, 0]));
    assert_eq!(there.bytes(&frame), b"headpayload");
    there.bytes_mut(&mut frame)[0] = b'H';
    there.free(frame);
    while let Some(transit) = there.depart_free() {
        here.arrive_free(transit);
    }
    assert_eq!((figures(&here), figures(&there)), ([6, 6, 0, 0], [0, 0, 0, 0]));
}

/// Sent by another core's device while a handle is kept for retransmission.
#[test]
fn a_lent_frame_is_its_lenders_until_it_is_back() {
    let [mut io, mut worker] = pools([4, 4]);
    let kept = filled(&mut worker, b"sent");
    let lent = worker.share(&kept);
    let loan = worker.lend(lent);
    assert_eq!((loan.lender(), worker.is_shared(&kept)), (1, true));
    let guest = io.host(loan);
    assert_eq!(io.bytes(&guest), b"sent");
    assert!(io.is_shared(&guest), "not to be written");
    assert_eq!(io.guest_count(), 1);

    let len = guest.len();
    let offset = io.give_to_device(guest);
    assert_eq!((figures(&io), figures(&worker)), ([4, 4, 0, 0], [4, 3, 1, 0]));
    assert_eq!(io.departing_guests(1).count(), 0, "the device has it");
    let guest = io.take_from_device(offset, len).unwrap();
    io.free(guest);
    assert!(io.take_from_device(offset, len).is_none(), "it leaves");
    assert_eq!(io.departing_guests(0).count(), 0, "of another lender");
    let loan = io.departing_guests(1).next().unwrap();
    assert_eq!((io.guest_count(), io.departing_guests(1).count()), (0, 0));
    worker.receive_back(loan);
    assert!(!worker.is_shared(&kept));
    worker.free(kept);
    assert_eq!((figures(&io), figures(&worker)), ([4, 4, 0, 0], [4, 4, 0, 0]));
}

/// What is acknowledged before the device has let go of it, and what was never kept.
#[test]
fn a_frame_with_no_handle_but_a_loan_is_free_when_that_is_back() {
    let [mut io, mut worker] = pools([0, 2]);
    let (kept, passed) = (filled(&mut worker, b"1"), filled(&mut worker, b"2"));
    let shared = worker.share(&kept);
    let loans = [worker.lend(shared), worker.lend(passed)];
    worker.free(kept);
    assert_eq!(figures(&worker), [2, 0, 2, 2], "with another pool, and its devices");
    for loan in loans {
        let guest = io.host(loan);
        io.free(guest);
    }
    io.departing_guests(1).for_each(|loan| worker.receive_back(loan));
    assert_eq!(figures(&worker), [2, 2, 0, 0]);
}

#[test]
fn a_guest_that_is_shared_leaves_when_its_last_handle_is_freed() {
    let [mut io, mut worker] = pools([0, 1]);
    let frame = filled(&mut worker, b"1");
    let loan = worker.lend(frame);
    let guest = io.host(loan);
    let second = io.share(&guest);
    io.free(guest);
    assert_eq!(io.departing_guests(1).count(), 0);
    io.free(second);
    let loan = io.departing_guests(1).next().unwrap();
    worker.receive_back(loan);
}

/// The rings home have room for so many; the others leave later.
#[test]
fn guests_that_are_not_taken_leave_later() {
    let [mut io, mut worker] = pools([0, 5]);
    while let Some(frame) = worker.alloc() {
        let loan = worker.lend(frame);
        let guest = io.host(loan);
        io.free(guest);
    }
    for (room, left) in [(0, 5), (2, 3), (64, 0)] {
        io.departing_guests(1).take(room).for_each(|loan| worker.receive_back(loan));
        assert_eq!(io.guest_count(), left);
    }
    assert_eq!(figures(&worker), [5, 5, 0, 0]);
}

#[test]
#[should_panic(expected = "octets 256+0 of frame")]
fn a_frame_of_another_pool_is_not_read() {
    let [mut one, other] = pools([1, 1]);
    let frame = one.alloc().unwrap();
    other.bytes(&frame);
}

#[test]
#[should_panic(expected = "of 2")]
fn a_frame_of_another_pool_is_not_written() {
    let [mut one, mut other] = pools([1, 1]);
    let mut frame = one.alloc().unwrap();
    other.bytes_mut(&mut frame);
}

#[test]
#[should_panic(expected = "of 2")]
fn a_frame_of_another_pool_is_not_freed() {
    let [mut one, mut other] = pools([1, 1]);
    let frame = one.alloc().unwrap();
    other.free(frame);
}

#[test]
#[should_panic(expected = "cannot be written")]
fn a_lent_frame_is_not_written() {
    let [_io, mut worker] = pools([0, 1]);
    let mut kept = worker.alloc().unwrap();
    let lent = worker.share(&kept);
    std::mem::forget(worker.lend(lent));
    worker.bytes_mut(&mut kept);
}

#[test]
#[should_panic(expected = "cannot be written")]
fn a_guest_is_not_written() {
    let [mut io, mut worker] = pools([0, 1]);
    let frame = worker.alloc().unwrap();
    let loan = worker.lend(frame);
    let mut guest = io.host(loan);
    io.bytes_mut(&mut guest);
}

#[test]
#[should_panic(expected = "cannot be written")]
fn a_frame_with_a_second_handle_does_not_depart() {
    let [mut one, _other] = pools([1, 1]);
    let frame = one.alloc().unwrap();
    std::mem::forget(one.share(&frame));
    std::mem::forget(one.depart(frame));
}

#[test]
#[should_panic(expected = "frame 3 of 2")]
fn a_frame_of_a_larger_memory_does_not_arrive() {
    let [mut small, _] = pools([1, 1]);
    let [mut large, _] = pools([1, 3]);
    let last = large.alloc().unwrap();
    let transit = large.depart(last);
    let _ = small.arrive(transit);
}

#[test]
#[should_panic(expected = "of 2")]
fn a_loan_of_another_lender_is_not_taken_back() {
    let [_io, mut one, mut two] = pools([0, 1, 1]);
    let frame = one.alloc().unwrap();
    two.receive_back(one.lend(frame));
}

#[test]
#[should_panic(expected = "shares [1, 2] of 4 free frames")]
fn shares_that_are_not_all_are_refused() {
    let _ = FramePool::in_memory(4, 2048).split(&[1, 2]);
}

#[test]
#[should_panic(expected = "was dropped, not freed")]
fn a_frame_lost_on_its_way_is_noticed() {
    let [mut one, _other] = pools([1, 1]);
    let frame = one.alloc().unwrap();
    drop(one.depart(frame));
}

/// Two threads exchange numbered frames both ways, each from its own pool: every other one for good,
/// for which a free one comes home, and the others as loans of which a handle is kept meanwhile.
#[test]
fn two_threads_exchange_frames() {
    let [one, two] = pools([40, 24]);
    let ((to_two, from_one), (to_one, from_two)) = (channel(), channel());
    thread::scope(|scope| {
        scope.spawn(move || Core::new(one, to_two).exchange(20_000, &from_two));
        scope.spawn(move || Core::new(two, to_one).exchange(20_000, &from_one));
    });
}

enum Parcel {
    Whole(Transit),
    Lent(Loan),
    /// What comes home for each of those.
    Free(Transit),
    Back(Loan),
}

struct Core {
    pool: FramePool,
    peer: Sender<Parcel>,
    kept: Vec<Frame>,
    sent: u32,
    arrived: u32,
    /// Sent, and nothing has come home for it.
    away: u32,
}

impl Core {
    fn new(pool: FramePool, peer: Sender<Parcel>) -> Self {
        Core { pool, peer, kept: Vec::new(), sent: 0, arrived: 0, away: 0 }
    }

    fn exchange(mut self, count: u32, from_peer: &Receiver<Parcel>) {
        let capacity = self.pool.capacity();
        while self.sent < count || self.arrived < count || self.away > 0 {
            if self.sent < count && self.pool.free_count() > 0 {
                self.send();
                from_peer.try_iter().take(1).for_each(|parcel| self.receive(parcel));
            } else {
                self.receive(from_peer.recv().unwrap());
            }
            assert_eq!(self.pool.free_count() + self.pool.held_count(), self.pool.capacity());
        }
        assert_eq!(figures(&self.pool), [capacity, capacity, 0, 0]);
        assert_eq!(self.pool.guest_count(), 0);
    }

    fn send(&mut self) {
        let frame = filled(&mut self.pool, &content(self.sent));
        let parcel = if self.sent.is_multiple_of(2) {
            Parcel::Whole(self.pool.depart(frame))
        } else {
            let lent = self.pool.share(&frame);
            self.kept.push(frame);
            Parcel::Lent(self.pool.lend(lent))
        };
        self.sent += 1;
        self.away += 1;
        self.peer.send(parcel).unwrap();
    }

    fn receive(&mut self, parcel: Parcel) {
        let home = match parcel {
            Parcel::Whole(transit) => {
                let frame = self.pool.arrive(transit);
                self.read(frame);
                Parcel::Free(self.pool.depart_free().unwrap())
            }
            Parcel::Lent(loan) => {
                let lender = loan.lender();
                let guest = self.pool.host(loan);
                self.read(guest);
                Parcel::Back(self.pool.departing_guests(lender).next().unwrap())
            }
            Parcel::Free(transit) => {
                self.away -= 1;
                return self.pool.arrive_free(transit);
            }
            Parcel::Back(loan) => {
                self.away -= 1;
                self.pool.receive_back(loan);
                return self.reuse();
            }
        };
        self.peer.send(home).unwrap();
    }

    fn read(&mut self, frame: Frame) {
        assert_eq!(self.pool.bytes(&frame), content(self.arrived), "number {}", self.arrived);
        self.arrived += 1;
        self.pool.free(frame);
    }

    /// Writes to what has come back, and frees it.
    fn reuse(&mut self) {
        let back = self.kept.extract_if(.., |frame| !self.pool.is_shared(frame));
        for mut frame in back.collect::<Vec<Frame>>() {
            self.pool.bytes_mut(&mut frame).fill(0xee);
            self.pool.free(frame);
        }
    }
}

fn content(number: u32) -> Vec<u8> {
    [number.to_be_bytes(); 300].concat()
}
