//! What crosses the cables of a run: a fingerprint of all of it, and captures of both sides.

use std::cell::RefCell;
use std::fs::File;
use std::hash::Hasher as _;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use ringroad_engine::limits::FRAME_SIZE_MAX;
use ringroad_engine::time::Instant;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::appliance::side::Observer;

/// How the captures of the two sides are named.
const SIDES: [&str; 2] = ["clients", "origins"];

/// Watches both sides of one run.
#[derive(Clone, Debug, Default)]
pub struct Watch(Rc<RefCell<Watched>>);

#[derive(Debug, Default)]
struct Watched {
    fingerprint: SipHasher24,
    packets: u64,
    octets: u64,
    captures: Option<[Capture; 2]>,
}

type Capture = PcapWriter<BufWriter<File>>;

impl Watch {
    /// One that also writes a capture of each side into `directory`; returns their paths.
    pub fn capturing(directory: &Path, name: &str) -> io::Result<(Watch, [PathBuf; 2])> {
        let paths = SIDES.map(|side| directory.join(format!("{name}-{side}.pcap")));
        let [clients, origins] = [capture(&paths[0])?, capture(&paths[1])?];
        let captures = Some([clients, origins]);
        let watched = Watched { captures, ..Watched::default() };
        Ok((Watch(Rc::new(RefCell::new(watched))), paths))
    }

    /// The one for a side's cable.
    pub fn observer(&self, side: usize) -> Observer {
        let watched = Rc::clone(&self.0);
        Box::new(move |now, to_appliance, packet| {
            watched.borrow_mut().see(side, now, to_appliance, packet);
        })
    }

    /// Two runs with the same have had the same packets, at the same times, on the same cables.
    pub fn fingerprint(&self) -> u128 {
        self.0.borrow().fingerprint.finish128().as_u128()
    }

    pub fn packets(&self) -> u64 {
        self.0.borrow().packets
    }

    pub fn octets(&self) -> u64 {
        self.0.borrow().octets
    }
}

impl Watched {
    fn see(&mut self, side: usize, now: Instant, to_appliance: bool, packet: &[u8]) {
        self.packets += 1;
        self.octets += packet.len() as u64;
        let since = now.since(Instant::ZERO);
        self.fingerprint.write_u128(since.as_nanos());
        self.fingerprint.write_u64((side as u64) << 1 | u64::from(to_appliance));
        self.fingerprint.write_u64(packet.len() as u64);
        self.fingerprint.write(packet);
        if let Some(captures) = &mut self.captures {
            write(&mut captures[side], since, packet);
        }
    }
}

fn capture(path: &Path) -> io::Result<Capture> {
    let header = PcapHeader {
        snaplen: FRAME_SIZE_MAX as u32,
        datalink: DataLink::ETHERNET,
        ts_resolution: TsResolution::NanoSecond,
        ..PcapHeader::default()
    };
    PcapWriter::with_header(BufWriter::new(File::create(path)?), header).map_err(io::Error::other)
}

/// A capture that cannot be written does not end the run: what it shows is on the screen too.
fn write(capture: &mut Capture, since: Duration, packet: &[u8]) {
    let _ = capture.write_packet(&PcapPacket::new(since, packet.len() as u32, packet));
}
