"""What is measured. Each measure loads the edge by way of one contender and returns its figures.

Two kinds: how much at most (closed loop, the load is whatever gets through), and what it costs
(open loop: the same load for everyone, below anybody's limit, as the price of a request says
nothing when one contender carries twice as many).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ground import EDGE_CORE, HTTP_PORT, PEERS_PIN
from harness import programs

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# 256 connections, each with a pause between a reply and its next request: some 10,000 requests/s,
# a sixth of what the slowest proxy carries, and some 37,000, nearly two thirds of it.
PACED_CONNECTIONS = 256
LIGHT_LOAD, HEAVY_LOAD = (Path(__file__).with_name(f"{name}.lua") for name in ("light", "heavy"))

# A third of what the slowest proxy carries on one stream [bit/s].
PACED_STREAM = "1G"


@dataclass(frozen=True)
class Figure:
    """A figure of a measure: its key in results, its title, and which way is better."""

    key: str
    title: str
    unit: str
    more_is_better: bool = True


def keep_alive(ground, contender, seconds):
    got = _wrk(ground, contender, seconds, connections=64)
    return {
        "requests_per_second": got["requests_per_second"],
        "p50_us": got["p50_us"],
        "p99_us": got["p99_us"],
    }


def new_connections(ground, contender, seconds):
    got = _wrk(ground, contender, seconds, connections=64, close=True)
    return {"connections_per_second": got["requests_per_second"]}


def stream_up(ground, contender, seconds):
    got = _iperf3(ground, contender, seconds, reverse=False)
    return {"up_bps": got["bits_per_second"]}


def stream_down(ground, contender, seconds):
    got = _iperf3(ground, contender, seconds, reverse=True)
    return {"down_bps": got["bits_per_second"]}


def cost_of_few_requests(ground, contender, seconds):
    return _cost_of_requests(ground, contender, seconds, LIGHT_LOAD, "few")


def cost_of_many_requests(ground, contender, seconds):
    return _cost_of_requests(ground, contender, seconds, HEAVY_LOAD, "many")


def cost_of_many_requests_apart(ground, contender, seconds):
    with ground.peers_receiving_on_their_core():
        return _cost_of_requests(ground, contender, seconds, HEAVY_LOAD, "apart")


def cost_of_bytes(ground, contender, seconds):
    return _cost_of_bytes(ground, contender, seconds, "stream")


def cost_of_bytes_apart(ground, contender, seconds):
    with ground.peers_receiving_on_their_core():
        return _cost_of_bytes(ground, contender, seconds, "stream_apart")


MEASURES: tuple[Callable, ...] = (
    keep_alive,
    new_connections,
    stream_up,
    stream_down,
    cost_of_few_requests,
    cost_of_many_requests,
    cost_of_many_requests_apart,
    cost_of_bytes,
    cost_of_bytes_apart,
)

def _figures_of_requests(name, load):
    return (
        Figure(f"{name}_requests_per_second", f"{load}: requests", "1/s"),
        Figure(f"{name}_cpu_per_100k", "  process time per 100,000", "s", more_is_better=False),
        Figure(f"{name}_core_per_100k", "  edge core time per 100,000", "s", more_is_better=False),
        Figure(f"{name}_p50_us", "  p50 at that load", "us", more_is_better=False),
        Figure(f"{name}_p99_us", "  p99 at that load", "us", more_is_better=False),
    )


def _figures_of_bytes(name, load):
    return (
        Figure(f"{name}_bps", load, "Gbit/s"),
        Figure(f"{name}_cpu_per_gigabyte", "  process time per GB", "s", more_is_better=False),
        Figure(f"{name}_core_per_gigabyte", "  edge core time per GB", "s", more_is_better=False),
    )


FIGURES = (
    Figure("requests_per_second", "HTTP requests, 64 keep-alive connections", "1/s"),
    Figure("p50_us", "  p50 at that load", "us", more_is_better=False),
    Figure("p99_us", "  p99 at that load", "us", more_is_better=False),
    Figure("connections_per_second", "HTTP requests, a new connection each", "1/s"),
    Figure("up_bps", "one stream, client to origin", "Gbit/s"),
    Figure("down_bps", "one stream, origin to client", "Gbit/s"),
    *_figures_of_requests("few", "light load"),
    *_figures_of_requests("many", "heavy load"),
    *_figures_of_requests("apart", "heavy load, peers receive on their own core"),
    *_figures_of_bytes("stream", "one stream down"),
    *_figures_of_bytes("stream_apart", "one stream down, peers receive on their own core"),
)


def _cost_of_requests(ground, contender, seconds, script, name):
    before = _cpu_times(contender.pid)
    got = _wrk(ground, contender, seconds, connections=PACED_CONNECTIONS, script=script)
    process, edge_core = _spent_since(before, contender.pid)
    per_100k = 100_000 / got["requests"]
    return _known(
        {
            f"{name}_requests_per_second": got["requests_per_second"],
            f"{name}_cpu_per_100k": process and process * per_100k,
            f"{name}_core_per_100k": edge_core * per_100k,
            f"{name}_p50_us": got["p50_us"],
            f"{name}_p99_us": got["p99_us"],
        }
    )


def _cost_of_bytes(ground, contender, seconds, name):
    before = _cpu_times(contender.pid)
    got = _iperf3(ground, contender, seconds, reverse=True, rate=PACED_STREAM)
    process, edge_core = _spent_since(before, contender.pid)
    per_gigabyte = 1e9 / got["bytes"]
    return _known(
        {
            f"{name}_bps": got["bits_per_second"],
            f"{name}_cpu_per_gigabyte": process and process * per_gigabyte,
            f"{name}_core_per_gigabyte": edge_core * per_gigabyte,
        }
    )


def _wrk(ground, contender, seconds, **how):
    url = f"http://{contender.address}:{HTTP_PORT}/"
    got = programs.wrk(ground.lab, url, seconds, pin=PEERS_PIN, **how)
    if got["failures"] or got["bad_replies"]:
        raise AssertionError(f"requests failed: {got}")
    return got


def _iperf3(ground, contender, seconds, **how):
    return programs.iperf3(
        ground.lab, ground.iperf3, contender.address, seconds, pin=PEERS_PIN, **how
    )


def _cpu_times(pid):
    """CPU time so far of a process, if there is one, and of the edge's core [s]."""
    return _process_time(pid), _core_time()


def _spent_since(before, pid):
    process, core = _cpu_times(pid)
    return process and process - before[0], core - before[1]


def _process_time(pid):
    if pid is None:
        return None
    # The name in parentheses may hold spaces; utime and stime are fields 14 and 15 (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _core_time():
    """Time that the edge's core was not idle: the process, and the kernel's softirqs besides."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{EDGE_CORE}":
            idle_and_waiting = (3, 4)
            busy = sum(int(t) for place, t in enumerate(ticks[:8]) if place not in idle_and_waiting)
            return busy / _TICKS_PER_SECOND
    raise AssertionError(f"there is no core {EDGE_CORE}")


def _known(figures):
    return {key: value for key, value in figures.items() if value is not None}
