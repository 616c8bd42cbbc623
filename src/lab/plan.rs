//! What the lab consists of, as the commands that make it.

use super::command::{Line, line};

/// A host of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Host {
    Client,
    Edge,
    Origin,
    /// Between client and edge, if asked for.
    Wire,
}

impl Host {
    /// The name of its namespace.
    pub(super) fn namespace(self, prefix: &str) -> String {
        let host = match self {
            Host::Client => "client",
            Host::Edge => "edge",
            Host::Origin => "origin",
            Host::Wire => "wire",
        };
        format!("{prefix}-{host}")
    }
}

/// The command that deletes a host and all that is in it.
pub(super) fn deletion(prefix: &str, host: Host) -> Line {
    line(&["ip", "netns", "delete", &host.namespace(prefix)])
}

/// A lab to be made.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) prefix: String,
    pub(super) queues: u32,
    pub(super) mtu: u32,
    pub(super) wire: bool,
}

/// A device of a host.
type Device = (Host, &'static str);

const CLIENT: Device = (Host::Client, "eth0");
const WAN: Device = (Host::Edge, "wan0");
const LAN: Device = (Host::Edge, "lan0");
const ORIGIN: Device = (Host::Origin, "eth0");
const WIRE_CLIENT: Device = (Host::Wire, "c0");
const WIRE_EDGE: Device = (Host::Wire, "e0");

impl Layout {
    /// All commands, in order.
    pub(super) fn commands(&self) -> Vec<Line> {
        let mut commands = Vec::new();
        self.hosts(&mut commands);
        self.links(&mut commands);
        self.addresses(&mut commands);
        self.offloads(&mut commands);
        commands
    }

    fn hosts(&self, commands: &mut Vec<Line>) {
        let hosts = [Host::Client, Host::Edge, Host::Origin, Host::Wire];
        for host in hosts.into_iter().filter(|host| self.wire || *host != Host::Wire) {
            commands.push(line(&["ip", "netns", "add", &host.namespace(&self.prefix)]));
            commands.push(self.ip(host, &["link", "set", "lo", "up"]));
            // Without duplicate address detection, addresses work at once. Devices take their
            // settings from "default" when they are made, so this comes first.
            commands.push(self.sysctl(host, "net.ipv6.conf.all.accept_dad=0"));
            commands.push(self.sysctl(host, "net.ipv6.conf.default.accept_dad=0"));
        }
        commands.push(self.sysctl(Host::Edge, "net.ipv4.ip_forward=1"));
        commands.push(self.sysctl(Host::Edge, "net.ipv6.conf.all.forwarding=1"));
        if self.wire {
            // A wire says nothing of its own.
            commands.push(self.sysctl(Host::Wire, "net.ipv6.conf.default.disable_ipv6=1"));
        }
    }

    fn links(&self, commands: &mut Vec<Line>) {
        if self.wire {
            self.link(CLIENT, WIRE_CLIENT, commands);
            self.link(WIRE_EDGE, WAN, commands);
        } else {
            self.link(CLIENT, WAN, commands);
        }
        self.link(LAN, ORIGIN, commands);
    }

    /// Two devices and the cable between them.
    fn link(&self, one: Device, other: Device, commands: &mut Vec<Line>) {
        let (queues, mtu) = (self.queues.to_string(), self.mtu.to_string());
        let settings =
            ["mtu", mtu.as_str(), "numrxqueues", queues.as_str(), "numtxqueues", queues.as_str()];
        let one_namespace = one.0.namespace(&self.prefix);
        let other_namespace = other.0.namespace(&self.prefix);
        let mut words = vec!["ip", "link", "add", one.1, "netns", &one_namespace];
        words.extend(settings);
        words.extend(["type", "veth", "peer", "name", other.1, "netns", &other_namespace]);
        words.extend(settings);
        commands.push(line(&words));
        for (host, name) in [one, other] {
            if self.queues > 1 {
                commands.push(
                    self.inside(host, &["ethtool", "-L", name, "rx", &queues, "tx", &queues]),
                );
            }
            commands.push(self.ip(host, &["link", "set", name, "up"]));
        }
    }

    fn addresses(&self, commands: &mut Vec<Line>) {
        for ((host, device), v4, v6) in [
            (CLIENT, "10.10.1.2/24", "fd00:1::2/64"),
            (WAN, "10.10.1.1/24", "fd00:1::1/64"),
            (LAN, "10.10.2.1/24", "fd00:2::1/64"),
            (ORIGIN, "10.10.2.2/24", "fd00:2::2/64"),
        ] {
            commands.push(self.ip(host, &["address", "add", v4, "dev", device]));
            commands.push(self.ip(host, &["address", "add", v6, "dev", device, "nodad"]));
        }
        for (host, v4, v6) in
            [(Host::Client, "10.10.1.1", "fd00:1::1"), (Host::Origin, "10.10.2.1", "fd00:2::1")]
        {
            commands.push(self.ip(host, &["route", "add", "default", "via", v4]));
            commands.push(self.ip(host, &["route", "add", "default", "via", v6]));
        }
    }

    /// A veth that leaves checksums to its device never has them computed: there is no device.
    /// Packets that are read off it by a program must be complete. Without GRO it would not hear
    /// what a shield at the other end sends back.
    fn offloads(&self, commands: &mut Vec<Line>) {
        for (host, device) in [CLIENT, ORIGIN] {
            let words = ["ethtool", "-K", device, "tx", "off", "gro", "on"];
            commands.push(self.inside(host, &words));
        }
        if self.wire {
            // The program on the wire also reads what the edge sends.
            let (host, device) = WAN;
            commands.push(self.inside(host, &["ethtool", "-K", device, "tx", "off"]));
        }
    }

    /// `ip` for a host.
    fn ip(&self, host: Host, words: &[&str]) -> Line {
        line(&[&["ip", "-n", &host.namespace(&self.prefix)], words].concat())
    }

    /// Any other command on a host.
    fn inside(&self, host: Host, words: &[&str]) -> Line {
        line(&[&["ip", "netns", "exec", &host.namespace(&self.prefix)], words].concat())
    }

    fn sysctl(&self, host: Host, setting: &str) -> Line {
        self.inside(host, &["sysctl", "-q", "-w", setting])
    }
}
