//! Two interfaces and a bad network between them, for programs that stand in for a cable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use ringroad_ebpf::{AttachMode, PortSettings, Redirector};
use ringroad_engine::frame::{Burst, FramePool, Region};
use ringroad_engine::kernel;
use ringroad_engine::port::Port;
use ringroad_engine::port::af_xdp::{AfXdp, Settings, Umem};
use ringroad_engine::port::impair::{self, Impair};
use ringroad_engine::port::queues::Queues;
use ringroad_hugepages::Request;
use signal_hook::consts::{SIGINT, SIGTERM};

/// One end of the cable.
pub(crate) struct End {
    pub(crate) port: Impair<Queues<AfXdp>>,
    /// Frames that are to leave here.
    pub(crate) out: Burst,
    _redirector: Redirector,
}

/// What becomes of the packets that arrive at an interface.
pub(crate) struct Fate<'a> {
    pub(crate) interface: &'a str,
    pub(crate) seed: u64,
    pub(crate) path: impair::Settings,
}

/// Opens both ends on one packet memory, with frames of `frame_size` octets.
///
/// What arrives at an end suffers there; what leaves has suffered at the other.
pub(crate) fn open(fates: [Fate<'_>; 2], frame_size: usize) -> Result<(FramePool, Vec<End>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let routes = runtime.block_on(kernel::read_once())?;
    let mut links = Vec::new();
    for fate in &fates {
        let link = kernel::interface(&routes, fate.interface)?;
        links.push((link, queues(link.ifindex)));
    }
    let frames = FRAMES * links.iter().map(|(_, queues)| *queues as usize).max().unwrap_or(1);
    let mapping =
        ringroad_hugepages::map(Request { len: frames * frame_size, nodes: &[], hugepages: true })?;
    let mut pool = FramePool::new(Region::from_hugepages(mapping), frame_size);
    let umem = Umem::new(&pool);
    let mut ends = Vec::new();
    for ((link, queues), Fate { seed, path, .. }) in links.into_iter().zip(fates) {
        let mut redirector = Redirector::load(PortSettings {
            ifindex: link.ifindex,
            interface: link.name.clone(),
            mode: AttachMode::Auto,
        })?;
        let mut ports = Vec::new();
        for queue in 0..queues {
            let settings = Settings::new(&link.name, link.ifindex, queue);
            let port = AfXdp::open(&mut pool, &umem, settings)?;
            let fd = port.fd().context("a port that was just opened is open")?;
            redirector.set_socket(queue, fd)?;
            ports.push(port);
        }
        redirector.attach()?;
        let port = Impair::new(Queues::new(ports), seed, path, impair::Settings::default());
        ends.push(End { port, out: Burst::new(), _redirector: redirector });
    }
    Ok((pool, ends))
}

/// How many queues an interface receives on. Where its driver does not say, it is one.
fn queues(ifindex: u32) -> u32 {
    let queues = kernel::receive_queues(ifindex).ok().flatten();
    queues.map_or(1, |queues| queues.total().max(1))
}

/// Says that it is ready, and calls `turn` until SIGTERM or SIGINT.
pub(crate) fn run(mut turn: impl FnMut()) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    eprintln!("ready");
    while !stop.load(Ordering::Relaxed) {
        turn();
    }
    Ok(())
}

pub(crate) fn close(mut pool: FramePool, mut ends: Vec<End>) {
    for end in &mut ends {
        end.out.drain().for_each(|frame| pool.free(frame));
        end.port.close(&mut pool);
    }
}

/// Three times the largest product of rate and round trip that the benches use, in full frames; as much
/// for each queue.
const FRAMES: usize = 16_384;
