//! One AF_XDP socket: opened, bound to a queue, its rings mapped; and the calls that wake it.

#![allow(unsafe_code, reason = "socket options of AF_XDP have no safe interface")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::rings::{Consumer, Producer};
use super::umem::{EXTRA_HEADROOM, Umem};
use super::{BusyPoll, Copying, OpenError, Settings, XdpMode};
use crate::limits::{BURST, QUEUE_RELEASE_MS, RING_ENTRIES_MAX, RING_ENTRIES_MIN};

/// Packets that one call sends in copy mode (Linux 6.17; `linux/if_xdp.h`). Not in libc yet.
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// Busy polling (Linux 5.11; `asm-generic/socket.h`). Not in libc for this target.
const SO_BUSY_POLL: libc::c_int = 46;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;

/// How often a queue that is being released is looked at.
const RELEASE_STEP: Duration = Duration::from_millis(2);

/// A bound socket and its rings.
#[derive(Debug)]
pub(super) struct Socket {
    /// Counted only so that [`Umem`] can name it to later sockets; this is its owner.
    fd: Arc<OwnedFd>,
    pub(super) rx: Consumer<libc::xdp_desc>,
    pub(super) tx: Producer<libc::xdp_desc>,
    pub(super) fill: Producer<u64>,
    pub(super) completion: Consumer<u64>,
    pub(super) copying: Copying,
    /// Whether the kernel agreed that we drive the device's polling.
    pub(super) busy_polling: bool,
}

impl Socket {
    /// Opens a socket on the queue that `settings` name, in the best way its mode allows.
    pub(super) fn open(umem: &Umem, settings: &Settings) -> Result<Self, OpenError> {
        for entries in [settings.rx_entries, settings.tx_entries] {
            let allowed = RING_ENTRIES_MIN..=RING_ENTRIES_MAX;
            if !entries.is_power_of_two() || !allowed.contains(&entries) {
                return Err(OpenError::RingSize { interface: settings.interface.clone(), entries });
            }
        }
        let attempt = Attempt { umem, settings };
        match settings.mode {
            XdpMode::ZeroCopy => attempt.open(Copying::ZeroCopy),
            XdpMode::Copy | XdpMode::Generic => attempt.open(Copying::Copy),
            XdpMode::Auto => match attempt.open(Copying::ZeroCopy) {
                Ok(socket) => Ok(socket),
                // These would say the same of copy mode.
                Err(
                    e @ (OpenError::NoPrivileges { .. }
                    | OpenError::NoKernelSupport { .. }
                    | OpenError::NoInterface { .. }
                    | OpenError::Busy { .. }
                    | OpenError::LockedMemory { .. }),
                ) => Err(e),
                Err(_) => attempt.open(Copying::Copy),
            },
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Has the kernel send what is in the transmit ring. Errors are left to the ring to show: what
    /// could not be sent is still in it.
    #[inline]
    pub(super) fn kick_tx(&self) {
        // SAFETY: an empty message without an address; the kernel reads no memory of ours.
        unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                std::ptr::null(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null(),
                0,
            )
        };
    }

    /// Wakes the device to receive into the frames of the fill ring; with busy polling, has it
    /// look for packets now.
    #[inline]
    pub(super) fn kick_rx(&self) {
        // SAFETY: a buffer of length zero and no address; the kernel writes no memory of ours.
        unsafe {
            libc::recvfrom(
                self.fd.as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }

    /// What the kernel counted for this socket; zeroes once it has no more to say.
    pub(super) fn statistics(&self) -> libc::xdp_statistics {
        get_option(self.fd.as_raw_fd(), libc::XDP_STATISTICS).unwrap_or(libc::xdp_statistics {
            rx_dropped: 0,
            rx_invalid_descs: 0,
            tx_invalid_descs: 0,
            rx_ring_full: 0,
            rx_fill_ring_empty_descs: 0,
            tx_ring_empty_descs: 0,
        })
    }
}

/// The step at which the kernel first looks at interface and queue.
const BINDING: &str = "binding its socket";

/// What one attempt at opening is made with.
struct Attempt<'a> {
    umem: &'a Umem,
    settings: &'a Settings,
}

impl Attempt<'_> {
    fn open(&self, copying: Copying) -> Result<Socket, OpenError> {
        let fd = self.step("opening an AF_XDP socket", new_socket)?;
        let raw = fd.as_raw_fd();
        let shared = self.umem.member(copying);
        if shared.is_none() {
            let registration = registration(self.umem, self.umem.len);
            self.step("registering packet memory", || {
                set_option(raw, libc::SOL_XDP, libc::XDP_UMEM_REG, &registration)
            })?;
        }
        let Settings { rx_entries: rx, tx_entries: tx, .. } = *self.settings;
        let fill = rx;
        for (option, entries) in [
            (libc::XDP_RX_RING, rx),
            (libc::XDP_TX_RING, tx),
            (libc::XDP_UMEM_FILL_RING, fill),
            (libc::XDP_UMEM_COMPLETION_RING, tx),
        ] {
            self.step("making its rings", || set_option(raw, libc::SOL_XDP, option, &entries))?;
        }
        let layout: libc::xdp_mmap_offsets = self
            .step("asking for the layout of its rings", || {
                get_option(raw, libc::XDP_MMAP_OFFSETS)
            })?;
        let map = "mapping its rings";
        let rx = self.step(map, || Consumer::map(raw, libc::XDP_PGOFF_RX_RING, &layout.rx, rx))?;
        let completion = self.step(map, || {
            let offset = libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64;
            Consumer::map(raw, offset, &layout.cr, tx)
        })?;
        let fill = self.step(map, || {
            let offset = libc::XDP_UMEM_PGOFF_FILL_RING as i64;
            Producer::map(raw, offset, &layout.fr, fill)
        })?;
        let tx = self.step(map, || Producer::map(raw, libc::XDP_PGOFF_TX_RING, &layout.tx, tx))?;

        let busy_polling = self.settings.busy_poll.is_some_and(|b| set_busy_polling(raw, b));
        // More than 32 packets a call in copy mode. Older kernels know no such option; there we
        // call more often.
        let budget = BURST as u32;
        let _ = set_option(raw, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget);

        self.bind(raw, copying, shared.as_deref())?;
        drop(shared);
        let options: libc::xdp_options =
            self.step("asking for its mode", || get_option(raw, libc::XDP_OPTIONS))?;
        let copying = if options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0 {
            Copying::ZeroCopy
        } else {
            Copying::Copy
        };
        let fd = Arc::new(fd);
        self.umem.join(&fd, copying);
        Ok(Socket { fd, rx, tx, fill, completion, copying, busy_polling })
    }

    fn bind(&self, fd: RawFd, copying: Copying, shared: Option<&OwnedFd>) -> Result<(), OpenError> {
        let flags = match (shared, copying) {
            // The registration's own flags hold for all who share it; others are refused.
            (Some(_), _) => libc::XDP_SHARED_UMEM,
            (None, Copying::ZeroCopy) => libc::XDP_ZEROCOPY | libc::XDP_USE_NEED_WAKEUP,
            (None, Copying::Copy) => libc::XDP_COPY | libc::XDP_USE_NEED_WAKEUP,
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: self.settings.ifindex,
            sxdp_queue_id: self.settings.queue,
            // Without the flag it is not looked at.
            sxdp_shared_umem_fd: shared.map_or(0, |s| s.as_raw_fd() as u32),
        };
        // The kernel takes a queue from a closed socket a moment after the close.
        let bound = retry_while_busy(|| bind(fd, &address));
        match bound.as_ref().map_err(io::Error::raw_os_error) {
            Err(Some(libc::EOPNOTSUPP)) if copying == Copying::ZeroCopy => {
                Err(OpenError::ZeroCopyUnsupported { interface: self.settings.interface.clone() })
            }
            _ => self.step(BINDING, || bound),
        }
    }

    /// Runs one step of opening, and puts its failure into the operator's words.
    fn step<T>(
        &self,
        step: &'static str,
        run: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, OpenError> {
        let interface = || self.settings.interface.clone();
        let queue = self.settings.queue;
        run().map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => OpenError::NoPrivileges { interface: interface() },
            Some(libc::EAFNOSUPPORT) => OpenError::NoKernelSupport { interface: interface() },
            Some(libc::ENODEV) => OpenError::NoInterface { interface: interface() },
            Some(libc::EBUSY) => OpenError::Busy { interface: interface(), queue },
            Some(libc::EINVAL) if step == BINDING => {
                OpenError::NoQueue { interface: interface(), queue }
            }
            // What the kernel answers when pages cannot be accounted as locked.
            Some(libc::ENOBUFS) => {
                OpenError::LockedMemory { interface: interface(), octets: self.umem.len }
            }
            _ => OpenError::System { interface: interface(), step, source },
        })
    }
}

/// Waits, for a bounded time, until the kernel has taken a queue from a socket that was closed:
/// from then on its device touches no frame of ours. The kernel does so from a work queue, after
/// `close` has returned, and has no call that waits for it; but it refuses the queue to others
/// until then, and that can be asked.
pub(super) fn wait_until_released(umem: &Umem, ifindex: u32, queue: u32) {
    // The asking socket is bound over one of our frames but never given any, and goes at once.
    // Whatever else than "busy" comes of it (the interface has gone, say) is an answer too.
    let ask = || -> io::Result<()> {
        let fd = new_socket()?;
        let raw = fd.as_raw_fd();
        let registration = registration(umem, umem.frame_size);
        set_option(raw, libc::SOL_XDP, libc::XDP_UMEM_REG, &registration)?;
        for option in [libc::XDP_RX_RING, libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING]
        {
            set_option(raw, libc::SOL_XDP, option, &RING_ENTRIES_MIN)?;
        }
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: libc::XDP_COPY,
            sxdp_ifindex: ifindex,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        bind(raw, &address)
    };
    let _ = retry_while_busy(ask);
}

/// The first `octets` of the packet memory, as the kernel is told of them.
fn registration(umem: &Umem, octets: usize) -> libc::xdp_umem_reg {
    libc::xdp_umem_reg {
        addr: umem.address as u64,
        len: octets as u64,
        chunk_size: umem.frame_size as u32,
        headroom: EXTRA_HEADROOM,
        flags: 0,
        tx_metadata_len: 0,
    }
}

fn retry_while_busy(mut run: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut steps = QUEUE_RELEASE_MS / RELEASE_STEP.as_millis() as u64;
    loop {
        match run() {
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) && steps > 0 => {
                steps -= 1;
                thread::sleep(RELEASE_STEP);
            }
            other => return other,
        }
    }
}

fn new_socket() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel has just made for us, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bind(fd: RawFd, address: &libc::sockaddr_xdp) -> io::Result<()> {
    // SAFETY: `address` is a live `sockaddr_xdp` of the length given; the kernel only reads it.
    let result = unsafe {
        libc::bind(
            fd,
            std::ptr::from_ref(address).cast(),
            size_of::<libc::sockaddr_xdp>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn set_option<T: Copy>(
    fd: RawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: `value` is a live value of the length given; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            fd,
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What `XDP_…` options return: C structures of integers only.
trait Answer: Copy {}
impl Answer for libc::xdp_mmap_offsets {}
impl Answer for libc::xdp_options {}
impl Answer for libc::xdp_statistics {}

fn get_option<T: Answer>(fd: RawFd, option: libc::c_int) -> io::Result<T> {
    // SAFETY: an `Answer` is made of integers, for which zeroes are valid.
    let mut value: T = unsafe { mem::zeroed() };
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is writable for the `len` octets given, and any bits are a valid `Answer`.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_XDP, option, std::ptr::from_mut(&mut value).cast(), &mut len)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // A kernel from before 5.4 answers with the shorter structures of its time.
    if (len as usize) < size_of::<T>() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(value)
}

/// Asks that the device is polled by our calls alone; all of it or nothing.
fn set_busy_polling(fd: RawFd, busy_poll: BusyPoll) -> bool {
    let on: libc::c_int = 1;
    let micros = i32::try_from(busy_poll.micros).unwrap_or(i32::MAX);
    let budget = i32::from(busy_poll.budget);
    set_option(fd, libc::SOL_SOCKET, SO_PREFER_BUSY_POLL, &on).is_ok()
        && set_option(fd, libc::SOL_SOCKET, SO_BUSY_POLL, &micros).is_ok()
        && set_option(fd, libc::SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget).is_ok()
}
