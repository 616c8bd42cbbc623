"""Three hosts in network namespaces, `client - edge - origin`, joined by cables.

The same hosts, names and addresses as `ringroad lab`; laid out here by `ip` alone, so that a test
stands on ground that does not come from what it tests. A lab owns its namespaces: `down` ends
every process inside and takes them away, also when the runner is interrupted.
"""

import atexit
import ctypes
import json
import os
import signal
import subprocess
from contextlib import contextmanager

from .driver import AfXdp
from .process import Process

CLIENT_V4, CLIENT_V6 = "10.10.1.2", "fd00:1::2"
EDGE_V4, EDGE_V6 = "10.10.1.1", "fd00:1::1"
EGRESS_V4, EGRESS_V6 = "10.10.2.1", "fd00:2::1"
ORIGIN_V4, ORIGIN_V6 = "10.10.2.2", "fd00:2::2"

_ADDRESSES = {
    ("client", "eth0"): (CLIENT_V4, CLIENT_V6),
    ("edge", "wan0"): (EDGE_V4, EDGE_V6),
    ("edge", "lan0"): (EGRESS_V4, EGRESS_V6),
    ("origin", "eth0"): (ORIGIN_V4, ORIGIN_V6),
}
# The way of client and origin to each other.
_GATEWAYS = {"client": (EDGE_V4, EDGE_V6), "origin": (EGRESS_V4, EGRESS_V6)}

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Lab:
    """A lab that exists from `up` to `down`.

    `wire=True` puts a fourth host between client and edge with two unaddressed interfaces, `c0`
    (client side) and `e0` (edge side), for a program that carries frames across, badly.

    What the edge's two cables are made of is the driver's to say; with some they lie only while
    the engine runs, and so do `eth0` and `e0` at their far ends.
    """

    _laid_out = 0

    def __init__(self, prefix="rr-test", wire=False, mtu=1500, driver=None):
        Lab._laid_out += 1
        # The runner's own id keeps the labs of two runs on one machine apart.
        self.prefix = f"{prefix}{os.getpid()}-{Lab._laid_out}"
        self.mtu = mtu
        self.driver = driver or AfXdp()
        self.hosts = ["client", "edge", "origin"] + (["wire"] if wire else [])
        # The edge's interfaces, and where their cables end.
        self.cables = {
            "wan0": ("wire", "e0") if wire else ("client", "eth0"),
            "lan0": ("origin", "eth0"),
        }
        self._away = set()

    def namespace(self, host):
        """The network namespace of a host."""
        return f"{self.prefix}-{host}"

    def up(self):
        """Lays the lab out; on failure nothing of it stays."""
        atexit.register(self.down)
        for host in self.hosts:
            _run("ip", "netns", "add", self.namespace(host))
            self.run(host, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
            self.ip(host, "link set lo up")
            if host == "wire":
                # A wire says nothing of its own.
                self.run(host, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        self.driver.lay_cables(self)
        if "wire" in self.hosts:
            self.join("client", "eth0", "wire", "c0")
        self.run(
            "edge", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"
        )

    def down(self):
        """Ends every process in the lab and removes it; safe to call twice."""
        atexit.unregister(self.down)
        existing = {entry.name for entry in os.scandir("/run/netns")}
        for host in self.hosts:
            name = self.namespace(host)
            if name in existing:
                for pid in self.processes(host):
                    _kill(pid)
                _run("ip", "netns", "del", name)
        self.driver.take_up_cables(self)

    def processes(self, host):
        """The ids of all processes on a host."""
        return [int(pid) for pid in _run("ip", "netns", "pids", self.namespace(host)).split()]

    def ip(self, host, *commands):
        """Runs `ip` commands on a host, all in one process."""
        _run("ip", "-n", self.namespace(host), "-batch", "-", input="\n".join(commands))

    def has(self, host, interface):
        """Whether there is such an interface on a host."""
        links = json.loads(self.run(host, "ip", "-j", "link"))
        return any(link["ifname"] == interface for link in links)

    def take_away(self, host):
        """Makes client or origin fall silent: the link stays up, but nothing answers any more."""
        self._away.add(host)
        if self.has(host, "eth0"):
            self.ip(host, "addr flush dev eth0 scope global")

    def bring_back(self, host):
        """Gives client or origin its addresses, and its way to the other through the edge."""
        self._away.discard(host)
        if self.has(host, "eth0"):
            self._address(host, "eth0")

    def join(self, left, left_interface, right, right_interface, queues=1):
        """Lays a cable of veth between two hosts; both its ends have so many queues."""
        queues = f"numrxqueues {queues} numtxqueues {queues}"
        self.ip(
            left,
            f"link add {left_interface} {queues} type veth "
            f"peer name {right_interface} {queues} netns {self.namespace(right)}",
        )
        self.switch_on(left, left_interface)
        self.switch_on(right, right_interface)

    def switch_on(self, host, interface):
        """Makes an interface that has just come to a host fit for use, with its addresses."""
        self.ip(host, f"link set {interface} mtu {self.mtu} up")
        # A veth whose peer computes no checksums hands over packets without valid ones, which
        # no network would. GRO gives the receiving end the NAPI that redirected frames need;
        # on a wire it would glue packets together.
        gro = "off" if host == "wire" else "on"
        self.run(host, "ethtool", "-K", interface, "tx", "off", "gro", gro)
        if host not in self._away:
            self._address(host, interface)

    def run(self, host, *command, input=None):
        """Runs a command on a host; its standard output. Raises if the command fails."""
        return _run("ip", "netns", "exec", self.namespace(host), *command, input=input)

    def spawn(self, host, *command, **options):
        """Starts a command on a host; see `Process`."""
        return Process(["ip", "netns", "exec", self.namespace(host), *command], **options)

    @contextmanager
    def inside(self, host):
        """Within this block, this thread makes its sockets on that host.

        A socket stays on the host that it was made on; so one test can hold both ends of a
        connection and read as one story.
        """
        with open("/proc/thread-self/ns/net") as here, open(self._handle(host)) as there:
            _enter(there)
            try:
                yield
            finally:
                _enter(here)

    def _handle(self, host):
        return f"/run/netns/{self.namespace(host)}"

    def _address(self, host, interface):
        if (host, interface) in _ADDRESSES:
            v4, v6 = _ADDRESSES[host, interface]
            self.ip(
                host,
                f"addr add {v4}/24 dev {interface}",
                f"addr add {v6}/64 dev {interface} nodad",
            )
        if host in _GATEWAYS:
            v4, v6 = _GATEWAYS[host]
            self.ip(host, f"route replace 0.0.0.0/0 via {v4}", f"route replace ::/0 via {v6}")


def _enter(namespace):
    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _run(*command, input=None):
    done = subprocess.run(command, input=input, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout
