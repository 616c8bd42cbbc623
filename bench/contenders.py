"""Who is measured: each gets the lab's edge for itself, on one core unless it says otherwise, and is then
taken away again.

The proxies (ringroad, HAProxy, nginx) end the client's connection; `forwarder` and `kernel` only
pass packets on, and show what the ground itself costs.
"""

from pathlib import Path

from ground import EDGE_CORE, EDGE_PIN, HTTP_PORT, SHARED_ORIGIN, STREAM_PORT
from harness import programs
from harness.edge import RINGROAD, Haproxy, Ringroad, service
from harness.lab import EDGE_V4, ORIGIN_V4

WIRE = Path("target/release/examples/wire").absolute()

SERVICES = (
    service(HTTP_PORT, "http", "10000-49999"),
    service(STREAM_PORT, "stream", "50000-59999"),
)


class Proxy:
    """One of the edges that end-to-end tests know, pinned.

    `engine`: how ringroad lays itself out, if not on the edge's one core. `telemetry`: what it records.
    """

    address = EDGE_V4

    def __init__(self, kind, needs, name=None, shield=None, engine=None, telemetry=None):
        self.name = name or kind.name
        self.needs = needs
        self._kind = kind
        # Where the peers have neither GRO nor an XDP program, what XDP answers on a veth does not reach them:
        # cookies are measured where floods are, on cables of their own.
        self._shield = shield or {"syn_cookies": "off"}
        self._engine = engine or {"cores": [EDGE_CORE]}
        self._telemetry = telemetry or {}

    def start(self, ground):
        folder = Path(ground.folder_of(self._kind.name))
        pin = ("taskset", "-c", ",".join(map(str, self._engine["cores"])))
        telemetry = {**self._telemetry}
        if telemetry.get("directory"):
            telemetry["directory"] = str(folder / telemetry["directory"])
        settings = (self._engine, self._shield, telemetry, pin)
        self._edge = self._kind(ground.lab, folder, SERVICES, *settings)
        self._edge.start()

    @property
    def pid(self):
        return self._edge.pid

    @property
    def socket(self):
        return self._edge.socket

    @property
    def frames_held(self):
        """Frames of packet memory in use; `None` where there is no such thing."""
        return self._edge.stats()["frames"]["held"] if "ledger" in self._edge.traits else None

    def stop(self):
        # With all its checks: figures of an edge whose books do not balance are worth nothing.
        try:
            self._edge.stop()
        finally:
            self._edge.kill()


class NginxStream:
    name = "nginx"
    needs = Path("/usr/sbin/nginx")
    address = EDGE_V4

    def start(self, ground):
        servers = (
            f"server {{ listen {port} backlog=4096; proxy_pass {ORIGIN_V4}:{port}; }}"
            for port in (HTTP_PORT, STREAM_PORT)
        )
        self._process = programs.nginx(
            ground.lab,
            "edge",
            ground.new_folder(),
            stream=" ".join(servers),
            listeners=2,
            pin=EDGE_PIN,
        )

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        self._process.kill()


class Forwarder:
    """Frames from one veth to the other over AF_XDP, untouched: what the sockets alone can do."""

    name = "forwarder"
    needs = WIRE
    address = SHARED_ORIGIN

    def start(self, ground):
        command = [*EDGE_PIN, str(WIRE), "--a", "wan0", "--b", "lan0"]
        self._process = ground.lab.spawn("edge", *command)
        self._process.wait_for(lambda: "ready" in self._process.errors(), "ready")

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        self._process.kill()


class KernelRouting:
    """Linux forwards packets; there is no process whose time could be counted."""

    name = "kernel"
    needs = Path("/proc/sys/net")
    address = ORIGIN_V4
    pid = None

    def start(self, ground):
        """Forwarding is how the lab is laid out."""

    def stop(self):
        """Nothing was started."""


CONTENDERS = (
    Proxy(Ringroad, RINGROAD),
    Proxy(Haproxy, Path("/usr/sbin/haproxy")),
    NginxStream(),
    Forwarder(),
    KernelRouting(),
)
