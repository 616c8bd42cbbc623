"""The threads of a program: by name, brought to a halt, and watched in what they ask of Linux."""

import ctypes
import os
import re
import signal
from contextlib import contextmanager, suppress
from pathlib import Path

_PTRACE_DETACH, _PTRACE_SEIZE, _PTRACE_INTERRUPT = 17, 0x4206, 0x4207
# waitpid(2): also for threads.
_WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

# A line of strace's summary: share, seconds, microseconds a call, calls, errors if any, name.
_SUMMARY = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)


def threads(pid):
    """The threads of a process: their ids, by name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # It has just ended.
            found[Path(task, "comm").read_text().strip()] = int(task.name)
    return found


def polling_threads(pid):
    """Those of an engine that poll."""
    names = re.compile(r"io|(lane|worker)-\d+")
    return {name: tid for name, tid in threads(pid).items() if names.fullmatch(name)}


@contextmanager
def halted(tid):
    """Within this block a thread stands still, alone: its process goes on."""
    _ptrace(_PTRACE_SEIZE, tid)
    try:
        _ptrace(_PTRACE_INTERRUPT, tid)
        os.waitpid(tid, _WALL)
        yield
    finally:
        _ptrace(_PTRACE_DETACH, tid)


class CallCount:
    """The system calls of one thread, counted by strace from here on."""

    def __init__(self, spawn, tid, folder):
        self._summary = Path(folder, f"calls-of-{tid}")
        self._strace = spawn("edge", "strace", "-c", "-p", str(tid), "-o", str(self._summary))
        self._strace.wait_for(lambda: "attached" in self._strace.errors(), "attached")

    def finish(self):
        """Stops counting; how many there were, by name."""
        self._strace.signal(signal.SIGINT)
        self._strace.wait(10)
        found = _SUMMARY.findall(self._summary.read_text())
        return {name: int(count) for count, name in found if name != "total"}


def _ptrace(request, tid):
    arguments = (request, tid, None, None)
    if _libc.ptrace(*map(ctypes.c_void_p, arguments)) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace request {request:#x} of thread {tid}")
