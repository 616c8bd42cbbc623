//! A program on an interface, for as long as somebody holds it.
//!
//! Attachments are links: the kernel undoes them when the last descriptor is closed, at the latest
//! with the process. So none of ours outlives us; what an interface already runs is another's, or
//! was attached without a link and left behind.

use std::fmt;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use libbpf_rs::libbpf_sys as raw;
use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo};

use crate::{ShieldError, sys};

/// The names of our programs, as the kernel knows them.
const OUR_PROGRAMS: [&str; 2] = ["ringroad_shield", "ringroad_wire"];

/// Where in the receive path the program is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver if it can, otherwise generic.
    #[default]
    Auto,
    /// In the driver.
    Native,
    /// In the kernel's common path: any interface, at the price of an skb for each packet.
    Generic,
}

/// Where it does run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedMode {
    Native,
    Generic,
}

impl AttachedMode {
    fn flag(self) -> u32 {
        match self {
            AttachedMode::Native => raw::XDP_FLAGS_DRV_MODE,
            AttachedMode::Generic => raw::XDP_FLAGS_SKB_MODE,
        }
    }
}

impl fmt::Display for AttachedMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AttachedMode::Native => "native",
            AttachedMode::Generic => "generic",
        })
    }
}

/// What holds a program on an interface. Dropping it detaches.
#[derive(Debug)]
pub(crate) struct Link {
    fd: OwnedFd,
    interface: String,
}

impl Link {
    pub(crate) fn new(fd: OwnedFd, interface: &str) -> Self {
        Link { fd, interface: interface.to_owned() }
    }
}

impl Drop for Link {
    /// Closing the link would do, but only once a child process that is just being started has
    /// closed its copy too.
    fn drop(&mut self) {
        if let Err(error) = sys::detach_link(self.fd.as_fd()) {
            tracing::warn!(interface = self.interface, %error, "cannot detach; closing the link");
        }
    }
}

/// An XDP program on an interface. Dropping it detaches.
#[derive(Debug)]
pub(crate) struct Attachment {
    link: Link,
    mode: AttachedMode,
}

impl Attachment {
    /// Attaches `program`, after removing what an earlier crash of ours left behind.
    pub(crate) fn new(
        program: BorrowedFd<'_>,
        ifindex: u32,
        interface: &str,
        mode: AttachMode,
    ) -> Result<Self, ShieldError> {
        make_room(ifindex, interface)?;
        let attach = |mode: AttachedMode| match sys::xdp_link(program, ifindex, mode.flag()) {
            Ok(link) => Ok(Attachment { link: Link::new(link, interface), mode }),
            Err(source) => {
                Err(ShieldError::Attach { interface: interface.to_owned(), mode, source })
            }
        };
        match mode {
            AttachMode::Native => attach(AttachedMode::Native),
            AttachMode::Generic => attach(AttachedMode::Generic),
            AttachMode::Auto => attach(AttachedMode::Native).or_else(|error| {
                tracing::warn!(%error, "falling back to generic mode, which is slower");
                attach(AttachedMode::Generic)
            }),
        }
    }

    pub(crate) fn mode(&self) -> AttachedMode {
        self.mode
    }

    /// Puts `program` in the place of the one attached; no packet goes without.
    pub(crate) fn replace(&self, program: BorrowedFd<'_>) -> Result<(), ShieldError> {
        let Link { fd, interface } = &self.link;
        sys::replace_program(fd.as_fd(), program)
            .map_err(|source| ShieldError::Replace { interface: interface.clone(), source })
    }
}

/// Whether a shield could be attached to an interface: what an earlier crash of ours left behind
/// would make way, a program of somebody else's or a running ringroad's is an error.
pub fn vacant(ifindex: u32, interface: &str) -> Result<(), ShieldError> {
    left_behind(ifindex, interface).map(drop)
}

/// Makes sure that `ifindex` runs no XDP program: ours without an owner is detached, any other is
/// an error.
fn make_room(ifindex: u32, interface: &str) -> Result<(), ShieldError> {
    for Leftover { id, flag, program } in left_behind(ifindex, interface)? {
        tracing::warn!(interface, id, "detaching the XDP program that an earlier run left behind");
        sys::xdp_detach(ifindex, flag, program.as_fd()).map_err(|source| ShieldError::Recover {
            interface: interface.to_owned(),
            id,
            source,
        })?;
    }
    Ok(())
}

/// A program of ours that nobody holds.
struct Leftover {
    id: u32,
    /// The mode in which it is attached, as the kernel flags it.
    flag: u32,
    program: OwnedFd,
}

/// The programs on an interface, if all of them are ours and without an owner.
fn left_behind(ifindex: u32, interface: &str) -> Result<Vec<Leftover>, ShieldError> {
    let query_failed = |source| ShieldError::Query { interface: interface.to_owned(), source };
    let running = sys::xdp_query(ifindex).map_err(query_failed)?;
    let by_mode = [
        (running.drv_prog_id, raw::XDP_FLAGS_DRV_MODE),
        (running.skb_prog_id, raw::XDP_FLAGS_SKB_MODE),
        (running.hw_prog_id, raw::XDP_FLAGS_HW_MODE),
    ];
    let mut leftovers = Vec::new();
    for (id, flag) in by_mode.into_iter().filter(|(id, _)| *id != 0) {
        let program = match libbpf_rs::Program::fd_from_id(id) {
            Ok(program) => program,
            // It went while we were looking.
            Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => continue,
            Err(error) => return Err(query_failed(std::io::Error::other(error))),
        };
        let name = sys::program_name(program.as_fd()).map_err(query_failed)?;
        if !OUR_PROGRAMS.contains(&name.as_str()) {
            let interface = interface.to_owned();
            return Err(ShieldError::OtherProgram { interface, program: name, id });
        }
        if held_by_link(ifindex, id) {
            return Err(ShieldError::InUse { interface: interface.to_owned(), id });
        }
        leftovers.push(Leftover { id, flag, program });
    }
    Ok(leftovers)
}

/// A link lives as long as its owner, unless somebody pinned it on purpose.
fn held_by_link(ifindex: u32, program_id: u32) -> bool {
    LinkInfoIter::default().any(|link| {
        link.prog_id == program_id
            && matches!(&link.info, LinkTypeInfo::Xdp(xdp) if xdp.ifindex == ifindex)
    })
}
