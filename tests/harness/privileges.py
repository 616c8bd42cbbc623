"""Root where it must be, the user everywhere else.

Namespaces need root, so the whole run becomes root through `sudo`; cargo goes back to being the
user who called, so that what is built stays the user's.
"""

import os
import subprocess
import sys

_USER = "RINGROAD_BUILD_USER"
_KEPT = ("PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR", "TERM")


def become_root():
    """Starts this script again as root; returns only if we are root or cannot be."""
    if os.geteuid() == 0 or not _sudo_works():
        return
    kept = [f"{name}={os.environ[name]}" for name in _KEPT if name in os.environ]
    user = f"{_USER}={os.getuid()}:{os.getgid()}"
    os.execvp("sudo", ["sudo", "env", *kept, user, sys.executable, *sys.argv])


def as_caller():
    """Arguments for `subprocess.run` under which a program runs as the user who called."""
    if _USER not in os.environ:
        return {}
    user, group = map(int, os.environ[_USER].split(":"))
    return {"user": user, "group": group, "extra_groups": []}


def give_to_caller(path):
    """Makes a file that root wrote the caller's."""
    identity = as_caller()
    if identity:
        os.chown(path, identity["user"], identity["group"])


def _sudo_works():
    # Asks for a password only where somebody can type one.
    question = ["sudo", "-v"] if sys.stdin.isatty() else ["sudo", "-n", "-v"]
    try:
        return subprocess.run(question, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False
