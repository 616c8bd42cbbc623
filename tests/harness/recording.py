"""What the engine records on disk (`telemetry.directory`), as a test reads it."""

import json


def intervals(directory):
    """The counts of all intervals, in order, as far as they are written."""
    found = []
    for log in sorted(directory.glob("*.jsonl")):
        whole, _, _ = log.read_text().rpartition("\n")
        found += map(json.loads, whole.splitlines())
    return found
