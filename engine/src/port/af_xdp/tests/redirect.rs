//! The smallest XDP program that brings packets to a socket: all to the socket of their queue.

#![allow(unsafe_code, reason = "the bpf system call takes pointers")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_MAP_TYPE_XSKMAP: u32 = 17;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// Attached while it lives.
pub(super) struct Redirect {
    _map: OwnedFd,
    _program: OwnedFd,
    _link: OwnedFd,
}

impl Redirect {
    /// Redirects what arrives on queue 0 of an interface to `socket`.
    pub(super) fn attach(ifindex: u32, socket: RawFd) -> Self {
        let map = bpf_fd(BPF_MAP_CREATE, &[BPF_MAP_TYPE_XSKMAP, 4, 4, 1]);
        let (key, value) = (0u32, socket as u32);
        update(&map, &key, &value);
        let program = load(&map);
        let link = bpf_fd(
            BPF_LINK_CREATE,
            &[program.as_raw_fd() as u32, ifindex, BPF_XDP, XDP_FLAGS_DRV_MODE],
        );
        Redirect { _map: map, _program: program, _link: link }
    }
}

fn load(map: &OwnedFd) -> OwnedFd {
    let instruction = |code: u8, registers: u8, offset: i16, immediate: u32| {
        u64::from_le_bytes({
            let (o, i) = (offset.to_le_bytes(), immediate.to_le_bytes());
            [code, registers, o[0], o[1], i[0], i[1], i[2], i[3]]
        })
    };
    let program = [
        instruction(0x61, 0x12, 16, 0), // r2 = ctx->rx_queue_index
        instruction(0x18, 0x11, 0, map.as_raw_fd() as u32), // r1 = map
        instruction(0, 0, 0, 0),        // … its second half
        instruction(0xb7, 0x03, 0, 2),  // r3 = XDP_PASS
        instruction(0x85, 0, 0, 51),    // call bpf_redirect_map
        instruction(0x95, 0, 0, 0),     // exit
    ];
    let license = c"Dual MIT/GPL";
    let (code, text) = (program.as_ptr() as u64, license.as_ptr() as u64);
    bpf_fd(
        BPF_PROG_LOAD,
        &[
            BPF_PROG_TYPE_XDP,
            program.len() as u32,
            code as u32,
            (code >> 32) as u32,
            text as u32,
            (text >> 32) as u32,
        ],
    )
}

fn update(map: &OwnedFd, key: &u32, value: &u32) {
    let (key, value) = (std::ptr::from_ref(key) as u64, std::ptr::from_ref(value) as u64);
    let attributes = [
        map.as_raw_fd() as u32,
        0,
        key as u32,
        (key >> 32) as u32,
        value as u32,
        (value >> 32) as u32,
    ];
    assert_eq!(bpf(BPF_MAP_UPDATE_ELEM, &attributes), 0, "{}", io::Error::last_os_error());
}

fn bpf_fd(command: libc::c_long, attributes: &[u32]) -> OwnedFd {
    let fd = bpf(command, attributes);
    assert!(fd >= 0, "bpf command {command}: {}", io::Error::last_os_error());
    // SAFETY: a descriptor just made, owned by nobody else.
    unsafe { OwnedFd::from_raw_fd(fd as RawFd) }
}

/// The attributes are little-endian words: this test runs on 64-bit little-endian machines.
fn bpf(command: libc::c_long, attributes: &[u32]) -> libc::c_long {
    let mut all = [0u64; 16];
    for (i, word) in attributes.iter().enumerate() {
        all[i / 2] |= u64::from(*word) << (32 * (i % 2));
    }
    // SAFETY: the attributes are live and as long as said; pointers among them are to live values
    // of the caller.
    unsafe { libc::syscall(libc::SYS_bpf, command, all.as_ptr(), size_of_val(&all)) }
}
