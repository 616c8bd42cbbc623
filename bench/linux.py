"""Downloads over a bottleneck: Linux's TCP as the sender, and ours, in turns on the same road.

Two algorithms over a grid of losses and round trips. Both senders lose the same packets by number,
and in each round others. The bottleneck says whether it was held up; a download in which it was is made again.
"""

import math
import os
import statistics
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from harness.edge import RINGROAD
from road import BOTTLENECK, CONTENDERS, Disturbed, Road, Shape
from text import aligned

ALGORITHMS = ("cubic", "bbr")
RATE_BPS = 50_000_000
LOSSES_PPM = (0, 1_000, 10_000, 30_000, 50_000)
# Round trip [ms] → length of a download [s]: several times what it takes to fill the path.
RTTS_MS = {10: 8, 50: 10, 100: 12, 300: 20}

QUICK_LOSSES_PPM, QUICK_RTTS_MS = (0, 10_000, 50_000), {10: 5, 100: 8}

# Where few packets are sent and many of them lost, chance decides much: more downloads, with other
# losses, in each round.
SPARSE_LOSS_PPM, SPARSE_RTT_MS, SPARSE_DOWNLOADS = 10_000, 100, 3

# Who takes each loss for congestion sends next to nothing there, and several downloads at a time do not
# feel one another. A ratio of three to three scatters by a quarter, of so many by a tenth.
STARVED = "cubic"
STARVED_DOWNLOADS, QUICK_STARVED_DOWNLOADS = 24, 12

# A round takes more than half an hour.
ROUNDS_MAX = 1

# Roads at a time, and how often a disturbed download is made again. With two full ones, an engine and a
# bottleneck on each of two cores keep the server at the origin waiting: once in most downloads nothing came
# from it for half a second, and CUBIC at 10 ms without loss had 0.93 of Linux's goodput; alone it has 1.00.
ROADS, STARVED_ROADS = 1, 12
TRIES = 3

# What we want to be above, in each cell.
AIM = 0.95


@dataclass(frozen=True)
class Cell:
    algorithm: str
    shape: Shape
    seconds: int

    @property
    def is_sparse(self):
        return self.shape.loss_ppm >= SPARSE_LOSS_PPM and self.shape.rtt_ms >= SPARSE_RTT_MS

    @property
    def is_starved(self):
        return self.is_sparse and self.algorithm == STARVED

    def downloads(self, quick):
        """How many of each contender in a round."""
        if self.is_starved:
            return QUICK_STARVED_DOWNLOADS if quick else STARVED_DOWNLOADS
        return SPARSE_DOWNLOADS if self.is_sparse else 1

    def __str__(self):
        return f"{self.algorithm} {self.shape.rtt_ms} ms {self.shape.loss_ppm / 1e4:g} %"


def measure(rounds, quick, algorithms=ALGORITHMS, note=print):
    """Samples: one a cell, contender and round."""
    if missing := [each for each in (RINGROAD, BOTTLENECK) if not each.exists()]:
        note(f"the grid is left out: {missing[0]} is not there")
        return []
    losses, rtts = (QUICK_LOSSES_PPM, QUICK_RTTS_MS) if quick else (LOSSES_PPM, RTTS_MS)
    cells = [
        Cell(algorithm, Shape(RATE_BPS, rtt_ms, loss_ppm), seconds)
        for loss_ppm in losses
        for rtt_ms, seconds in rtts.items()
        for algorithm in present(algorithms, note)
    ]
    work = [
        (cell, number * cell.downloads(quick) + download)
        for number in range(min(rounds, ROUNDS_MAX))
        # Long ones first, so that none is left to run alone at the end.
        for cell in sorted(cells, key=lambda cell: -cell.seconds)
        for download in range(cell.downloads(quick))
    ]
    full = [item for item in work if not item[0].is_starved]
    starved = [item for item in work if item[0].is_starved]
    return on_roads(ROADS, full, note) + on_roads(STARVED_ROADS, starved, note)


def on_roads(count, work, note):
    """What is to be done, on so many roads at a time."""
    with ExitStack() as open_roads:
        free = SimpleQueue()
        for index in range(min(count, len(work))):
            free.put(open_roads.enter_context(Road(core=index % os.cpu_count())))
        threads = open_roads.enter_context(ThreadPoolExecutor(count))
        stop = threading.Event()
        open_roads.callback(stop.set)

        def run(item):
            road = free.get()
            try:
                return [] if stop.is_set() else in_turns(road, *item, note)
            finally:
                free.put(road)

        return [sample for samples in threads.map(run, work) for sample in samples]


def present(algorithms, note):
    """Those that this kernel has."""
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    for each in algorithms:
        if each in available:
            yield each
        else:
            note(f"{each} is left out: this kernel has not got it (modprobe tcp_{each})")


def in_turns(road, cell, number, note):
    """A cell by all contenders on one road: A B, the next time B A."""
    order = list(CONTENDERS)[:: -1 if number % 2 else 1]
    return [take(road, cell, contender, number, note) for contender in order]


def take(road, cell, contender, number, note):
    """One sample; with an error in it if it was disturbed as often as it was tried, or failed."""
    sample = {
        "algorithm": cell.algorithm,
        "contender": contender,
        "rtt_ms": cell.shape.rtt_ms,
        "loss_ppm": cell.shape.loss_ppm,
        "seed": number + 1,
    }
    for _ in range(TRIES):
        try:
            got = road.download(
                contender, cell.algorithm, cell.shape, cell.seconds, sample["seed"]
            )
        except Disturbed as error:
            note(f"  {cell}, {contender}: again, {error}")
            continue
        except Exception as error:  # One cell's failure must not cost the others their run.
            return sample | {"error": str(error)}
        sample["goodput_bps"] = got["octets"] * 8 / got["seconds"]
        report = got["bottleneck"]
        note(
            f"  {str(cell):22} {contender:9} {sample['goodput_bps'] / 1e6:6.2f} Mbit/s, "
            f"bottleneck at most {report['late_us_max'] / 1000:.1f} ms late"
        )
        return sample | {"steps": got["steps"], "bottleneck": report}
    return sample | {"error": f"disturbed {TRIES} times"}


@dataclass(frozen=True)
class Ratio:
    """Our goodput and Linux's in one cell, means of all downloads [bit/s]."""

    ours: float
    theirs: float
    # Standard error of the ratio; of a single download nothing is known.
    error: float | None

    @property
    def value(self):
        return self.ours / self.theirs

    def __str__(self):
        error = "" if self.error is None else f" ± {self.error:.2f}"
        return f"{self.value:.2f}{error} ({self.ours / 1e6:.2f} / {self.theirs / 1e6:.2f})"


def ratios(samples):
    """By algorithm, loss and round trip."""
    by_cell = defaultdict(lambda: defaultdict(list))
    for each in samples:
        if "error" not in each:
            cell = (each["algorithm"], each["loss_ppm"], each["rtt_ms"])
            by_cell[cell][each["contender"]].append(each["goodput_bps"])
    return {
        cell: ratio(of["ringroad"], of["linux"])
        for cell, of in by_cell.items()
        if all(of[contender] for contender in CONTENDERS)
    }


def ratio(ours, theirs):
    """Of the means of two lists."""
    means = statistics.mean(ours), statistics.mean(theirs)
    if min(len(ours), len(theirs)) == 1:
        return Ratio(*means, None)
    parts = (statistics.variance(each) / len(each) / mean**2 for each, mean in zip((ours, theirs), means))
    return Ratio(*means, means[0] / means[1] * math.sqrt(sum(parts)))


def table(samples):
    """For each algorithm a grid: our goodput by Linux's, and both."""
    figures = ratios(samples)
    tables = []
    for algorithm in dict.fromkeys(cell[0] for cell in figures):
        losses = sorted({loss for name, loss, _ in figures if name == algorithm})
        rtts = sorted({rtt for name, _, rtt in figures if name == algorithm})
        rows = [[f"{algorithm}: ratio (ours / Linux's, Mbit/s)", *(f"{rtt} ms" for rtt in rtts)]]
        for loss in losses:
            cells = [str(figures.get((algorithm, loss, rtt), "-")) for rtt in rtts]
            rows.append([f"{loss / 1e4:g} % lost", *cells])
        tables.append(aligned(rows))
    short = [each for each in figures.values() if each.value < AIM]
    tables.append(f"{len(figures) - len(short)} of {len(figures)} cells at {AIM} or more")
    return "\n\n".join(tables)


def failures(samples):
    """What could not be measured: who, what and why."""
    for each in samples:
        if "error" in each:
            cell = "{algorithm} {rtt_ms} ms {loss_ppm} ppm".format(**each)
            yield each["contender"], f"linux, {cell}", each["error"]

