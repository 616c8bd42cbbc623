"""What a flood costs those who mean well: HTTP requests/s through an edge that is flooded.

The flood is made on the core of the edge's peers, and on veth what the edge's kernel and XDP do with
each packet is done there, too, in the same call. What is left of the core is the clients'. So that
no more is held against an edge than what the flood does to it, it is compared with itself while the
generator sends the same packets, as fast as it can, into a cable that drops them all: the core
loses the same share, and the edge is not flooded.
"""

import json
import re
import signal
import statistics
from contextlib import contextmanager
from pathlib import Path

from contenders import Proxy
from ground import HTTP_PORT, PEERS_PIN
from harness import programs, xdp
from harness.edge import RINGROAD, Haproxy, Ringroad
from harness.lab import EDGE_V4
from text import aligned

GENERATOR = Path("target/release/examples/flood").absolute()
NOWHERE = Path(__file__).with_name("nowhere.bpf.c")

# Instead of a flood: the same cycles, spent elsewhere.
BURNT = "burnt"
KINDS = ("syn", "ack", "rst", "fin", "fragment")
LOADS = {"keep-alive": {"close": False}, "new connections": {"close": True}}
CONNECTIONS = 64

# Longer than any measurement: it is ended when its measurement is over.
FLOOD_SECONDS = 60

# The generator is one of three that want the peers' core all the time: the others stand behind it, so
# that it has two thirds of the core, flooding or burning.
PEERS = (*PEERS_PIN, "nice", "-n", "5")

HAPROXY = Path("/usr/sbin/haproxy")


class KernelCookies(Proxy):
    """HAProxy behind Linux's own SYN cookies."""

    def __init__(self, name, syncookies):
        super().__init__(Haproxy, HAPROXY, name)
        self._syncookies = syncookies

    def start(self, ground):
        ground.lab.run("edge", "sysctl", "-qw", f"net.ipv4.tcp_syncookies={self._syncookies}")
        super().start(ground)


class Synproxy(Proxy):
    """HAProxy behind SYNPROXY of nftables, set up as nft(8) has it."""

    needs = Path("/usr/sbin/nft")

    RULES = f"""
        table ip guard {{
            chain before {{
                type filter hook prerouting priority raw; policy accept;
                tcp dport {HTTP_PORT} tcp flags syn notrack
            }}
            chain input {{
                type filter hook input priority filter; policy accept;
                tcp dport {HTTP_PORT} ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
                ct state invalid drop
            }}
        }}
    """

    def __init__(self, name):
        super().__init__(Haproxy, self.needs, name)

    def start(self, ground):
        self._lab = ground.lab
        ground.lab.run("edge", "nft", "-f", "-", input=self.RULES)
        # An ACK alone makes no connection: it has to be shown to SYNPROXY.
        settings = ("net.netfilter.nf_conntrack_tcp_loose=0", "net.ipv4.tcp_syncookies=1")
        ground.lab.run("edge", "sysctl", "-qw", *settings)
        super().start(ground)

    def stop(self):
        try:
            super().stop()
        finally:
            self._lab.run("edge", "nft", "delete", "table", "ip", "guard")


class Shielded(Proxy):
    """ringroad with its shield up."""

    def __init__(self, syn_cookies):
        shield = {"syn_cookies": syn_cookies, "fragments": "drop"}
        super().__init__(Ringroad, RINGROAD, f"ringroad, {syn_cookies}", shield)

    def stop(self):
        # What was half open when the cookies went on is not at rest yet, and need not be: the books
        # are looked at once more at the end.
        try:
            self._edge.end()
        finally:
            self._edge.kill()


CONTENDERS = (
    Shielded("always"),
    Shielded("auto"),
    KernelCookies("syncookies=1", 1),
    KernelCookies("syncookies=2", 2),
    Synproxy("SYNPROXY"),
)


def measure(ground, contender, kinds, seconds):
    """One round of one contender: a sample at a time, each of one load and kind of flood."""
    contender.start(ground)
    try:
        for load, how in LOADS.items():
            for kind in (BURNT, *kinds):
                figures = _take(ground, contender, seconds, kind, how)
                yield {"contender": contender.name, "load": load, "kind": kind, **figures}
    finally:
        contender.stop()


def line(sample):
    """What a sample says, for those who wait for the next."""
    return (
        "  {contender:16} {load:16} {kind:9} {requests_per_second:9,.0f} requests/s,"
        " p99 {p99_us:9,.0f} us, {flood_per_second:11,.0f} packets/s"
    ).format(**sample)


@contextmanager
def cables(ground):
    """A cable to nowhere beside the one to the edge, which takes the answers to a flood away."""
    lab = ground.lab
    lab.join("client", "burn0", "client", "burn1")
    detach = [xdp.attach(lab, "client", name, NOWHERE.read_text()) for name in ("eth0", "burn1")]
    try:
        yield
    finally:
        for each in detach:
            each()
        lab.ip("client", "link del burn0")


def _take(ground, contender, seconds, kind, how):
    """Figures of the clients, the generator and the edge's memory."""
    before = _memory(contender, "before")
    with _generator(ground, kind) as said:
        url = f"http://{contender.address}:{HTTP_PORT}/"
        got = programs.wrk(
            ground.lab, url, seconds, connections=CONNECTIONS, pin=PEERS, **how
        )
    return {
        **before,
        **_memory(contender, "after"),
        "requests_per_second": got["requests_per_second"],
        "p99_us": got["p99_us"],
        "failures": got["failures"] + got["bad_replies"],
        "made_per_second": said["rate"],
        "flood_per_second": said["delivered"] / said["seconds"],
        "generator_share": said["cpu_seconds"] / said["seconds"],
    }


@contextmanager
def _generator(ground, kind):
    """Floods the edge, or burns as much, within the block; what the generator said is filled in."""
    interface, target, flags = ("eth0", ("edge", "wan0"), kind)
    if kind == BURNT:
        interface, target, flags = "burn0", ("client", "burn1"), "syn"
    mac = ground.lab.run(target[0], "cat", f"/sys/class/net/{target[1]}/address").strip()
    command = [*PEERS_PIN, str(GENERATOR), "--interface", interface, "--to-mac", mac]
    command += ["--to", f"{EDGE_V4}:{HTTP_PORT}", "--kind", flags]
    before = _delivered(ground, interface)
    process = ground.lab.spawn("client", *command, "--seconds", str(FLOOD_SECONDS))
    said = {}
    try:
        process.wait_for(lambda: _delivered(ground, interface) > before, "flooding")
        yield said
        process.signal(signal.SIGTERM)
        said.update(json.loads(process.expect_success(10)))
        said["delivered"] = _delivered(ground, interface) - before
    finally:
        process.kill()


def _delivered(ground, interface):
    """Packets of generators so far, without those for which the far end's ring had no room."""
    text = ground.lab.run("client", "ethtool", "-S", interface)
    return int(re.search(r"tx_queue_0_xdp_xmit: (\d+)", text)[1])


def _memory(contender, when):
    """What the edge's process has in memory, and what the engine has in its frames."""
    status = Path(f"/proc/{contender.pid}/status").read_text()
    memory = {f"rss_kib_{when}": int(re.search(r"VmRSS:\s+(\d+)", status)[1])}
    held = contender.frames_held
    return memory if held is None else memory | {f"frames_held_{when}": held}


def table(samples):
    """Medians: a row for each load and kind of flood, a column for each contender."""
    names = list(dict.fromkeys(each["contender"] for each in samples))
    rows = [["HTTP under floods", *names]]
    for title, cell in _BLOCKS:
        rows.append([title, *("" for _ in names)])
        for load, kind in dict.fromkeys((each["load"], each["kind"]) for each in samples):
            of = (_matching(samples, contender=name, load=load) for name in names)
            rows.append([f"  {load}, {kind}", *(cell(each, kind) for each in of)])
    rows.append(["memory of the process before, after [MiB]", *_memories(samples, names)])
    return aligned(rows)


def _requests(samples, kind):
    """Requests/s, and what they are of those of the same round with the cycles burnt."""
    burnt = [each["requests_per_second"] for each in _matching(samples, kind=BURNT)]
    flooded = [each["requests_per_second"] for each in _matching(samples, kind=kind)]
    ratio = statistics.median(one / other for one, other in zip(flooded, burnt))
    return f"{statistics.median(flooded):,.0f} ({ratio:.2f})"


def _median(key, scale=1, places=0):
    def cell(samples, kind):
        median = statistics.median(each[key] for each in _matching(samples, kind=kind))
        return f"{median * scale:,.{places}f}"

    return cell


_BLOCKS = (
    ("requests/s (ratio to the same cycles burnt)", _requests),
    ("p99 [ms]", _median("p99_us", 1e-3, 1)),
    ("failed requests", _median("failures")),
    ("packets of the flood, made [Mpps]", _median("made_per_second", 1e-6, 2)),
    ("packets of the flood, arrived [Mpps]", _median("flood_per_second", 1e-6, 2)),
    ("the generator's share of its core [%]", _median("generator_share", 100)),
)


def _memories(samples, names):
    for name in names:
        first, *_, last = _matching(samples, contender=name)
        yield f"{first['rss_kib_before'] / 1024:.0f}, {last['rss_kib_after'] / 1024:.0f}"


def _matching(samples, **wanted):
    return [each for each in samples if wanted.items() <= each.items()]
