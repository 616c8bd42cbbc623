//! The page that the program reads and the engine writes: heartbeats and switches.

#![allow(unsafe_code, reason = "maps the control page of the XDP program")]

use std::ffi::c_void;
use std::io;
use std::mem::{offset_of, size_of};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::time::{ClockId, clock_gettime};

use crate::limits::{PORTS_MAX, QUEUES_MAX, SERVICES_MAX};
use crate::skeleton::types;
use crate::{CookieMode, CookieService, Masks, RateLimit, RateLimits, abi};

/// What the polling threads hold of the shield. Each call is one store: no system call, no lock.
///
/// Clones write to the same page, and may outlive the [`crate::Shield`] that they came from.
#[derive(Clone, Debug)]
pub struct Control {
    page: Arc<Page>,
}

impl Control {
    /// The lane that serves `queue` is alive. `now_ns`: `CLOCK_MONOTONIC`, in nanoseconds.
    ///
    /// Once a burst is often enough, as long as bursts come in half the heartbeat limit. A queue
    /// beyond [`QUEUES_MAX`] has no heartbeat: nothing of it reaches the engine.
    #[inline]
    pub fn beat(&self, queue: u32, now_ns: u64) {
        if (queue as usize) < QUEUES_MAX {
            let heartbeat = queue as usize * size_of::<types::heartbeat>();
            self.page
                .word(offset_of!(types::control, heartbeats) + heartbeat)
                .store(now_ns, Ordering::Relaxed);
        }
    }

    /// Whether the lane that serves `queue` is under pressure, and wants new connections answered
    /// where that is [`CookieMode::UnderPressure`]. At first it is not.
    #[inline]
    pub fn set_pressure(&self, queue: u32, on: bool) {
        if (queue as usize) < QUEUES_MAX {
            let heartbeat = queue as usize * size_of::<types::heartbeat>();
            let offset = offset_of!(types::control, heartbeats) + heartbeat;
            self.page
                .word(offset + offset_of!(types::heartbeat, pressure))
                .store(on.into(), Ordering::Relaxed);
        }
    }

    /// New connections for the engine that came by `queue` of a port, answered on the spot or not,
    /// since the program was loaded.
    #[inline]
    pub fn new_connections(&self, port_index: u32, queue: u32) -> u64 {
        if port_index as usize >= PORTS_MAX || queue as usize >= QUEUES_MAX {
            return 0;
        }
        let intake =
            (port_index as usize * QUEUES_MAX + queue as usize) * size_of::<types::intake>();
        let offset = offset_of!(types::control, intakes) + intake;
        self.page.word(offset + offset_of!(types::intake, new_connections)).load(Ordering::Relaxed)
    }

    /// Whether the lane that serves `queue` takes new connections to a service. At first none does.
    #[inline]
    pub fn set_accepting(&self, queue: u32, service_index: u32, accepting: bool) {
        let (queue, service) = (queue as usize, service_index as usize);
        if queue < QUEUES_MAX && service < SERVICES_MAX {
            let place = queue * SERVICES_MAX + service;
            self.page
                .octet(offset_of!(types::control, accepting) + place)
                .store(accepting.into(), Ordering::Relaxed);
        }
    }

    /// When new connections to a service are answered on the spot; see [`CookieService`].
    #[inline]
    pub fn set_cookies(&self, service_index: u32, mode: CookieMode) {
        if (service_index as usize) < SERVICES_MAX {
            let service = service_index as usize * size_of::<types::cookie_service>();
            let offset = offset_of!(types::control, cookie_services) + service;
            self.page
                .octet(offset + offset_of!(types::cookie_service, mode))
                .store(abi::cookie_mode(mode), Ordering::Relaxed);
        }
    }

    /// The segment sizes that answers for a service say from now on; the rest of `service` is not
    /// looked at.
    #[inline]
    pub fn set_cookie_mss(&self, service_index: u32, service: &CookieService) {
        if service_index as usize >= SERVICES_MAX {
            return;
        }
        let offset = offset_of!(types::control, cookie_services)
            + service_index as usize * size_of::<types::cookie_service>();
        let v4 = offset + offset_of!(types::cookie_service, mss_v4);
        let v6 = offset + offset_of!(types::cookie_service, mss_v6);
        self.page.half_word(v4).store(service.mss_v4, Ordering::Relaxed);
        self.page.half_word(v6).store(service.mss_v6, Ordering::Relaxed);
    }

    /// What cookies are sealed with from now on. `current`: the slot to use, 0 or 1; the program
    /// never looks at the other, which is overwritten before it is switched to.
    pub fn set_cookie_keys(&self, slots: &[[u8; 16]; 2], current: u8) {
        let keys = offset_of!(types::control, cookie_keys);
        let (words, _) = slots.as_flattened().as_chunks::<8>();
        for (index, word) in words.iter().enumerate() {
            // SipHash reads its key as little-endian numbers.
            self.page
                .word(keys + offset_of!(types::cookie_keys, slots) + index * size_of::<u64>())
                .store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        self.page
            .word(keys + offset_of!(types::cookie_keys, current))
            .store(current.into(), Ordering::Release);
    }

    /// Whether new connections that are the kernel's are answered as well, where cookies are on and
    /// a listener waits for them: see [`crate::Acceptor`].
    pub fn set_kernel_opens(&self, opens: bool) {
        self.kernel_opens_word().store(opens.into(), Ordering::Relaxed);
    }

    /// The same as it is now: no more, once Linux has refused one.
    pub fn kernel_opens(&self) -> bool {
        self.kernel_opens_word().load(Ordering::Relaxed) != 0
    }

    /// Connections to a service that were given to the kernel, since the program was loaded.
    pub fn fell_back(&self, service_index: u32) -> u64 {
        if service_index as usize >= SERVICES_MAX {
            return 0;
        }
        let counter = service_index as usize * size_of::<u64>();
        self.page.word(offset_of!(types::control, fell_back) + counter).load(Ordering::Relaxed)
    }

    /// Before the program is attached.
    pub(crate) fn set_cookie_services(&self, services: &[CookieService]) {
        for (index, service) in services.iter().take(SERVICES_MAX).enumerate() {
            let offset = index * size_of::<types::cookie_service>();
            self.page
                .word(offset_of!(types::control, cookie_services) + offset)
                .store(abi::cookie_service(service), Ordering::Relaxed);
        }
    }

    pub(crate) fn set_heartbeat_limit(&self, limit: Duration) {
        // Longer than the clock will ever show is as good as no limit.
        let limit_ns = i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX);
        self.heartbeat_limit_word().store(limit_ns.unsigned_abs(), Ordering::Relaxed);
    }

    /// After this long without a heartbeat new connections are the kernel's.
    pub fn heartbeat_limit(&self) -> Duration {
        Duration::from_nanos(self.heartbeat_limit_word().load(Ordering::Relaxed))
    }

    /// What CPUs keep at hand of the services counts no more.
    pub(crate) fn forget_met_services(&self) {
        self.page
            .word(offset_of!(types::control, services_generation))
            .fetch_add(1, Ordering::Release);
    }

    /// Whether any source is denied or allowed.
    pub(crate) fn set_lists_used(&self, used: bool) {
        self.page
            .word(offset_of!(types::control, lists_used))
            .store(used.into(), Ordering::Relaxed);
    }

    /// Whether the kernel gets segments of unknown connections, as long as they are few.
    pub(crate) fn set_unknown_to_kernel(&self, given: bool) {
        self.page
            .word(offset_of!(types::control, unknown_to_kernel))
            .store(given.into(), Ordering::Relaxed);
    }

    /// Whether answers leave by a redirect to the interface of the packet.
    pub(crate) fn set_redirect_answers(&self, redirect: bool) {
        self.page
            .word(offset_of!(types::control, redirect_answers))
            .store(redirect.into(), Ordering::Relaxed);
    }

    /// To be called before packets come: it takes several stores.
    pub(crate) fn set_rate_limits(&self, limits: &RateLimits) {
        let of_source = rate_limit(limits.per_source, limits.source_masks());
        let of_prefix = rate_limit(limits.per_prefix, limits.prefix_masks());
        let plain = [abi::octets(&of_source), abi::octets(&of_prefix)].concat();
        self.set_words(offset_of!(types::control, rate_limits), &plain);
        let set = |offset, value: u64| self.page.word(offset).store(value, Ordering::Relaxed);
        set(
            offset_of!(types::control, unproven_syn_interval_ns),
            limits.unproven_syn_interval_ns(),
        );
        let syns = if limits.is_off() { 0 } else { LIMITED_SYNS };
        let packets = if limits.limits_packets() { LIMITED_PACKETS } else { 0 };
        set(offset_of!(types::control, limited), syns | packets);
    }

    /// Whole words, from `offset` on [octets].
    fn set_words(&self, offset: usize, octets: &[u8]) {
        for (place, word) in octets.as_chunks().0.iter().enumerate() {
            self.page
                .word(offset + place * size_of::<u64>())
                .store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
    }

    /// A flow of the kernel's was seen now.
    pub(crate) fn see_kernel_flow(&self) -> io::Result<()> {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        // Five hundred years fit.
        let now_ns = Duration::from(now).as_nanos() as u64;
        self.kernel_flow_seen_ns().fetch_max(now_ns, Ordering::Relaxed);
        Ok(())
    }

    /// What another program saw counts here too.
    pub(crate) fn see_kernel_flows_of(&self, other: &Control) {
        let seen_ns = other.kernel_flow_seen_ns().load(Ordering::Relaxed);
        self.kernel_flow_seen_ns().fetch_max(seen_ns, Ordering::Relaxed);
    }

    /// When the last packet of a flow of the kernel's was seen (`CLOCK_MONOTONIC`, in
    /// nanoseconds); 0: never.
    fn kernel_flow_seen_ns(&self) -> &AtomicU64 {
        self.page.word(offset_of!(types::control, kernel_flow_seen_ns))
    }

    fn heartbeat_limit_word(&self) -> &AtomicU64 {
        self.page.word(offset_of!(types::control, heartbeat_limit_ns))
    }

    fn kernel_opens_word(&self) -> &AtomicU64 {
        let keys = offset_of!(types::control, cookie_keys);
        self.page.word(keys + offset_of!(types::cookie_keys, kernel_opens))
    }

    /// Maps the value of the `control` map behind `map`.
    pub(crate) fn map(map: impl AsFd) -> io::Result<Self> {
        let size =
            NonZeroUsize::new(size_of::<types::control>()).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice: it replaces none.
        let start = unsafe { mmap(None, size, protection, MapFlags::MAP_SHARED, map, 0) }?;
        Ok(Control { page: Arc::new(Page { start }) })
    }
}

fn rate_limit(limit: Option<RateLimit>, masks: Masks) -> types::rate_limit {
    let costs = limit.map_or_else(types::rate_limit::default, |limit| types::rate_limit {
        syn_interval_ns: limit.syn_interval_ns(),
        syn_burst_ns: limit.syn_burst_ns(),
        packet_interval_ns: limit.packet_interval_ns(),
        octet_interval: limit.octet_interval(),
        ..types::rate_limit::default()
    });
    types::rate_limit { masks: masks.addresses().map(abi::address), ..costs }
}

/// What is limited; the numbers are those of `bpf/consts.h`.
const LIMITED_SYNS: u64 = 1;
const LIMITED_PACKETS: u64 = 2;

/// A shared mapping of a `types::control`.
#[derive(Debug)]
struct Page {
    /// Start of a mapping of `size_of::<types::control>()` octets, page-aligned, valid until drop.
    start: NonNull<c_void>,
}

impl Page {
    /// The aligned word at `offset` [octets], a field of `types::control`.
    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset < size_of::<types::control>());
        // SAFETY: within the mapping and aligned, as just checked (the structure's size is a
        // multiple of eight); valid as long as `self` is borrowed; all access to it is atomic here
        // and by single loads and stores in the program.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().byte_add(offset).cast()) }
    }

    /// The two aligned octets at `offset` [octets], a field of `types::control`.
    #[inline]
    fn half_word(&self, offset: usize) -> &AtomicU16 {
        assert!(offset.is_multiple_of(2) && offset < size_of::<types::control>());
        // SAFETY: within the mapping and aligned, as just checked; otherwise as in `word`.
        unsafe { AtomicU16::from_ptr(self.start.as_ptr().byte_add(offset).cast()) }
    }

    /// The octet at `offset` [octets], a field of `types::control`.
    #[inline]
    fn octet(&self, offset: usize) -> &AtomicU8 {
        assert!(offset < size_of::<types::control>());
        // SAFETY: within the mapping, as just checked; otherwise as in `word`.
        unsafe { AtomicU8::from_ptr(self.start.as_ptr().byte_add(offset).cast()) }
    }
}

// SAFETY: the mapping belongs to no thread, and all access to it is atomic.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no borrow of it is left.
        if let Err(error) = unsafe { munmap(self.start, size_of::<types::control>()) } {
            tracing::debug!(%error, "cannot unmap the control page");
        }
    }
}
