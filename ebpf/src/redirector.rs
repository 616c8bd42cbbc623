//! A wire: every packet of an interface to a socket, whatever it is.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

use crate::attach::Attachment;
use crate::limits::QUEUES_MAX;
use crate::skeleton::WireSkelBuilder;
use crate::{AttachedMode, PortSettings, ShieldError, log};

/// Redirects all that an interface receives to the sockets given, and leaves what arrives on
/// queues without one to the kernel. For bare forwarders and test wires. Dropping it detaches.
#[derive(Debug)]
pub struct Redirector {
    program: OwnedFd,
    xsks: MapHandle,
    port: PortSettings,
    attachment: Option<Attachment>,
}

impl Redirector {
    /// Loads the program. Nothing is attached yet.
    pub fn load(port: PortSettings) -> Result<Self, ShieldError> {
        let mut object = MaybeUninit::uninit();
        let (loaded, log) = log::captured(|| WireSkelBuilder::default().open(&mut object)?.load());
        let skeleton = loaded.map_err(|source| ShieldError::Load { source, log })?;
        let failed = |source| ShieldError::Map { doing: "take hold of the descriptors", source };
        let program = skeleton.progs.ringroad_wire.as_fd().try_clone_to_owned();
        Ok(Redirector {
            program: program.map_err(|error| failed(error.into()))?,
            xsks: MapHandle::try_from(&skeleton.maps.xsks).map_err(failed)?,
            port,
            attachment: None,
        })
    }

    /// From now on what arrives on `queue` goes to the AF_XDP socket `socket`, which must be bound
    /// to the same interface and queue.
    pub fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), ShieldError> {
        if queue as usize >= QUEUES_MAX {
            return Err(ShieldError::QueueOutOfRange(queue));
        }
        self.xsks
            .update(&queue.to_ne_bytes(), &socket.as_raw_fd().to_ne_bytes(), MapFlags::ANY)
            .map_err(|source| ShieldError::Map { doing: "register a socket", source })
    }

    /// Starts redirecting. If it does already, says how.
    pub fn attach(&mut self) -> Result<AttachedMode, ShieldError> {
        if let Some(attachment) = &self.attachment {
            return Ok(attachment.mode());
        }
        let PortSettings { ifindex, interface, mode } = &self.port;
        let attachment = Attachment::new(self.program.as_fd(), *ifindex, interface, *mode)?;
        let mode = attachment.mode();
        self.attachment = Some(attachment);
        Ok(mode)
    }
}
