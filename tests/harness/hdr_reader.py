"""Prints what interval logs hold, as JSON, by HdrHistogram for Python; see hdr.py, which runs it."""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader


def main(logs):
    sums, times = {}, []
    for log in logs:
        reader = HistogramLogReader(log, HdrHistogram(1, 2, 3))
        while histogram := reader.get_next_interval_histogram():
            times.append((histogram.get_start_time_stamp(), histogram.get_end_time_stamp()))
            add(sums, histogram.get_tag(), histogram)
    found = {
        "began": min(began for began, _ in times) / 1000,
        "ended": max(ended for _, ended in times) / 1000,
        "counts": {tag: counts(histogram) for tag, histogram in sums.items()},
    }
    json.dump(found, sys.stdout)


def add(sums, tag, histogram):
    if tag in sums:
        sums[tag].add(histogram)
    else:
        sums[tag] = histogram


def counts(histogram):
    steps = histogram.get_recorded_iterator()
    return [[step.value_iterated_to, step.count_added_in_this_iter_step] for step in steps]


main(sys.argv[1:])
