"""Programs that tests start: their output kept in files, their end certain."""

import os
import signal
import subprocess
import tempfile
import time


class Process:
    """A running program. Its output goes to files, so that a chatty one never blocks on a pipe."""

    def __init__(self, command, stdin=subprocess.DEVNULL, stdout=None):
        self.command = command
        self._stdout = stdout or tempfile.TemporaryFile()
        self._stderr = tempfile.TemporaryFile()
        # Should the runner be killed, the kernel ends what it started.
        self._child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=stdin,
            stdout=self._stdout,
            stderr=self._stderr,
        )

    @property
    def pid(self):
        return self._child.pid

    def output(self):
        """Standard output so far."""
        return _text(self._stdout)

    def errors(self):
        """Standard error so far."""
        return _text(self._stderr)

    def running(self):
        return self._child.poll() is None

    def signal(self, number):
        self._child.send_signal(number)

    def wait(self, seconds):
        """Waits for the program's own end and returns its exit code."""
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(self._complaint(f"still running after {seconds} s")) from None

    def expect_success(self, seconds):
        """Waits for the end; returns standard output, or raises if the program failed."""
        code = self.wait(seconds)
        if code != 0:
            raise AssertionError(self._complaint(f"exit {code}"))
        return self.output()

    def wait_for(self, condition, what, seconds=10.0):
        """Waits until `condition()` holds; raises if the program ends before."""
        until = time.monotonic() + seconds
        while not condition():
            if not self.running():
                code = self._child.returncode
                raise AssertionError(self._complaint(f"exit {code} before {what}"))
            if time.monotonic() > until:
                raise AssertionError(self._complaint(f"not {what} after {seconds} s"))
            time.sleep(0.005)

    def kill(self):
        """Ends the program at once; safe to call at any time."""
        if self.running():
            self.signal(signal.SIGKILL)
            self._child.wait()

    def _complaint(self, what):
        return f"{' '.join(self.command)}: {what}\n{self.errors()[-4000:]}"


def _text(file):
    # Read by position: the child writes through the same file offset.
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")
