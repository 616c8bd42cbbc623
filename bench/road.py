"""A road for one download at a time: a lab whose client is behind a bottleneck.

    client --- bottleneck --- edge --- origin

The bottleneck (`examples/bottleneck.rs`) is a program with the wire's two interfaces to itself. The
edge is either an ordinary Linux host with a server on it, or ringroad with the same server next
door, at the origin. The client is the same for both: a Linux host with a receive buffer that no
path here can fill.
"""

import json
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from harness.edge import Ringroad, Service
from harness.lab import CLIENT_V4, EDGE_V4, ORIGIN_V4, Lab

BOTTLENECK = Path("target/release/examples/bottleneck").absolute()
TRANSFER = Path(__file__).with_name("transfer.py")
PORT = 9000

# Linux's defaults of 4 MiB to send and 6 MiB to receive are less than the longest path here takes
# with its queue. Both ends have as much as they can use [octets].
BUFFERS = f"4096 131072 {32 << 20}"

# Linux's TCP runs in its interrupts, ahead of every process. So does the engine, on its own core or, as
# here, on one that it shares.
AS_SOFTIRQ = ("chrt", "--fifo", "1")

# Never less queue than some forty packets [octets].
QUEUE_LEAST = 64_000


@dataclass(frozen=True)
class Shape:
    """What the bottleneck does to what crosses it."""

    rate_bps: int
    rtt_ms: int
    loss_ppm: int

    @property
    def queue_octets(self):
        """The product of rate and round trip: as much again as fills the path."""
        return max(self.rate_bps * self.rtt_ms // 8000, QUEUE_LEAST)


class Disturbed(Exception):
    """A download that says nothing: something else than the path and the sender was in its way."""


class Road:
    """The lab, from `with` to its end."""

    def __init__(self, core):
        """`core`: the one that an engine at the edge polls on."""
        self._core = core

    def __enter__(self):
        self._folder = TemporaryDirectory(prefix="ringroad-bench-")
        self._lab = Lab(prefix="rr-road", wire=True)
        try:
            self._lab.up()
            self._smooth()
            self._server("origin", ORIGIN_V4)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._lab.down()
        self._folder.cleanup()

    def download(self, contender, algorithm, shape, seconds, seed):
        """One download; what the client counted when, and what the bottleneck says of itself."""
        dropped = self._dropped()
        with CONTENDERS[contender](self, algorithm):
            bottleneck = self._bottleneck(shape, seed)
            try:
                command = ("fetch", EDGE_V4, str(PORT), str(seconds))
                client = self._lab.spawn("client", sys.executable, str(TRANSFER), *command)
                got = json.loads(client.expect_success(seconds + 60))
                # So long the client's reset is on its way.
                time.sleep(shape.rtt_ms / 1000)
                bottleneck.signal(signal.SIGTERM)
                report = json.loads(bottleneck.expect_success(10))
            finally:
                bottleneck.kill()
        if dropped := self._dropped() - dropped:
            raise Disturbed(f"{dropped} packets found no room on a cable")
        expect_in_time(report)
        return got | {"bottleneck": report}

    @contextmanager
    def linux(self, algorithm):
        """A server in the edge's own Linux."""
        server = self._server("edge", EDGE_V4, "--congestion", algorithm)
        try:
            yield
        finally:
            server.kill()

    @contextmanager
    def ringroad(self, algorithm):
        """ringroad, in front of the server at the origin."""
        web = Service(
            "web",
            (f"{EDGE_V4}:{PORT}",),
            (f"{ORIGIN_V4}:{PORT}",),
            settings={"client_leg": {"congestion": algorithm}},
        )
        folder = mkdtemp(dir=self._folder.name)
        edge = Ringroad(self._lab, folder, (web,), {"cores": [self._core]}, pin=AS_SOFTIRQ)
        try:
            edge.start()
            yield
            edge.stop()
        finally:
            edge.kill()

    def _smooth(self):
        """Large buffers, and nothing on the road but the download: losses hit the same packets."""
        settings = (
            f"net.ipv4.tcp_rmem={BUFFERS}",
            f"net.ipv4.tcp_wmem={BUFFERS}",
            # A connection must not begin with what an earlier one has found out.
            "net.ipv4.tcp_no_metrics_save=1",
        )
        for host in ("client", "edge", "origin"):
            self._lab.run(host, "sysctl", "-qw", *settings)
        for host, interface, other, far, address in (
            ("client", "eth0", "edge", "wan0", EDGE_V4),
            ("edge", "wan0", "client", "eth0", CLIENT_V4),
        ):
            self._lab.run(host, "sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=1")
            link = json.loads(self._lab.run(other, "ip", "-j", "link", "show", far))[0]
            self._lab.ip(host, f"neigh replace {address} lladdr {link['address']} dev {interface}")

    def _server(self, host, address, *options):
        command = (sys.executable, str(TRANSFER), "serve", address, str(PORT), *options)
        server = self._lab.spawn(host, *command)
        server.wait_for(lambda: "ready" in server.errors(), "listening")
        return server

    def _bottleneck(self, shape, seed):
        command = (
            # A link has no scheduler that it waits for.
            *("chrt", "--fifo", "2"),
            *(str(BOTTLENECK), "--near", "c0", "--far", "e0", "--seed", str(seed)),
            *("--rate-bps", str(shape.rate_bps), "--delay-us", str(shape.rtt_ms * 500)),
            *("--queue-octets", str(shape.queue_octets), "--loss", str(shape.loss_ppm)),
        )
        bottleneck = self._lab.spawn("wire", *command)
        bottleneck.wait_for(lambda: "ready" in bottleneck.errors(), "ready")
        return bottleneck

    def _dropped(self):
        """Packets that a cable of the road has had no room for, so far."""
        ends = [("client", "eth0"), ("wire", "c0"), ("wire", "e0"), ("edge", "wan0")]
        counters = [
            int(self._lab.run(host, "cat", f"/sys/class/net/{interface}/statistics/{counter}"))
            for host, interface in ends
            for counter in ("rx_dropped", "tx_dropped")
        ]
        return sum(counters)


def expect_in_time(report):
    """Raises if the bottleneck fell behind its own schedule."""
    share = report["late_turns"] / max(report["turns"], 1)
    if share > LATE_SHARE_MAX or report["late_us_max"] > LATE_US_MAX:
        raise Disturbed(
            f"the bottleneck was up to {report['late_us_max'] / 1000:.1f} ms late, "
            f"and by more than 1 ms in {share:.2%} of its turns"
        )
    for way in ("to_near", "to_far"):
        if report[way]["not_received"]:
            raise Disturbed(f"{report[way]['not_received']} packets never reached the bottleneck")


CONTENDERS = {"linux": Road.linux, "ringroad": Road.ringroad}
LATE_SHARE_MAX = 0.01
LATE_US_MAX = 20_000
