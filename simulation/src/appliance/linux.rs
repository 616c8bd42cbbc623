//! What the shield's twin may ask of the Linux behind the ports.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ringroad_engine::flow::FlowKey;
use ringroad_engine::shield::LinuxSockets;

use super::side::{Key, Side};

/// The connections that Linux has: two hold it, the twin and the world, on one thread.
#[derive(Clone, Debug, Default)]
pub struct LinuxServes(Arc<Mutex<BTreeSet<Key>>>);

impl LinuxServes {
    /// As of now, of the hosts that stand for Linux.
    pub fn update(&self, behind: &[Side]) {
        let open = behind.iter().flat_map(|side| &side.peers).filter(|(_, peer)| !peer.is_over());
        let mut serves = self.0.lock().expect("nobody panicked with it");
        serves.clear();
        serves.extend(open.map(|(key, _)| *key));
    }
}

impl LinuxSockets for LinuxServes {
    fn has(&mut self, flow: &FlowKey) -> bool {
        let serves = self.0.lock().expect("nobody panicked with it");
        serves.contains(&(flow.local(), flow.remote()))
    }
}
