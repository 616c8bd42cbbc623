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
STEP_SECONDS = {True: 3, False: 10}

# A drive has ten loads at least, and a lab to set up [seconds].
DRIVE_WITHIN = 300


def measure(rounds, quick):
    """One sample a round: both loads by what they are, and what became of the prediction."""
    samples = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="ringroad-bench-plan-") as folder:
            first, second = Path(folder) / "first", Path(folder) / "second"
            for load, place in ((FIRST, first), (SECOND, second)):
                _plan("--drive", "--record", str(place), *_arguments(load, quick))
            said = _plan("--in", str(first), "--against", str(second))
        samples.append({"first": FIRST, "second": SECOND, **_figures(said)})
        print(f"  plan, round {number + 1}: {said['against']}", flush=True)
    return samples


def table(samples):
    """A row for each round; a prediction that the data did not support says why."""
    rows = [["the knee of another run [packets/s]", "predicted", "measured", "off", "u at the knee"]]
    for number, each in enumerate(samples):
        against, knee = each["against"], each["knee"]
        why = against.get("unsupported") or knee.get("unsupported")
        rows.append(
            [f"round {number + 1}", why, "", "", ""]
            if why
            else [
                f"round {number + 1}",
                f"{against['predicted']:,.0f}",
                f"{against['measured']:,.0f} ± {against['measured_error']:,.0f}",
                f"{100 * against['off']:+.1f} %",
                f"{knee['utilisation']:.2f}",
            ]
        )
    return aligned(rows)


def _arguments(load, quick):
    return (
        *("--octets", str(load["octets"])),
        *("--connections", str(load["connections"])),
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
