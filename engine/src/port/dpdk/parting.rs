//! The end of a device that several cores have queues of.
//!
//! A device that stops gives back what it has of every core's pool, and so none of them may use its pool
//! meanwhile. Each waits here until all have come; the last one stops the device.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use dpdk_sys::Device;

/// See the module. One for all that have the device.
#[derive(Debug)]
pub(super) struct Parting {
    /// Who has not left.
    present: Mutex<usize>,
    all_left: Condvar,
}

impl Parting {
    /// Of a device that so many cores have.
    pub(super) fn new(cores: usize) -> Arc<Self> {
        Arc::new(Parting { present: Mutex::new(cores), all_left: Condvar::new() })
    }

    /// Gives the device up, and returns when all have.
    pub(super) fn leave(&self, device: Arc<Device>) {
        let mut present = self.present();
        // The last one stops it, while the others wait below or for the lock.
        drop(device);
        *present -= 1;
        self.all_left.notify_all();
        drop(self.all_left.wait_while(present, |present| *present > 0));
    }

    /// For who does not come to its end: the device stays as it is until the process ends, and nobody
    /// waits for this one.
    pub(super) fn abandon(&self, device: Arc<Device>) {
        std::mem::forget(device);
        *self.present() -= 1;
        self.all_left.notify_all();
    }

    fn present(&self) -> MutexGuard<'_, usize> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
