//! The shield in software, for ports that Linux does not see.

use std::os::fd::BorrowedFd;

use ringroad_ebpf::{CookieService, Verdict};

use super::Gate;
use crate::frame::{Burst, Frame, FramePool};
use crate::limits::BURST;
use crate::port::Port;
use crate::shield::cookie::Keys;
use crate::shield::{KernelPath, Rates, Twin};
use crate::telemetry::capture::{Sight, Tap};
use crate::telemetry::{DropReason, Snapshot};
use crate::time::Instant;

/// The shield's twin, and the ways between the ports and their interfaces in Linux; see
/// [`crate::shield`].
#[derive(Debug)]
pub struct TwinGate<K: Port> {
    twin: Twin,
    /// One for each port.
    paths: Vec<KernelPath<K>>,
    /// What is the engine's of a burst that has to be taken apart.
    kept: Burst,
    /// SYNs that were turned round, on their way out; one for each port.
    answers: Vec<Burst>,
    /// Answers that found no room there.
    answers_full: u64,
}

impl<K: Port> TwinGate<K> {
    /// `kernels` are the ports' interfaces in Linux, in the order of the ports.
    ///
    /// # Panics
    /// If there are not as many as the twin has ports.
    pub fn new(twin: Twin, kernels: Vec<K>, rates: Rates) -> Self {
        assert_eq!(kernels.len(), twin.ports(), "one interface in Linux for each port");
        let paths = kernels.into_iter().map(|kernel| KernelPath::new(kernel, rates)).collect();
        let answers = (0..twin.ports()).map(|_| Burst::new()).collect();
        TwinGate { twin, paths, kept: Burst::new(), answers, answers_full: 0 }
    }

    /// The twin, to be told of connections that Linux has already.
    pub fn twin_mut(&mut self) -> &mut Twin {
        &mut self.twin
    }

    /// The ways to Linux, in the order of the ports.
    pub fn paths(&self) -> &[KernelPath<K>] {
        &self.paths
    }

    /// Hands what is Linux's of a judged burst to Linux, sends back what was turned round, and frees
    /// what is nobody's.
    fn take_apart(
        &mut self,
        now: Instant,
        port: u8,
        pool: &mut FramePool,
        burst: &mut Burst,
        verdicts: &[Verdict; BURST],
        mut tap: Option<&mut Tap>,
    ) {
        let path = &mut self.paths[usize::from(port)];
        for (frame, verdict) in burst.drain().zip(*verdicts) {
            match verdict {
                Verdict::ToEngine => {
                    if let Err(frame) = self.kept.push(frame) {
                        debug_assert!(false, "no burst is longer than another");
                        pool.free(frame);
                    }
                }
                Verdict::Answered => {
                    if let Err(frame) = self.answers[usize::from(port)].push(frame) {
                        self.answers_full += 1;
                        pool.free(frame);
                    }
                }
                dropped if dropped.is_drop() => {
                    if let Some(tap) = &mut tap {
                        let sight = Sight { at: now, port, octets: pool.bytes(&frame) };
                        tap.turned_away(sight, dropped.name());
                    }
                    pool.free(frame);
                }
                _ => path.take(now, pool, verdict, frame),
            }
        }
        std::mem::swap(burst, &mut self.kept);
    }
}

impl<K: Port> Gate for TwinGate<K> {
    /// The twin is as alive as the lane.
    fn beat(&mut self, _now: Instant) {}

    fn set_accepting(&mut self, service: usize, accepting: bool) {
        self.twin.set_accepting(service, accepting);
    }

    fn set_cookie_keys(&mut self, keys: Keys) {
        self.twin.set_cookie_keys(keys);
    }

    fn set_cookie_mss(&mut self, service: usize, says: &CookieService) {
        self.twin.set_cookie_mss(service, says);
    }

    fn set_pressure(&mut self, on: bool) {
        self.twin.set_pressure(on);
    }

    fn new_connections(&self) -> u64 {
        self.twin.new_connections()
    }

    #[inline]
    fn screen(
        &mut self,
        now: Instant,
        port: u8,
        pool: &mut FramePool,
        burst: &mut Burst,
        tap: Option<&mut Tap>,
    ) {
        burst.iter().for_each(|frame| pool.prefetch(frame));
        let mut verdicts = [Verdict::ToEngine; BURST];
        for (frame, verdict) in burst.iter_mut().zip(&mut verdicts) {
            *verdict = self.twin.judge(now, port, pool.bytes(frame));
            if *verdict == Verdict::Answered {
                replace(pool, frame, self.twin.answer());
            }
        }
        // Under load whole bursts are the engine's, and stay where they are.
        if verdicts.iter().any(|verdict| *verdict != Verdict::ToEngine) {
            self.take_apart(now, port, pool, burst, &verdicts, tap);
        }
        self.paths[usize::from(port)].flush(now, pool);
    }

    /// Linux comes before the answers: a flood of SYNs must not keep its packets.
    #[inline]
    fn relay(&mut self, now: Instant, port: u8, pool: &mut FramePool, out: &mut Burst) {
        self.paths[usize::from(port)].relay(now, pool, out);
        let answers = &mut self.answers[usize::from(port)];
        let room = BURST - out.len();
        for answer in answers.drain().take(room) {
            if let Err(answer) = out.push(answer) {
                debug_assert!(false, "there was room");
                pool.free(answer);
            }
        }
    }

    /// With this the ledger is that of all packets that the ports received.
    fn fill(&self, snapshot: &mut Snapshot) {
        let shield = self.twin.counters();
        for (service, fell_back) in snapshot.services.iter_mut().zip(self.twin.fell_back()) {
            service.fell_back += fell_back;
        }
        for (slot, counters) in snapshot.verdicts.iter_mut().zip(self.twin.counters_by_service()) {
            *slot = *counters;
        }
        for (counts, path) in snapshot.kernel_paths.iter_mut().zip(&self.paths) {
            *counts = path.counts();
        }
        let ledger = &mut snapshot.ledger;
        let counts = || self.paths.iter().map(KernelPath::counts);
        let limited: u64 = counts().map(|path| path.limited).sum();
        let full: u64 = counts().map(|path| path.full).sum();
        ledger.shield = *shield;
        ledger.received += shield.passed() + shield.dropped() + shield.answered();
        ledger.consumed += shield.answered() - self.answers_full;
        ledger.dropped[DropReason::AnswersFull as usize] += self.answers_full;
        ledger.to_kernel += shield.passed() - limited - full;
        ledger.dropped[DropReason::KernelPathLimited as usize] += limited;
        ledger.dropped[DropReason::KernelPathFull as usize] += full;
    }

    fn wait_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.paths.iter().filter_map(KernelPath::wait_fd)
    }

    fn close(&mut self, pool: &mut FramePool) {
        self.paths.iter_mut().for_each(|path| path.close(pool));
        self.answers.iter_mut().flat_map(Burst::drain).for_each(|answer| pool.free(answer));
    }
}

/// Gives a received frame other content, which is no longer than what frames have room for.
#[inline]
fn replace(pool: &mut FramePool, frame: &mut Frame, octets: &[u8]) {
    frame.truncate(octets.len());
    let missing = octets.len() - frame.len();
    if missing > 0 && pool.push_back(frame, missing).is_none() {
        debug_assert!(false, "every frame has room for headers");
    }
    let room = pool.bytes_mut(frame);
    room.copy_from_slice(&octets[..room.len()]);
}
