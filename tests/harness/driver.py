"""How the edge's ports meet the network: through AF_XDP or through DPDK.

An AF_XDP port is an end of a veth pair, there before the engine and after it. A DPDK port is a
virtual device that lives as long as the engine: its other end appears as an interface on the edge,
and becomes the far host's when it is moved there, like a plug. In the edge's own Linux a TAP of the
lab's stands for it. Either way the edge's interfaces are `wan0` and `lan0`, and both ports have as
many queues.
"""

import json
import re
from pathlib import Path


class AfXdp:
    """Cables that lie, and XDP programs that come and go."""

    name = "af_xdp"
    # What an engine on these ports cannot promise, and why.
    lacks = {}
    # What `ringroad run` has to be told beside the configuration.
    arguments = ()

    def __init__(self, queues=1):
        self._queues = queues

    def lay_cables(self, lab):
        for interface, (host, far_interface) in lab.cables.items():
            lab.join(host, far_interface, "edge", interface, queues=self._queues)

    def take_up_cables(self, lab):
        """Nothing to do: veth goes with its hosts."""

    def plug_in(self, lab):
        """Nothing to do: the cables lie."""

    def ports(self, wan="wan0", lan="lan0"):
        """The ports of a configuration."""
        return [
            {"name": name, "driver": self.name, "interface": interface, "queues": self._queues}
            for name, interface in (("wan", wan), ("lan", lan))
        ]

    def traces(self, lab):
        """What an engine changes on the edge while it runs."""
        return {f"XDP on {interface}": xdp_attached(lab, interface) for interface in lab.cables}


class Dpdk:
    """TAP devices of DPDK's, plugged in at the far hosts while the engine runs."""

    name = "dpdk"
    lacks = {
        "ports without an engine": "a DPDK port is dead while no engine polls it",
    }
    lacks_of_several_queues = {
        "a wake by each packet": "of a DPDK device with several queues nobody wakes the engine",
    }

    vdevs = ("--vdev=net_tap0,iface=wan0-far", "--vdev=net_tap1,iface=lan0-far")

    def __init__(self, queues=1, memory=()):
        self._queues = queues
        if queues > 1:
            self.lacks = self.lacks | self.lacks_of_several_queues
        self.arguments = (*self.vdevs, *memory)
        self._hugepages_before = None

    def lay_cables(self, lab):
        self._hugepages_before = hugepages()
        for interface, (host, _) in lab.cables.items():
            lab.ip("edge", f"tuntap add dev {interface} mode tap")
            lab.switch_on("edge", interface)
            # Servers may listen on addresses that come with the engine only.
            anywhere = (f"net.ipv{version}.ip_nonlocal_bind=1" for version in (4, 6))
            lab.run(host, "sysctl", "-qw", *anywhere)

    def take_up_cables(self, lab):
        """The TAPs go with the edge; the hugepages of an engine that was killed do not."""
        before, self._hugepages_before = self._hugepages_before, None
        if before is not None and hugepages() > before:
            Path(HUGEPAGES, "nr_hugepages").write_text(str(before))

    def plug_in(self, lab):
        for number, (interface, (host, far_interface)) in enumerate(lab.cables.items(), 1):
            lab.ip(
                "edge",
                f"link set {interface}-far netns {lab.namespace(host)} name {far_interface}",
            )
            # It came with the port's own address.
            lab.ip(host, f"link set {far_interface} address 02:00:00:00:00:{number:02}")
            lab.switch_on(host, far_interface)
        # Linux may wait for an answer to what it asked before anybody was there to hear it.
        lab.ip("edge", "neigh flush all")

    def ports(self, wan="net_tap0", lan="net_tap1"):
        driver = {"driver": self.name, "queues": self._queues}
        return [
            {"name": name, **driver, "device": device, "tap": tap}
            for name, device, tap in (("wan", wan, "wan0"), ("lan", lan, "lan0"))
        ]

    def traces(self, lab):
        files = {path for folder in _FOLDERS for path in Path(folder).rglob("*ringroad*")}
        interfaces = {link["ifname"] for link in json.loads(lab.run("edge", "ip", "-j", "link"))}
        return {"files": set(filter(_is_nobodys, files)), "interfaces": interfaces}


DRIVERS = {each.name: each for each in (AfXdp, Dpdk)}

HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")

# Where DPDK keeps its memory, and what it has to tell other processes.
_FOLDERS = ("/dev/hugepages", "/dev/shm", "/run/dpdk")


def hugepages():
    """The hugepages of 2 MiB that Linux has set aside."""
    return int(Path(HUGEPAGES, "nr_hugepages").read_text())


def _is_nobodys(path):
    """Whether the process in a file's name is gone."""
    pids = re.findall(r"ringroad\D*(\d+)", path.name)
    return not any(Path("/proc", pid).exists() for pid in pids)


def xdp_attached(lab, interface):
    """The XDP program on an interface of the edge, if any."""
    (link,) = json.loads(lab.run("edge", "ip", "-j", "link", "show", "dev", interface))
    return link.get("xdp", {}).get("prog")
