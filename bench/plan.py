"""Does a plan hold? Two different loads are driven through the lab; the knee of the second is predicted from the
first and compared with the one that its own steps show. See docs/capacity.md.
"""

import json
import subprocess
import tempfile
from pathlib import Path

from text import aligned

RINGROAD = Path("target/release/ringroad")

# What tells the two runs apart: size of replies, and connections.
FIRST = {"octets": 65536, "connections": 32}
SECOND = {"octets": 24576, "connections": 48}
STEPS = 20
STEP_SECONDS = {True: 2, False: 6}

# A drive has all its loads at most, a few besides, and a lab to set up [seconds].
DRIVE_WITHIN = 300


def measure(rounds, quick):
    """A sample a round, and one of all rounds together: both loads by what they are, and what became of the
    prediction.
    """
    samples = []
    with tempfile.TemporaryDirectory(prefix="ringroad-bench-plan-") as folder:
        pairs = []
        for number in range(rounds):
            first, second = Path(folder) / f"first-{number}", Path(folder) / f"second-{number}"
            pairs.append((first, second))
            for load, place in ((FIRST, first), (SECOND, second)):
                _plan("--drive", "--record", str(place), *_arguments(load, quick))
            samples.append(_compared(f"round {number + 1}", pairs[-1:]))
        if rounds > 1:
            samples.append(_compared("all together", pairs))
    return samples


def table(samples):
    """A row for each; a prediction that the data did not support says why."""
    rows = [["the knee of another run [packets/s]", "predicted", "measured", "off", "u at the knee"]]
    for each in samples:
        against, knee = each["against"], each["knee"]
        why = against.get("unsupported") or knee.get("unsupported")
        rows.append(
            [each["name"], why, "", "", ""]
            if why
            else [
                each["name"],
                f"{against['predicted']:,.0f}",
                f"{against['measured']:,.0f} ± {against['measured_error']:,.0f}",
                f"{100 * against['off']:+.1f} %",
                f"{knee['utilisation']:.2f}",
            ]
        )
    return aligned(rows)


def _compared(name, pairs):
    """What is predicted from the first of each pair, of the second of each."""
    recorded = [part for first, _ in pairs for part in ("--in", str(first))]
    against = [part for _, second in pairs for part in ("--against", str(second))]
    said = _plan(*recorded, *against)
    print(f"  plan, {name}: {said['against']}", flush=True)
    return {"name": name, "first": FIRST, "second": SECOND, **_figures(said)}


def _arguments(load, quick):
    return (
        *("--octets", str(load["octets"])),
        *("--connections", str(load["connections"])),
        *("--steps", str(STEPS)),
        *("--step-time", f"{STEP_SECONDS[quick]}s"),
    )


def _plan(*arguments):
    """What a plan says as JSON; that it does not answer everything is for its reader to see."""
    command = [str(RINGROAD), "plan", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DRIVE_WITHIN)
    if not done.stdout:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _figures(said):
    return {key: said[key] for key in ("against", "knee", "costs", "p99")}
