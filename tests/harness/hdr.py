"""HdrHistogram's own implementation in Python, which shares no code with ours: what it reads in our
files is what others will.

It is installed from PyPI into an environment under target/, once.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from .privileges import as_caller

VERSION = "0.10.3"

_FOLDER = Path("target/tools/hdrhistogram").absolute()
_READER = Path(__file__).with_name("hdr_reader.py")


class Unavailable(Exception):
    """It cannot be had here; says why."""


def read(*logs):
    """What interval logs hold together: when they begin and end, since 1970 [s], and of each tag the
    values with their counts, ascending.
    """
    command = [str(_python()), str(_READER), *map(str, logs)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"HdrHistogram cannot read {logs}:\n{done.stderr}")
    return json.loads(done.stdout)


def _python():
    python = _FOLDER / VERSION / "bin" / "python"
    if not python.exists():
        _install(_FOLDER / VERSION)
    return python


def _install(folder):
    # In its place only when it is whole.
    beside = folder.with_name(folder.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    make = [sys.executable, "-m", "venv", str(beside)]
    pip = ["bin/python", "-m", "pip", "--quiet", "install", f"hdrhistogram=={VERSION}"]
    for command, where in ((make, "."), (pip, beside)):
        done = subprocess.run(command, cwd=where, capture_output=True, text=True, **as_caller())
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise Unavailable(said[-1] if said else f"{command[0]}: exit {done.returncode}")
    beside.rename(folder)
