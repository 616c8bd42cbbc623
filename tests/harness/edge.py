"""What stands in the edge: ringroad, or a peer that proxies TCP as well.

A test speaks to either through the same few calls. What only ringroad promises (its ledger, its
fallback) is a trait: a test that needs it is skipped for a peer, and with a driver that lacks it. A
test that passes with the peer and fails with ringroad found a fault of ringroad's.
"""

import json
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from .lab import EDGE_V4, EDGE_V6, EGRESS_V4, EGRESS_V6, ORIGIN_V4, ORIGIN_V6

# A frame may rest with a device until the next burst reclaims it: a burst for each port.
FRAMES_IN_PASSING = 2 * 64

RINGROAD = Path("target/release/ringroad").absolute()


@dataclass(frozen=True)
class Service:
    """One service of the edge, as a configuration states it."""

    name: str
    listen: tuple
    origins: tuple
    source_ports: str = "20000-59999"
    settings: dict = field(default_factory=dict)


def service(port, name="web", source_ports="20000-59999", **settings):
    """`port` of both of the edge's addresses, proxied to the same port of the IPv4 origin."""
    return Service(
        name,
        (f"{EDGE_V4}:{port}", f"[{EDGE_V6}]:{port}"),
        (f"{ORIGIN_V4}:{port}",),
        source_ports,
        settings,
    )


def service_v6(port, name="six", source_ports="20000-59999"):
    """The same with the origin on IPv6."""
    return Service(
        name,
        (f"{EDGE_V4}:{port}", f"[{EDGE_V6}]:{port}"),
        (f"[{ORIGIN_V6}]:{port}",),
        source_ports,
    )


def configuration(services, socket, ports, engine=None, shield=None, telemetry=None):
    """A configuration as data; written as JSON, which is YAML."""
    return {
        "engine": {"drain_timeout": "2s", **(engine or {})},
        "ports": ports,
        "services": [
            {
                "name": each.name,
                "port": "wan",
                "listen": list(each.listen),
                "origins": list(each.origins),
                "egress": {
                    "port": "lan",
                    "address": EGRESS_V6 if each.origins[0].startswith("[") else EGRESS_V4,
                    "source_ports": each.source_ports,
                },
                **each.settings,
            }
            for each in services
        ],
        "shield": shield or {},
        "admin": {"socket": str(socket)},
        "telemetry": telemetry or {},
    }


class Ringroad:
    """The engine under test."""

    name = "ringroad"
    traits = frozenset(
        {
            "ledger",
            "configuration",
            "shield",
            "passing on of resets",
            # What it does not take goes to Linux.
            "fallback",
            # Linux has them before the start, after the end, and when it hangs.
            "ports without an engine",
            # Connections and floods are counted as if one core had them all.
            "limits for all",
            # Whoever talks to it has one of their own.
            "a core to spare",
            # It sleeps where nothing comes, and no longer than that.
            "a wake by each packet",
        }
    )

    def __init__(
        self, lab, folder, services, engine=None, shield=None, telemetry=None, pin=()
    ):
        self._lab = lab
        self._pin = pin
        self._socket = Path(folder) / "ringroad.sock"
        self._config = Path(folder) / "edge.yaml"
        ports = lab.driver.ports()
        config = configuration(services, self._socket, ports, engine, shield, telemetry)
        self._config.write_text(json.dumps(config, indent=2))
        self._process = None
        self._traces_before = None
        self._held_when_idle = None

    @property
    def pid(self):
        return self._process.pid

    @property
    def socket(self):
        """Where it answers `stats` and its like."""
        return self._socket

    def start(self):
        driver = self._lab.driver
        self._traces_before = traces(self._lab)
        command = [str(RINGROAD), "run", "--config", str(self._config), *driver.arguments]
        self._process = self._lab.spawn("edge", *self._pin, *command)
        self._process.wait_for(self._is_ready, "ready")
        driver.plug_in(self._lab)
        self._held_when_idle = self.stats()["frames"]["held"]

    def stats(self):
        """The engine's own account of itself."""
        command = [str(RINGROAD), "stats", "--json", "--socket", str(self._socket)]
        return json.loads(self._lab.run("edge", *command))

    def refused(self, path):
        """Has samples of what the shield refused written to a file."""
        command = [str(RINGROAD), "refused", "--out", str(path), "--socket", str(self._socket)]
        self._lab.run("edge", *command)

    def histograms(self, out, *arguments):
        """Has what was recorded written to a directory; the short table."""
        arguments = arguments or ("--socket", str(self._socket))
        return self._lab.run("edge", str(RINGROAD), "histograms", "--out", str(out), *arguments)

    def signal(self, number):
        self._process.signal(number)

    def stop(self):
        """Lets the engine come to rest, checks its books, and ends it."""
        self._expect_rest()
        self.end()

    def end(self):
        """Ends the engine, whatever it is doing, and looks for what it left."""
        self._process.signal(signal.SIGTERM)
        code = self._process.wait(10)
        if code != 0:
            raise AssertionError(f"exit {code} on SIGTERM\n{self.errors()}")
        # It looks at its books once more when all is over.
        if "please report this" in self.errors():
            raise AssertionError(self.errors())
        expect_traces(self._lab, self._traces_before)

    def kill(self):
        if self._process is not None:
            self._process.kill()

    def output(self):
        return self._process.output()

    def errors(self):
        return self._process.errors() if self._process else ""

    def _is_ready(self):
        return any(line.split()[-1:] == ["ready"] for line in self.errors().splitlines())

    def _expect_rest(self, seconds=5.0):
        until = time.monotonic() + seconds
        while wrong := imbalances(stats := self.stats(), self._held_when_idle):
            if time.monotonic() > until:
                raise AssertionError("; ".join(wrong) + f"\n{json.dumps(stats, indent=1)}")
            time.sleep(0.02)


def imbalances(stats, held_when_idle):
    """What is wrong with the books of an engine that no connection is using."""
    ledger, frames = stats["ledger"], stats["frames"]
    wrong = []
    into = sum(ledger[way] for way in ("forwarded", "consumed", "to_kernel", "held"))
    into += sum(ledger["dropped"].values())
    if ledger["received"] != into:
        wrong.append(f"{ledger['received']} packets received, {into} accounted for")
    out = sum(ledger[way] for way in ("forwarded", "originated", "retransmitted"))
    if ledger["sent"] != out:
        wrong.append(f"{ledger['sent']} packets sent, {out} accounted for")
    if frames["free"] + frames["held"] != frames["capacity"]:
        wrong.append(f"frames are lost or counted twice: {frames}")
    if frames["held"] > held_when_idle + FRAMES_IN_PASSING:
        wrong.append(f"{frames['held']} frames held, {held_when_idle} before any connection")
    for each in stats["services"]:
        if each["connections"]["active"]:
            wrong.append(f"{each['connections']['active']} connections of {each['name']} live on")
        for origin in each["origins"]:
            if origin["connections"]["active"]:
                wrong.append(f"connections to {origin['address']} live on: {origin}")
    return wrong


def traces(lab):
    """What an engine changes on the edge, and puts back at its end."""
    reserved = lab.run("edge", "sysctl", "-n", "net.ipv4.ip_local_reserved_ports")
    return {"reserved ports": reserved.strip(), **lab.driver.traces(lab)}


def expect_traces(lab, before):
    """Raises if an engine that has ended has left something."""
    for what, after in traces(lab).items():
        if after != before[what]:
            raise AssertionError(f"{what}: {after!r} after the end, {before[what]!r} before")


class Haproxy:
    """The peer: HAProxy in TCP mode on one thread, its sockets in the kernel of the edge."""

    name = "haproxy"
    traits = frozenset({"ports without an engine"})

    def __init__(
        self, lab, folder, services, engine=None, shield=None, telemetry=None, pin=()
    ):
        del engine, shield, telemetry  # Settings of ringroad's own.
        self._lab = lab
        self._pin = pin
        self._config = Path(folder) / "haproxy.cfg"
        self._config.write_text(haproxy_configuration(services))
        self._listeners = sum(len(each.listen) for each in services)
        self._process = None

    @property
    def pid(self):
        return self._process.pid

    def start(self):
        command = ["haproxy", "-db", "-f", str(self._config)]
        self._process = self._lab.spawn("edge", *self._pin, *command)
        self._process.wait_for(lambda: listening(self.pid) >= self._listeners, "listening")

    def signal(self, number):
        self._process.signal(number)

    def stop(self):
        # A soft stop, as for ringroad: it ends when its last connection has.
        self._process.signal(signal.SIGUSR1)
        self._process.expect_success(20)

    def kill(self):
        if self._process is not None:
            self._process.kill()

    def errors(self):
        return self._process.errors() if self._process else ""


def haproxy_configuration(services, maxconn=9000):
    """HAProxy's way to say the same. `maxconn` fits 20,000 open files, two a connection."""
    lines = [
        "global",
        "  nbthread 1",
        f"  maxconn {maxconn}",
        "defaults",
        "  mode tcp",
        f"  maxconn {maxconn}",
        "  retries 0",
        "  timeout connect 3s",
        "  timeout client 10s",
        "  timeout server 10s",
    ]
    for each in services:
        header = {"v1": " send-proxy", "v2": " send-proxy-v2"}
        lines.append(f"listen {each.name}")
        lines += [f"  bind {_without_brackets(address)}" for address in each.listen]
        for number, origin in enumerate(each.origins):
            extra = header.get(each.settings.get("proxy_protocol"), "")
            lines.append(f"  server o{number} {_without_brackets(origin)}{extra}")
    return "\n".join(lines) + "\n"


def listening(pid):
    """How many TCP sockets listen in the network namespace of a process."""
    listen_state = "0A"
    count = 0
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}") as lines:
            count += sum(line.split()[3] == listen_state for line in lines)
    return count


def _without_brackets(address):
    return address.replace("[", "").replace("]", "")


EDGES = {"ringroad": Ringroad, "haproxy": Haproxy}
