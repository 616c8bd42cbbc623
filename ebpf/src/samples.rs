//! Samples of the packets that are refused, as people see them.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use libbpf_rs::{MapCore as _, MapFlags, MapHandle, RingBuffer, RingBufferBuilder};

use crate::limits::{SAMPLE_OCTETS_MAX, SERVICES_MAX};
use crate::skeleton::types;
use crate::{ShieldError, Verdict, abi};

/// A packet that was refused ([`Verdict::is_refusal`]). Only few of them are sampled: see
/// [`crate::limits::SAMPLES_PER_SECOND`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// `CLOCK_MONOTONIC`, late by a few milliseconds at most [ns].
    pub at_ns: u64,
    pub port_index: u32,
    /// `None`: for no service, or for a connection that the engine was known to have.
    pub service_index: Option<u32>,
    pub verdict: Verdict,
    /// Of the packet [octets].
    pub octets: u32,
    captured: u16,
    head: [u8; SAMPLE_OCTETS_MAX],
}

impl Sample {
    /// Of a packet that arrived at `at_ns`.
    pub fn of(
        packet: &[u8],
        at_ns: u64,
        port_index: u32,
        service_index: Option<u32>,
        verdict: Verdict,
    ) -> Self {
        let mut head = [0; SAMPLE_OCTETS_MAX];
        let captured = packet.len().min(SAMPLE_OCTETS_MAX);
        head[..captured].copy_from_slice(&packet[..captured]);
        Sample {
            at_ns,
            port_index,
            service_index,
            verdict,
            octets: packet.len() as u32,
            captured: captured as u16,
            head,
        }
    }

    /// How the packet begins.
    pub fn head(&self) -> &[u8] {
        &self.head[..self.captured.into()]
    }

    /// `None` if this is no sample of the program's.
    fn from_octets(octets: &[u8], ifindexes: &[u32]) -> Option<Self> {
        let sample: types::sample = abi::from_octets(octets)?;
        let port = ifindexes.iter().position(|ifindex| *ifindex == sample.ifindex)?;
        let service = sample.service_index;
        Some(Sample {
            at_ns: sample.at_ns,
            port_index: port as u32,
            service_index: ((service as usize) < SERVICES_MAX).then_some(service),
            verdict: *Verdict::ALL.get(usize::from(sample.verdict))?,
            octets: sample.octets,
            captured: sample.captured.min(SAMPLE_OCTETS_MAX as u16),
            head: sample.head,
        })
    }
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sample")
            .field("at_ns", &self.at_ns)
            .field("port_index", &self.port_index)
            .field("service_index", &self.service_index)
            .field("verdict", &self.verdict)
            .field("octets", &self.octets)
            .finish_non_exhaustive()
    }
}

/// Takes the samples of a shield, from any thread, also after it is gone. Whoever takes one, takes
/// it from all others.
#[derive(Clone, Debug)]
pub struct SampleReader {
    ring: Arc<Mutex<Ring>>,
    samplers: Arc<MapHandle>,
}

#[derive(Debug)]
struct Ring {
    buffer: RingBuffer<'static>,
    /// What the buffer's callback has put there.
    taken: Receiver<Sample>,
}

impl SampleReader {
    pub(crate) fn new(
        samples: &MapHandle,
        samplers: MapHandle,
        ifindexes: Vec<u32>,
    ) -> Result<Self, ShieldError> {
        let failed = |source| ShieldError::Map { doing: "map the samples", source };
        let (sender, taken) = channel();
        let mut builder = RingBufferBuilder::new();
        builder
            .add(samples, move |octets| {
                if let Some(sample) = Sample::from_octets(octets, &ifindexes) {
                    // The receiver lives as long as the buffer.
                    let _ = sender.send(sample);
                }
                0
            })
            .map_err(failed)?;
        let buffer = builder.build().map_err(failed)?;
        let ring = Arc::new(Mutex::new(Ring { buffer, taken }));
        Ok(SampleReader { ring, samplers: Arc::new(samplers) })
    }

    /// Takes what is there, oldest first.
    pub fn take(&self) -> Result<Vec<Sample>, ShieldError> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.buffer
            .consume()
            .map_err(|source| ShieldError::Map { doing: "read the samples", source })?;
        Ok(ring.taken.try_iter().collect())
    }

    /// Samples that found no room, since the program was loaded.
    pub fn lost(&self) -> Result<u64, ShieldError> {
        let by_cpu = self
            .samplers
            .lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY)
            .map_err(|source| ShieldError::Map { doing: "read the samplers", source })?;
        let by_cpu = by_cpu.unwrap_or_default();
        Ok(by_cpu
            .iter()
            .filter_map(|cpu| abi::from_octets::<types::sampler>(cpu))
            .map(|s| s.lost)
            .sum())
    }
}
