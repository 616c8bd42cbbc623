//! Ports that DPDK drives: Linux knows each by a TAP device, and the shield is in software.

#[cfg(feature = "dpdk")]
mod devices;

use anyhow::{Result, bail};
use ringroad_config::schema::{Config, Driver};
use ringroad_engine::limits::FRAME_SIZE_MAX;

#[cfg(feature = "dpdk")]
pub(crate) use devices::DpdkBackend;

/// What DPDK can be told on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A virtual device of DPDK's with its arguments, for a port that names it as its device:
    /// net_tap0,iface=tap0
    #[arg(long, value_name = "ARGS")]
    vdev: Vec<String>,
    /// DPDK's packet memory on ordinary pages instead of hugepages; for virtual devices only
    #[arg(long)]
    no_huge: bool,
    /// A further argument for DPDK's EAL
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    eal: Vec<String>,
}

impl Options {
    /// Refuses what does not go with `config`, or with this build, in one line.
    pub(crate) fn check(&self, config: &Config) -> Result<(), String> {
        let devices: Vec<&str> = devices(config).collect();
        if !cfg!(feature = "dpdk")
            && let Some(port) = config.ports.iter().find(|port| is_dpdk(&port.driver))
        {
            return Err(format!(
                "port {:?} has driver dpdk, which this build lacks; install libdpdk-dev and build \
                 again with make build",
                port.name
            ));
        }
        for (index, vdev) in self.vdev.iter().enumerate() {
            let name = name_of(vdev);
            if !devices.contains(&name) {
                return Err(format!(
                    "--vdev {vdev}: no port has the device {name}; give one driver: dpdk and \
                     device: {name}"
                ));
            }
            if self.vdev[..index].iter().any(|earlier| name_of(earlier) == name) {
                return Err(format!("--vdev {vdev}: {name} is given twice; remove one of them"));
            }
        }
        if self.no_huge
            && let Some(device) = devices.iter().find(|device| is_pci(device))
        {
            return Err(format!(
                "--no-huge: {device} reaches packet memory by itself, which has to be on \
                 hugepages; leave --no-huge out"
            ));
        }
        if devices.is_empty() && (self.no_huge || !self.eal.is_empty()) {
            return Err("--no-huge and --eal are for ports with driver dpdk, and there are none; \
                        leave them out"
                .to_owned());
        }
        Ok(())
    }

    /// What a virtual device was given besides its name.
    #[cfg(feature = "dpdk")]
    fn arguments_of(&self, device: &str) -> &str {
        let vdev = self.vdev.iter().find(|vdev| name_of(vdev) == device);
        vdev.and_then(|vdev| vdev.split_once(',')).map_or("", |(_, arguments)| arguments)
    }
}

/// What a start takes of memory, where so many cores have devices [MiB].
pub(crate) fn megabytes(frames: u32, mtu: u16, cores: usize) -> Result<u64> {
    // Each has a place for it among its free ones.
    let places = cores as u64 * size_of::<u32>() as u64;
    let frame = u64::from(frame_size(mtu)? + FRAME_OVERHEAD) + places;
    Ok((u64::from(frames) * frame).div_ceil(1 << 20) + EAL_MEGABYTES)
}

/// A buffer that holds packets of `mtu` octets [octets]. NICs count in whole kibibytes.
fn frame_size(mtu: u16) -> Result<u32> {
    let size = HEADROOM + (u32::from(mtu) + FRAMING).next_multiple_of(1024);
    if size as usize > FRAME_SIZE_MAX {
        bail!("an MTU of {mtu} does not fit one frame; set at most {MTU_MAX} on the ports' TAPs");
    }
    Ok(size)
}

fn devices(config: &Config) -> impl Iterator<Item = &str> {
    config.ports.iter().filter_map(|port| match &port.driver {
        Driver::AfXdp(_) => None,
        Driver::Dpdk(driver) => Some(driver.device.as_str()),
    })
}

fn is_dpdk(driver: &Driver) -> bool {
    matches!(driver, Driver::Dpdk(_))
}

/// Virtual devices are named by their driver, others by their PCI address.
fn is_pci(device: &str) -> bool {
    device.contains(':')
}

fn name_of(vdev: &str) -> &str {
    vdev.split(',').next().unwrap_or_default()
}

/// Ethernet's [octets].
pub(crate) const MTU_DEFAULT: u16 = 1500;

/// Largest MTU that one frame holds [octets].
const MTU_MAX: u32 = (FRAME_SIZE_MAX as u32 - HEADROOM) / 1024 * 1024 - FRAMING;

/// What DPDK leaves free in front of a packet, and what it has besides the MTU [octets].
const HEADROOM: u32 = 128;
const FRAMING: u32 = 22;

/// What an mbuf has in front of its buffer and behind it, at most [octets].
const FRAME_OVERHEAD: u32 = 384;

/// For DPDK's own structures [MiB].
const EAL_MEGABYTES: u64 = 32;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn check(arguments: &[&str], driver: &str) -> Result<(), String> {
        let config = format!(
            "ports: [{{ name: wan, {driver} }}]\n\
             services: [{{ listen: [\"10.10.1.1:80\"], origins: [\"10.10.2.2:80\"] }}]\n"
        );
        let config = ringroad_config::parse("f", &config).unwrap();
        let line = ["run"].iter().chain(arguments);
        Line::try_parse_from(line).unwrap().options.check(&config)
    }

    #[test]
    fn what_does_not_go_with_the_ports_is_refused() {
        const AF_XDP: &str = "interface: wan0";
        assert_eq!(check(&[], AF_XDP), Ok(()));
        assert_eq!(
            check(&["--vdev", "net_tap0,iface=a"], AF_XDP).unwrap_err(),
            "--vdev net_tap0,iface=a: no port has the device net_tap0; give one driver: dpdk and \
             device: net_tap0"
        );
        let error = check(&["--eal", "--legacy-mem"], AF_XDP).unwrap_err();
        assert!(error.starts_with("--no-huge and --eal are for ports with driver dpdk"), "{error}");
    }

    #[cfg(feature = "dpdk")]
    #[test]
    fn each_device_is_given_once_and_has_the_memory_it_can_reach() {
        const TAP: &str = "driver: dpdk, device: net_tap0";
        assert_eq!(check(&["--vdev", "net_tap0,iface=a", "--no-huge"], TAP), Ok(()));
        assert_eq!(
            check(&["--vdev", "net_tap0,iface=a", "--vdev", "net_tap0"], TAP).unwrap_err(),
            "--vdev net_tap0: net_tap0 is given twice; remove one of them"
        );
        let error = check(&["--no-huge"], "driver: dpdk, device: \"0000:3b:00.0\"").unwrap_err();
        assert!(error.starts_with("--no-huge: 0000:3b:00.0 reaches packet memory"), "{error}");
    }

    #[cfg(not(feature = "dpdk"))]
    #[test]
    fn a_build_without_dpdk_says_how_to_get_it() {
        assert_eq!(
            check(&[], "driver: dpdk, device: net_tap0").unwrap_err(),
            "port \"wan\" has driver dpdk, which this build lacks; install libdpdk-dev and build \
             again with make build"
        );
    }
}
