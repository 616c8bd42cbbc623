"""What telemetry costs: a value's way into a histogram, and the edge's requests with everything recorded,
written to disk and scraped, beside one that records nothing.
"""

import subprocess
from contextlib import contextmanager
from threading import Event, Thread

from contenders import Proxy
from examples import measured_by
from ground import Ground
from harness.edge import RINGROAD, Ringroad
from measures import cost_of_many_requests, keep_alive, new_connections
from text import aligned

# What the other is compared with.
BASE = "off"

MEASURES = (keep_alive, new_connections, cost_of_many_requests)

# Thrice as often as in the example for Prometheus [s].
SCRAPE_INTERVAL = 5

OFF = Proxy(Ringroad, RINGROAD, BASE, telemetry={"histograms": "off"})
ON = Proxy(Ringroad, RINGROAD, "on", telemetry={"histograms": "on", "directory": "recorded"})

CONTENDERS = [OFF, ON]


def measure(contenders, rounds, take):
    """Calls `take` with a ground, a measure and a contender; who comes first changes each round."""
    with Ground() as ground:
        for number in range(rounds):
            print(f"telemetry, round {number + 1} of {rounds}", flush=True)
            for each in MEASURES:
                for contender in contenders[:: -1 if number % 2 else 1]:
                    take(ground, scraped(each), contender)


def scraped(measure):
    """The same, while somebody looks, if there is something to be seen."""

    def measured(ground, contender, seconds):
        if contender is OFF:
            return measure(ground, contender, seconds)
        with scraping(contender.socket):
            return measure(ground, contender, seconds)

    measured.__name__ = measure.__name__
    return measured


@contextmanager
def scraping(socket):
    """Asks for metrics now and then, as Prometheus does."""
    done = Event()

    def scrape():
        while not done.wait(SCRAPE_INTERVAL):
            command = ["curl", "-sS", "-o", "/dev/null", "--unix-socket", str(socket)]
            subprocess.run([*command, "http://edge/metrics"], check=True)

    thread = Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def measure_recording():
    """Nanoseconds for a value, by how values are spread."""
    return measured_by("record_cost")


def table_of_recording(figures):
    rows = [["histograms", "ns"], *([each["what"], f"{each['ns']:.1f}"] for each in figures)]
    return aligned(rows)
