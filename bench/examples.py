"""The example programs, each of which measures a part of ringroad by itself."""

import json
import subprocess
from pathlib import Path

BUILT = Path("target/release/examples")


def measured_by(example, within=None):
    """What an example has measured, by its own account; it may take so long [s]."""
    program = BUILT / example
    done = subprocess.run([program, "--json"], capture_output=True, text=True, timeout=within)
    if done.returncode != 0:
        raise RuntimeError(f"{program}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)
