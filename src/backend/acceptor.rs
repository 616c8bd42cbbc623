//! Linux's part in SYN cookies: its listeners accept what the shield answered and Linux is to have.
//!
//! Not every Linux can. Where it cannot, a start goes on without: such connections are reset, and
//! new ones that are Linux's are answered by Linux, as without cookies.

use std::fs;

use ringroad_ebpf::{Acceptor, Control, CookieMode, ShieldError};

use crate::plan::Plan;

/// The acceptor of all ports with services, as far as Linux goes along.
#[derive(Debug)]
pub(super) struct LinuxAccepts {
    acceptor: Acceptor,
    /// Linux did not, and that was said.
    refused: bool,
}

impl LinuxAccepts {
    /// `None` without cookies, or if Linux cannot.
    pub(super) fn load(
        plan: &Plan,
        load: impl FnOnce() -> Result<Acceptor, ShieldError>,
    ) -> Option<Self> {
        if plan.cookies.iter().all(|service| service.mode == CookieMode::Off) {
            return None;
        }
        if fs::read_to_string(SYNCOOKIES).is_ok_and(|setting| setting.trim() == "0") {
            tracing::warn!("{WITHOUT}: net.ipv4.tcp_syncookies is 0; set it to 1");
            return None;
        }
        match load() {
            Ok(acceptor) => Some(LinuxAccepts { acceptor, refused: false }),
            Err(error) => {
                tracing::warn!("{WITHOUT}, which takes Linux 6.9: {error}");
                None
            }
        }
    }

    /// From now on connections are Linux's that prove themselves there. The keys are known.
    pub(super) fn attach(mut self, plan: &Plan) -> Option<Self> {
        for service in &plan.listening {
            if let Err(error) = self.acceptor.attach(service.port_index) {
                tracing::warn!("{WITHOUT}: {error}");
                return None;
            }
        }
        self.control().set_kernel_opens(true);
        Some(self)
    }

    /// To be called now and then: tells the operator if Linux refuses what it was to accept.
    pub(super) fn look(&mut self) {
        if !self.refused && !self.control().kernel_opens() {
            self.refused = true;
            tracing::warn!(
                "Linux refuses a connection that the shield answered for it: its listener is one \
                 of Multipath TCP, or net.ipv4.tcp_timestamps or tcp_window_scaling is 0; until \
                 the next start new connections for Linux are answered by Linux"
            );
        }
    }

    pub(super) fn control(&self) -> Control {
        self.acceptor.control()
    }
}

/// Whether Linux takes cookies at all.
const SYNCOOKIES: &str = "/proc/sys/net/ipv4/tcp_syncookies";

const WITHOUT: &str = "Linux cannot accept connections that the shield answered by SYN cookies";
