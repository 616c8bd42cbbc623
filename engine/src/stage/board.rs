//! What a worker says of itself to the core that receives for it: the latest word counts, and it
//! waits for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ringroad_ebpf::CookieService;

use super::gate::Gate;
use crate::time::Instant;

/// Where a worker writes and the core that receives for it reads. Clones are the same board.
#[derive(Clone, Debug)]
pub struct Board {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    half_open: AtomicU32,
    services: Box<[Service]>,
    /// Written by the other side: whether SYNs are answered ahead.
    cookies_on: AtomicBool,
}

#[derive(Debug)]
struct Service {
    accepting: AtomicBool,
    /// What SYN-ACKs say of segment sizes [octets]: IPv4's in the low half, IPv6's in the other.
    mss: AtomicU32,
}

impl Board {
    /// Of a worker that has said nothing yet, and so takes no connections.
    pub fn new(services: usize) -> Self {
        let service =
            || Service { accepting: AtomicBool::new(false), mss: AtomicU32::new(u32::MAX) };
        Board {
            shared: Arc::new(Shared {
                half_open: AtomicU32::new(0),
                services: std::iter::repeat_with(service).take(services).collect(),
                cookies_on: AtomicBool::new(false),
            }),
        }
    }

    #[inline]
    pub fn half_open(&self) -> usize {
        self.shared.half_open.load(Ordering::Relaxed) as usize
    }

    #[inline]
    pub fn is_accepting(&self, service: usize) -> bool {
        self.shared.services[service].accepting.load(Ordering::Relaxed)
    }

    /// What answers to new connections to a service are to say of segment sizes, as far as this
    /// worker knows [octets]: over IPv4, over IPv6.
    #[inline]
    pub fn mss(&self, service: usize) -> (u16, u16) {
        let mss = self.shared.services[service].mss.load(Ordering::Relaxed);
        (mss as u16, (mss >> 16) as u16)
    }

    /// Has the worker take cookies for what the shield answers, or not.
    pub fn set_cookies_on(&self, on: bool) {
        self.shared.cookies_on.store(on, Ordering::Relaxed);
    }
}

/// What stands ahead is another core's: it reads there what it has to know.
impl Gate for Board {
    /// Shown by the mailbox.
    fn beat(&mut self, _now: Instant) {}

    fn set_accepting(&mut self, service: usize, accepting: bool) {
        self.shared.services[service].accepting.store(accepting, Ordering::Relaxed);
    }

    fn set_cookie_mss(&mut self, service: usize, says: &CookieService) {
        let mss = u32::from(says.mss_v6) << 16 | u32::from(says.mss_v4);
        self.shared.services[service].mss.store(mss, Ordering::Relaxed);
    }

    #[inline]
    fn set_half_open(&mut self, half_open: usize) {
        self.shared.half_open.store(half_open.try_into().unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    #[inline]
    fn cookies_on(&self) -> Option<bool> {
        Some(self.shared.cookies_on.load(Ordering::Relaxed))
    }
}
