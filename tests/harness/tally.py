"""Counts tests of every kind and prints the last line that people and CI read."""

import time
import traceback
import unittest


class Tally:
    """Passed, failed and skipped tests of a whole run."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def add_passed(self, count=1):
        self.passed += count

    def add_failed(self, name):
        self.failures.append(name)

    def add_skipped(self, name, reason):
        self.skips.append((name, reason))

    def summary(self):
        """What failed, what was skipped and why, and the totals in the last line."""
        lines = [f"SKIPPED {name}: {reason}" for name, reason in self.skips]
        lines += [f"FAILED {name}" for name in self.failures]
        totals = f"{self.passed} passed, {len(self.failures)} failed"
        if self.skips:
            totals += f", {len(self.skips)} skipped"
        return "\n".join([*lines, totals])


class LiveResult(unittest.TestResult):
    """Tells each end-to-end test's outcome as it happens, into a `Tally`.

    `remark` follows each test's name: what tells this pass over the tests from others.
    """

    def __init__(self, tally, remark=""):
        super().__init__()
        self._tally = tally
        self._remark = remark
        self._began = time.monotonic()

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()
        print(f"  {self._short(test)} ...", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._tally.add_passed()
        self._say("ok")

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._tally.add_skipped(self._short(test), reason)
        self._say(f"skipped: {reason}")

    def _fail(self, test, err):
        # Printed here with its notes: what the edge said when the test failed.
        print("".join(traceback.format_exception(*err)), flush=True)
        self._tally.add_failed(self._short(test))
        self._say("FAILED")

    def _say(self, outcome):
        print(f"    {outcome} ({time.monotonic() - self._began:.1f} s)", flush=True)

    def _short(self, test):
        """`test_relay.Http.test_curl…`: enough to find a test and to run it alone."""
        return test.id().removeprefix("e2e.") + self._remark
