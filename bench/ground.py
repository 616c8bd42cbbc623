"""The ground that every contender is measured on: one lab, the same client and origin, two cores.

The edge has core 1 to itself, client and origin share core 0: what a contender saves on its core
cannot be eaten by the programs that measure it. Offloads are off at client and origin, so that
every contender is given packets as they would come off a wire: MTU-sized, with whole checksums.
"""

import os
import tempfile
from contextlib import ExitStack, contextmanager

from harness import programs
from harness.driver import AfXdp
from harness.lab import Lab

PEERS_PIN = ("taskset", "-c", "0")
PEERS_CORES_MASK = 1 << 0
EDGE_PIN = ("taskset", "-c", "1")
EDGE_CORE = 1

# A network that client and origin share when the edge is a mere wire between them.
SHARED_CLIENT, SHARED_ORIGIN = "10.10.9.2", "10.10.9.3"

HTTP_PORT, STREAM_PORT = 80, 5201
REPLY = "x" * 128


class Ground:
    """Lab, origin servers and folder, from `with` to its end."""

    def __init__(self, peers=PEERS_PIN, queues=1):
        """`peers`: what the origin's programs are started with. `queues`: of each end of a cable."""
        self._peers = peers
        self._queues = queues

    def __enter__(self):
        if len(os.sched_getaffinity(0)) < 2:
            raise SystemExit("bench: needs two cores, one for the edge and one for its peers")
        self._open = ExitStack()
        try:
            self._build()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_):
        self._open.close()

    @contextmanager
    def peers_receiving_on_their_core(self):
        """Client and origin do their receive work on their own core, as hosts of their own do.

        By default veth has the sender do it: what the edge's process sends is received by the
        peer's kernel in the same call, and counts as the edge's time.
        """
        self._steer_receive(PEERS_CORES_MASK)
        try:
            yield
        finally:
            self._steer_receive(0)

    def _steer_receive(self, cpus):
        for host in ("client", "origin"):
            path = "/sys/class/net/eth0/queues/rx-0/rps_cpus"
            self.lab.run(host, "sh", "-c", f"echo {cpus:x} > {path}")

    def new_folder(self):
        """An empty folder that lasts as long as the ground."""
        return tempfile.mkdtemp(dir=self._folder)

    def folder_of(self, kind):
        """The folder of all edges of a kind: ringroad has its secret in there, by which origins take new
        connections for what they are that it opens between ports which an earlier run had."""
        return self._folders.setdefault(kind, self.new_folder())

    def _build(self):
        self._folders = {}
        folder = tempfile.TemporaryDirectory(prefix="ringroad-bench-")
        self._folder = self._open.enter_context(folder)
        self.lab = Lab(prefix="rr-bench", driver=AfXdp(queues=self._queues))
        self._open.callback(self.lab.down)
        self.lab.up()
        for host, shared in (("client", SHARED_CLIENT), ("origin", SHARED_ORIGIN)):
            self.lab.ip(host, f"addr add {shared}/24 dev eth0")
            offloads = [word for name in ("tx", "tso", "gso", "gro") for word in (name, "off")]
            self.lab.run(host, "ethtool", "-K", "eth0", *offloads)
        reply = f'location / {{ return 200 "{REPLY}"; }}'
        http = f"server {{ listen {HTTP_PORT} backlog=4096; {reply} }}"
        nginx = programs.nginx(self.lab, "origin", self.new_folder(), http, pin=self._peers)
        self._open.callback(nginx.kill)
        self.iperf3 = self.lab.spawn("origin", *self._peers, "iperf3", "-s", "-p", str(STREAM_PORT))
        self._open.callback(self.iperf3.kill)
