//! Devices that DPDK drives, before they are opened.

#![allow(unsafe_code, reason = "calls DPDK")]

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;

use crate::eal::c_string;
use crate::error::Reason;
use crate::{Eal, Error, log, pci, raw};

/// A device that DPDK has taken. Dropped, it is given back: a virtual one is gone.
#[derive(Debug)]
pub struct DeviceId {
    pub(crate) port: u16,
    pub(crate) name: String,
    /// Ends after the device.
    pub(crate) eal: Arc<Eal>,
}

/// What a device can do, and how it is set now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub driver: String,
    pub rx_queues_max: u16,
    pub tx_queues_max: u16,
    /// Whether it verifies the checksums of IPv4 and TCP on arrival.
    pub rx_checksum: bool,
    /// Whether it writes the checksum of TCP on departure.
    pub tx_checksum: bool,
    pub mtu: u16,
    pub mtu_min: u16,
    pub mtu_max: u16,
    /// NUMA node; `None` if it belongs to none.
    pub node: Option<u32>,
    pub mac: [u8; 6],
}

impl Eal {
    /// Takes a device: a virtual one, made with `arguments` (`net_tap0`, `iface=wan0`), or the one
    /// at a PCI address that was named at the start (`0000:3b:00.0`).
    pub fn attach(self: &Arc<Self>, device: &str, arguments: &str) -> Result<DeviceId, Error> {
        let bus = if pci::is_address(device) {
            pci::check(device)?;
            if !self.may_use(device) {
                return Err(Error::PciNotNamed(device.to_owned()));
            }
            c"pci"
        } else {
            check_interface(device, arguments)?;
            c"vdev"
        };
        if port_of(device)?.is_none() {
            plug(bus, device, arguments)?;
        } else if bus == c"vdev" {
            return Err(Error::Attached(device.to_owned()));
        }
        let port =
            port_of(device)?.ok_or_else(|| Error::NotEthernet { device: device.to_owned() })?;
        Ok(DeviceId { port, name: device.to_owned(), eal: Arc::clone(self) })
    }
}

impl DeviceId {
    /// As DPDK was told it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn capabilities(&self) -> Result<Capabilities, Error> {
        let info = self.info()?;
        let mut mtu = 0;
        // SAFETY: the port exists, and `mtu` outlives the call.
        self.call("read the MTU of", || unsafe { raw::rte_eth_dev_get_mtu(self.port, &mut mtu) })?;
        let driver = if info.driver_name.is_null() {
            String::new()
        } else {
            // SAFETY: a zero-terminated string of the driver's, which is loaded.
            unsafe { CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned()
        };
        Ok(Capabilities {
            driver,
            rx_queues_max: info.max_rx_queues,
            tx_queues_max: info.max_tx_queues,
            rx_checksum: info.rx_offload_capa & RX_CHECKSUMS == RX_CHECKSUMS,
            tx_checksum: info.tx_offload_capa & raw::RR_TX_OFFLOAD_TCP_CHECKSUM != 0,
            mtu,
            mtu_min: info.min_mtu,
            mtu_max: mtu_max(&info),
            // SAFETY: asks for a number of an existing port.
            node: u32::try_from(unsafe { raw::rte_eth_dev_socket_id(self.port) }).ok(),
            mac: self.mac()?,
        })
    }

    pub(crate) fn mac(&self) -> Result<[u8; 6], Error> {
        let mut mac = raw::rte_ether_addr::default();
        // SAFETY: the port exists, and `mac` outlives the call.
        self.call("read the address of", || unsafe {
            raw::rte_eth_macaddr_get(self.port, &mut mac)
        })?;
        Ok(mac.addr_bytes)
    }

    pub(crate) fn info(&self) -> Result<raw::rte_eth_dev_info, Error> {
        let mut info = MaybeUninit::zeroed();
        // SAFETY: the port exists, and `info` outlives the call.
        self.call("ask about", || unsafe {
            raw::rte_eth_dev_info_get(self.port, info.as_mut_ptr())
        })?;
        // SAFETY: plain data, zeroed and then written.
        Ok(unsafe { info.assume_init() })
    }

    /// Makes a call that returns a negated error number.
    pub(crate) fn call(
        &self,
        doing: &'static str,
        call: impl FnOnce() -> c_int,
    ) -> Result<(), Error> {
        let (returned, complaint) = log::captured(call);
        if returned < 0 {
            let reason = Reason::new(returned, complaint);
            return Err(Error::Device { doing, device: self.name.clone(), reason });
        }
        Ok(())
    }

    /// As [`DeviceId::call`], where it is no matter if the driver has no such thing.
    pub(crate) fn call_if_supported(
        &self,
        doing: &'static str,
        call: impl FnOnce() -> c_int,
    ) -> Result<(), Error> {
        self.call(doing, || match call() {
            returned if returned == -libc::ENOTSUP => 0,
            returned => returned,
        })
    }
}

impl Drop for DeviceId {
    fn drop(&mut self) {
        let info = self.info();
        // SAFETY: the port is stopped, or was never started.
        unsafe { raw::rte_eth_dev_close(self.port) };
        if let Ok(info) = info {
            // SAFETY: closing ends the port; the device under it stays until here.
            unsafe { raw::rte_dev_remove(info.device) };
        }
    }
}

/// Drivers that know no largest MTU know a longest packet; DPDK takes this much of it for framing.
pub(crate) fn mtu_max(info: &raw::rte_eth_dev_info) -> u16 {
    const HEADER_AND_CHECKSUM: u32 = 14 + 4;
    match info.max_mtu {
        u16::MAX => {
            info.max_rx_pktlen.saturating_sub(HEADER_AND_CHECKSUM).min(u16::MAX.into()) as u16
        }
        known => known,
    }
}

/// All that [`crate::DeviceSettings::rx_checksum`] asks for.
pub(crate) const RX_CHECKSUMS: u64 =
    raw::RR_RX_OFFLOAD_IPV4_CHECKSUM | raw::RR_RX_OFFLOAD_TCP_CHECKSUM;

/// Has the bus find the device and its driver take it.
fn plug(bus: &CStr, device: &str, arguments: &str) -> Result<(), Error> {
    let name = c_string("device", device)?;
    let words = c_string("arguments", arguments)?;
    // SAFETY: three zero-terminated strings that outlive the call, which copies them.
    let (returned, complaint) = log::captured(|| unsafe {
        raw::rte_eal_hotplug_add(bus.as_ptr(), name.as_ptr(), words.as_ptr())
    });
    if returned >= 0 {
        return Ok(());
    }
    let (device, arguments) = (device.to_owned(), arguments.to_owned());
    if returned == -libc::EFAULT {
        return Err(Error::NoDriver(device));
    }
    Err(Error::Attach { device, arguments, reason: Reason::new(returned, complaint) })
}

fn port_of(device: &str) -> Result<Option<u16>, Error> {
    let name = c_string("device", device)?;
    let mut port = 0;
    // SAFETY: a zero-terminated string and a number that both outlive the call.
    let returned = unsafe { raw::rte_eth_dev_get_port_by_name(name.as_ptr(), &mut port) };
    Ok((returned == 0).then_some(port))
}

/// DPDK would take over an interface that exists, or say little of why it cannot.
fn check_interface(device: &str, arguments: &str) -> Result<(), Error> {
    let interface = arguments.split(',').find_map(|word| word.strip_prefix("iface="));
    match interface {
        Some(interface)
            if device.starts_with("net_tap")
                && Path::new("/sys/class/net").join(interface).exists() =>
        {
            let (device, interface) = (device.to_owned(), interface.to_owned());
            Err(Error::InterfaceExists { device, interface })
        }
        _ => Ok(()),
    }
}
