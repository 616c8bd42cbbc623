//! The few calls into libbpf that libbpf-rs has no safe form of.

#![allow(unsafe_code, reason = "calls libbpf")]

use std::ffi::CStr;
use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::time::Duration;

use libbpf_rs::libbpf_sys as raw;

/// Attaches an XDP program for as long as the returned descriptor is open in some process.
pub(crate) fn xdp_link(program: BorrowedFd<'_>, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    link(program, ifindex, raw::BPF_XDP, flags)
}

/// The same for a tc program that is to see what an interface receives (Linux 6.6).
pub(crate) fn tcx_link(program: BorrowedFd<'_>, ifindex: u32) -> io::Result<OwnedFd> {
    link(program, ifindex, raw::BPF_TCX_INGRESS, 0)
}

fn link(
    program: BorrowedFd<'_>,
    ifindex: u32,
    place: raw::bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    // SAFETY: the structure is plain data, for which zeroes mean "not given".
    let mut options: raw::bpf_link_create_opts = unsafe { std::mem::zeroed() };
    options.sz = size_of_val(&options) as raw::size_t;
    options.flags = flags;
    // SAFETY: `options` outlives the call and says its own size.
    let fd = unsafe { raw::bpf_link_create(program.as_raw_fd(), int(ifindex)?, place, &options) };
    result(fd)?;
    // SAFETY: the call succeeded: `fd` is open, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Swaps the program behind a link; every packet meets either the old one or the new one.
pub(crate) fn replace_program(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are open; no options are given.
    result(unsafe { raw::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null()) })
        .map(drop)
}

/// Detaches what a link holds, whoever else has it open.
pub(crate) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    result(unsafe { raw::bpf_link_detach(link.as_raw_fd()) }).map(drop)
}

/// Which XDP programs an interface runs, and in which mode.
pub(crate) fn xdp_query(ifindex: u32) -> io::Result<raw::bpf_xdp_query_opts> {
    let mut answer = raw::bpf_xdp_query_opts::default();
    answer.sz = size_of_val(&answer) as raw::size_t;
    // SAFETY: `answer` outlives the call and says its own size.
    result(unsafe { raw::bpf_xdp_query(int(ifindex)?, 0, &mut answer) })?;
    Ok(answer)
}

/// Detaches a program that was attached without a link, if it is still that one.
pub(crate) fn xdp_detach(ifindex: u32, flags: u32, program: BorrowedFd<'_>) -> io::Result<()> {
    let options = raw::bpf_xdp_attach_opts {
        sz: size_of::<raw::bpf_xdp_attach_opts>() as raw::size_t,
        old_prog_fd: program.as_raw_fd(),
        ..Default::default()
    };
    // SAFETY: `options` outlives the call and says its own size.
    result(unsafe { raw::bpf_xdp_detach(int(ifindex)?, flags, &options) }).map(drop)
}

/// The name that a program was loaded under; at most fifteen octets of it.
pub(crate) fn program_name(program: BorrowedFd<'_>) -> io::Result<String> {
    let mut info = raw::bpf_prog_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: `info` outlives the call and has `size` octets; zeroed, it names no further buffers.
    result(unsafe { raw::bpf_prog_get_info_by_fd(program.as_raw_fd(), &mut info, &mut size) })?;
    let octets: Vec<u8> = info.name.iter().map(|octet| octet.to_ne_bytes()[0]).collect();
    let name = CStr::from_bytes_until_nul(&octets).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

/// What the program did with a packet that never was on a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// `XDP_PASS`, `XDP_REDIRECT` …, as the kernel numbers them.
    pub action: u32,
    /// Time for one packet, on average over all runs.
    pub duration: Duration,
    /// The packet as the last run left it, which is what the next one would have met.
    pub packet: Vec<u8>,
}

/// By how much the program makes a packet longer at most: an answer has up to 20 octets of options
/// [octets].
const GROWTH_MAX: usize = 64;

pub(crate) fn dry_run(
    program: BorrowedFd<'_>,
    packet: &[u8],
    ifindex: u32,
    queue: u32,
    repeat: u32,
) -> io::Result<DryRun> {
    let data_end = u32::try_from(packet.len()).map_err(io::Error::other)?;
    let context = raw::xdp_md {
        data_end,
        ingress_ifindex: ifindex,
        rx_queue_index: queue,
        ..Default::default()
    };
    let mut left = vec![0; packet.len() + GROWTH_MAX];
    let mut options = raw::bpf_test_run_opts {
        sz: size_of::<raw::bpf_test_run_opts>() as raw::size_t,
        data_in: packet.as_ptr().cast(),
        data_size_in: data_end,
        data_out: left.as_mut_ptr().cast(),
        data_size_out: u32::try_from(left.len()).map_err(io::Error::other)?,
        ctx_in: std::ptr::from_ref(&context).cast(),
        ctx_size_in: size_of_val(&context) as u32,
        repeat: int(repeat)?,
        ..Default::default()
    };
    // SAFETY: `packet`, `left`, `context` and `options` outlive the call, with the sizes said;
    // nothing is written but `left` and `options`.
    result(unsafe { raw::bpf_prog_test_run_opts(program.as_raw_fd(), &mut options) })?;
    left.truncate(options.data_size_out as usize);
    let duration = Duration::from_nanos(options.duration.into());
    Ok(DryRun { action: options.retval, duration, packet: left })
}

fn int(number: u32) -> io::Result<i32> {
    i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// libbpf returns the negated error number.
fn result(returned: i32) -> io::Result<i32> {
    if returned < 0 { Err(io::Error::from_raw_os_error(-returned)) } else { Ok(returned) }
}
