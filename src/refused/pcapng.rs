//! Samples as a capture file (draft-ietf-opsawg-pcapng).

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use ringroad_ebpf::Sample;
use ringroad_ebpf::limits::SAMPLE_OCTETS_MAX;
use ringroad_engine::stage::monotonic;

use crate::stats::Names;

/// One interface for each port, and on each packet a comment: verdict and service.
pub(super) fn write<'a>(
    samples: impl Iterator<Item = &'a Sample>,
    names: &Names,
) -> Result<Vec<u8>> {
    let booted = booted_at();
    let mut writer = PcapNgWriter::new(Vec::new())?;
    for port in &names.ports {
        writer.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: SAMPLE_OCTETS_MAX as u32,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(port)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        })?;
    }
    for sample in samples {
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: sample.port_index,
            timestamp: booted + Duration::from_nanos(sample.at_ns),
            original_len: sample.octets,
            data: Cow::Borrowed(sample.head()),
            options: vec![EnhancedPacketOption::Comment(comment(sample, names).into())],
        })?;
    }
    Ok(writer.into_inner())
}

fn comment(sample: &Sample, names: &Names) -> String {
    let verdict = sample.verdict.name();
    let service = sample.service_index.and_then(|index| names.services.get(index as usize));
    service.map_or(verdict.to_owned(), |service| format!("{verdict}, service {service}"))
}

/// When the clock of the samples stood at zero, since 1970.
fn booted_at() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_nanos(monotonic().as_nanos()))
}

/// The unit of timestamps, as a negative power of ten.
const NANOSECONDS: u8 = 9;
