//! From settings to a device at work.

use std::sync::Arc;

use crate::attach::{RX_CHECKSUMS, mtu_max};
use crate::limits::{FRAMING, HEADROOM, RSS_KEY_OCTETS_MAX};
use crate::{DeviceId, DeviceSettings, Error, PacketPool, raw};

/// What a device was started with.
#[derive(Debug)]
pub(super) struct Started {
    /// With descriptors as the device has them.
    pub(super) settings: DeviceSettings,
    pub(super) rx_checksum: bool,
    pub(super) rx_interrupts: bool,
    pub(super) mac: [u8; 6],
}

/// Brings the settings to what the device can do, and starts it with them. `pools` are those of the
/// queues.
pub(super) fn start(
    id: &DeviceId,
    pools: &[Arc<PacketPool>],
    settings: &DeviceSettings,
) -> Result<Started, Error> {
    let capabilities = id.capabilities()?;
    let info = id.info()?;
    check(id, pools, settings, &info)?;
    let mut started = Started {
        settings: *settings,
        rx_checksum: settings.rx_checksum && capabilities.rx_checksum,
        rx_interrupts: DRIVERS_TO_SLEEP_ON.contains(&capabilities.driver.as_str()),
        mac: capabilities.mac,
    };
    configure(id, &started, &info)?;
    if settings.mtu != capabilities.mtu {
        set_mtu(id, settings.mtu)?;
    }
    set_up_queues(id, pools, &mut started.settings, &info)?;
    // SAFETY: the port is configured with all its queues.
    id.call("start", || unsafe { raw::rte_eth_dev_start(id.port) })?;
    Ok(started)
}

fn check(
    id: &DeviceId,
    pools: &[Arc<PacketPool>],
    settings: &DeviceSettings,
    info: &raw::rte_eth_dev_info,
) -> Result<(), Error> {
    let queues = [
        ("receive", settings.rx_queues, info.max_rx_queues),
        ("transmit", settings.tx_queues, info.max_tx_queues),
    ];
    for (direction, asked, max) in queues {
        if !(1..=max).contains(&asked) {
            return Err(Error::Queues { device: id.name.clone(), direction, asked, max });
        }
    }
    let (mtu, min) = (settings.mtu, info.min_mtu);
    let room = pools.iter().map(|pool| pool.layout().buffer_len.saturating_sub(HEADROOM + FRAMING));
    let max = room.fold(mtu_max(info), u16::min);
    if !(min..=max).contains(&mtu) {
        return Err(Error::Mtu { device: id.name.clone(), mtu, min, max });
    }
    Ok(())
}

fn configure(id: &DeviceId, started: &Started, info: &raw::rte_eth_dev_info) -> Result<(), Error> {
    let DeviceSettings { rx_queues, tx_queues, mtu, .. } = started.settings;
    let mut key = RSS_KEY;
    let mut conf = raw::rte_eth_conf::default();
    conf.rxmode.mtu = mtu.into();
    conf.rxmode.offloads = if started.rx_checksum { RX_CHECKSUMS } else { 0 };
    conf.intr_conf.set_rxq(started.rx_interrupts.into());
    // SAFETY: a constant of the shim's.
    let flows = unsafe { raw::rr_rss_flows } & info.flow_type_rss_offloads;
    if rx_queues > 1 && flows != 0 {
        conf.rxmode.mq_mode = raw::RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = flows;
        let octets = match info.hash_key_size {
            0 => RSS_KEY_OCTETS,
            octets => octets,
        };
        if usize::from(octets) <= key.len() {
            conf.rx_adv_conf.rss_conf.rss_key = key.as_mut_ptr();
            conf.rx_adv_conf.rss_conf.rss_key_len = octets;
        }
    }
    // SAFETY: the port is not started; `conf` and the key in it outlive the call.
    id.call("configure", || unsafe {
        raw::rte_eth_dev_configure(id.port, rx_queues, tx_queues, &conf)
    })
}

/// Where the driver has no such call, the configuration has said it already.
fn set_mtu(id: &DeviceId, mtu: u16) -> Result<(), Error> {
    // SAFETY: the port is configured.
    id.call_if_supported("set the MTU of", || unsafe { raw::rte_eth_dev_set_mtu(id.port, mtu) })
}

fn set_up_queues(
    id: &DeviceId,
    pools: &[Arc<PacketPool>],
    settings: &mut DeviceSettings,
    info: &raw::rte_eth_dev_info,
) -> Result<(), Error> {
    let port = id.port;
    let DeviceSettings { rx_descriptors: rx, tx_descriptors: tx, .. } = settings;
    // SAFETY: the port is configured; both numbers outlive the call.
    id.call("size the queues of", || unsafe {
        raw::rte_eth_dev_adjust_nb_rx_tx_desc(port, rx, tx)
    })?;
    // SAFETY: asks for a number of an existing port. -1 is "any", also as DPDK takes it, unsigned.
    let node = unsafe { raw::rte_eth_dev_socket_id(port) } as u32;
    // What was configured for the port holds for its queues.
    let rx_conf = raw::rte_eth_rxconf { offloads: 0, ..info.default_rxconf };
    // None: the offload that frees sent frames fast does so without a look at references.
    let tx_conf = raw::rte_eth_txconf { offloads: 0, ..info.default_txconf };
    for (queue, pool) in (0..settings.rx_queues).zip(pools) {
        // SAFETY: the queue is among those configured; the device keeps the pool.
        id.call("set up a receive queue of", || unsafe {
            raw::rte_eth_rx_queue_setup(port, queue, *rx, node, &rx_conf, pool.as_ptr())
        })?;
    }
    for queue in 0..settings.tx_queues {
        // SAFETY: the queue is among those configured.
        id.call("set up a transmit queue of", || unsafe {
            raw::rte_eth_tx_queue_setup(port, queue, *tx, node, &tx_conf)
        })?;
    }
    Ok(())
}

/// Drivers whose descriptor for interrupts is readable for as long as packets wait. Those of
/// hardware have to be armed anew for each sleep, and are polled.
const DRIVERS_TO_SLEEP_ON: [&str; 1] = ["net_tap"];

/// Makes both directions of a connection hash alike.
const RSS_KEY: [u8; RSS_KEY_OCTETS_MAX] = {
    let mut key = [0x6d; RSS_KEY_OCTETS_MAX];
    let mut place = 1;
    while place < key.len() {
        key[place] = 0x5a;
        place += 2;
    }
    key
};

/// Toeplitz keys have so many octets where the device does not say.
pub(super) const RSS_KEY_OCTETS: u8 = 40;
