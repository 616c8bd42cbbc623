"""Samples into medians, medians into a table, everything into a file."""

import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

import backend
import cores
import cost
import flood
import linux
import plan
import ring
import shield
import telemetry
from measures import FIGURES
from text import aligned

# What the others are compared with.
BASE = "haproxy"

# With fewer, an error says nothing.
ROUNDS_FOR_ERROR = 3


class Samples:
    """Of measures in a lab: `by_contender[contender][figure]` is a list, one sample a round."""

    def __init__(self, base):
        """`base`: the contender that the others are compared with."""
        self.by_contender = {}
        self._base = base

    def add(self, contender, figures):
        kept = self.by_contender.setdefault(contender, {})
        for key, value in figures.items():
            kept.setdefault(key, []).append(value)

    def medians(self):
        return {
            name: {key: statistics.median(values) for key, values in figures.items()}
            for name, figures in self.by_contender.items()
        }

    def table(self):
        """A row for each figure, a column for each contender: median, and ratio to the base."""
        rows = [[f"median (ratio to {self._base}, round by round)", *self.by_contender]]
        for figure in FIGURES:
            base = self.by_contender.get(self._base, {}).get(figure.key)
            samples = [figures.get(figure.key) for figures in self.by_contender.values()]
            if any(samples):
                cells = [_cell(figure, values, base) for values in samples]
                rows.append([f"{figure.title} [{figure.unit}]", *cells])
        return aligned(rows)


class Results:
    """All samples of a run."""

    def __init__(self):
        # Of the contenders in the lab, each on one core.
        self.edge = Samples(BASE)
        # Of ringroad on one core and on two, in the lab and in memory.
        self.cores = Samples(cores.BASE)
        self.cores_in_memory = []
        self.failures = []
        # Of the DPDK backend: by measure, then contender.
        self.backend = {}
        # Of HTTP under floods: one a contender, load, kind of flood and round.
        self.floods = []
        # Of the shield's program: by what the packet is, then name of the figure.
        self.shield = []
        # Of downloads over a bottleneck: one a cell of the grid, contender and round.
        self.linux = []
        # Of TCP in memory: what is done by flows, and what idle connections take.
        self.tcp = {}
        # Of the ring between cores: one a kind, burst and contender.
        self.ring = []
        # Of ringroad with and without telemetry, in the lab, and of recording a value.
        self.telemetry = Samples(telemetry.BASE)
        self.recording = []
        # Of predicted knees: one a round.
        self.plan = []

    def add_failure(self, contender, measure, error):
        self.failures.append({"contender": contender, "measure": measure, "error": str(error)})

    def table(self):
        """A table for each part that was measured."""
        tables = [self.edge.table()] if self.edge.by_contender else []
        tables += [self.cores.table()] if self.cores.by_contender else []
        tables += [cores.table_in_memory(self.cores_in_memory)] if self.cores_in_memory else []
        tables += [backend.table(self.backend)] if self.backend else []
        tables += [shield.table(self.shield)] if self.shield else []
        tables += [cost.table(self.tcp)] if self.tcp else []
        tables += [ring.table(self.ring)] if self.ring else []
        tables += [self.telemetry.table()] if self.telemetry.by_contender else []
        tables += [telemetry.table_of_recording(self.recording)] if self.recording else []
        tables += [flood.table(self.floods)] if self.floods else []
        tables += [linux.table(self.linux)] if self.linux else []
        tables += [plan.table(self.plan)] if self.plan else []
        return "\n\n".join(tables)

    def write(self, folder, settings):
        """Writes samples, medians and the circumstances to a new file; returns its path."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / time.strftime("edge-%Y%m%d-%H%M%S.json")
        content = {
            "settings": settings,
            "host": _host(),
            "medians": self.edge.medians(),
            "samples": self.edge.by_contender,
            "cores": {
                "medians": self.cores.medians(),
                "samples": self.cores.by_contender,
                "in_memory": self.cores_in_memory,
            },
            "backend": self.backend,
            "shield": self.shield,
            "tcp": self.tcp,
            "ring": self.ring,
            "telemetry": {
                "medians": self.telemetry.medians(),
                "samples": self.telemetry.by_contender,
                "recording": self.recording,
            },
            "floods": self.floods,
            "linux": self.linux,
            "plan": self.plan,
            "failures": self.failures,
        }
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path


def _cell(figure, values, base):
    if not values:
        return "-"
    value, ratio = statistics.median(values), _ratio(values, base)
    if figure.unit == "Gbit/s":
        return f"{value / 1e9:.2f}{ratio}"
    if figure.unit == "s":
        return f"{value:.2f}{ratio}"
    return f"{value:,.0f}{ratio}"


def _ratio(values, base):
    """Of each round to the base's of the same round: their mean and its standard error."""
    if not base:
        return ""
    if values is base:
        return " (1.00)"
    if len(values) != len(base):
        # A round of one of them failed.
        return f" ({statistics.median(values) / statistics.median(base):.2f})"
    ratios = [value / other for value, other in zip(values, base)]
    mean = statistics.mean(ratios)
    if len(ratios) < ROUNDS_FOR_ERROR:
        return f" ({mean:.2f})"
    return f" ({mean:.2f} ± {statistics.stdev(ratios) / len(ratios) ** 0.5:.2f})"


def _host():
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "haproxy": _first_line("haproxy", "-v"),
        "nginx": _first_line("nginx", "-v"),
        "load_before": os.getloadavg()[0],
    }


def _first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout or done.stderr).splitlines()[0]
