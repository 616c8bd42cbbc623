//! Which frames a device holds, and what for.
//!
//! The kernel names frames by their address. What it names is believed only if it was given that
//! frame for that purpose; so a driver's mistake costs a frame, and never makes a second owner of
//! memory. The same record brings everything home when the device is closed.

use crate::frame::{Frame, FramePool};

/// What a device was given a frame for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To receive into.
    Receive,
    /// To send.
    Send,
}

/// The frames that one device holds.
#[derive(Debug)]
pub(super) struct Custody {
    frames: Vec<Option<Purpose>>,
    frame_size: usize,
    receiving: usize,
    sending: usize,
}

impl Custody {
    pub(super) fn new(frames: usize, frame_size: usize) -> Self {
        Custody { frames: vec![None; frames], frame_size, receiving: 0, sending: 0 }
    }

    /// Frames that wait for packets.
    #[inline]
    pub(super) fn receiving(&self) -> usize {
        self.receiving
    }

    /// Frames on their way out.
    #[inline]
    pub(super) fn sending(&self) -> usize {
        self.sending
    }

    /// Hands a frame to the device and returns its address; gives the frame back if the device
    /// has it already (a frame still on its way out is not sent again).
    #[inline]
    pub(super) fn give(
        &mut self,
        pool: &mut FramePool,
        frame: Frame,
        purpose: Purpose,
    ) -> Result<u64, Frame> {
        match self.frames.get_mut(frame.index() as usize) {
            Some(slot @ None) => *slot = Some(purpose),
            Some(Some(_)) | None => return Err(frame),
        }
        match purpose {
            Purpose::Receive => self.receiving += 1,
            Purpose::Send => self.sending += 1,
        }
        Ok(pool.give_to_device(frame))
    }

    /// Takes a frame back at the address that the device names, with `len` octets in use. `None`
    /// if the device was not given that frame for this purpose, or names octets outside it.
    #[inline]
    pub(super) fn take(
        &mut self,
        pool: &mut FramePool,
        address: u64,
        len: u32,
        purpose: Purpose,
    ) -> Option<Frame> {
        let index = usize::try_from(address).ok()? / self.frame_size;
        let slot = self.frames.get_mut(index)?;
        if *slot != Some(purpose) {
            return None;
        }
        let frame = pool.take_from_device(address, usize::try_from(len).ok()?)?;
        *slot = None;
        match purpose {
            Purpose::Receive => self.receiving -= 1,
            Purpose::Send => self.sending -= 1,
        }
        Some(frame)
    }

    /// Brings every frame home from a device that is no more.
    pub(super) fn take_all(&mut self, pool: &mut FramePool) {
        for index in 0..self.frames.len() {
            let Some(purpose) = self.frames[index] else { continue };
            let address = (index * self.frame_size) as u64;
            if let Some(frame) = self.take(pool, address, 0, purpose) {
                pool.free(frame);
            }
        }
    }
}
