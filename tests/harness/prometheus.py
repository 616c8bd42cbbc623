"""A real Prometheus, which scrapes the edge and answers queries, and its promtool."""

import http.client
import json
import subprocess
import time
import unittest
from pathlib import Path
from urllib.parse import urlencode

from .privileges import as_caller

ADDRESS = "127.0.0.1:9090"


def tools():
    """Where prometheus and promtool are; skips the test where they cannot be had."""
    found = subprocess.run(
        "scripts/prometheus", capture_output=True, text=True, check=False, **as_caller()
    )
    if found.returncode != 0:
        reason = found.stderr.strip().splitlines()[-1:] or ["scripts/prometheus failed"]
        raise unittest.SkipTest(f"no Prometheus: {reason[0]}")
    return Path(found.stdout.strip())


def promtool(*arguments, input=None):
    """Runs promtool; what it said. Raises if it found something wrong."""
    command = [tools() / "promtool", *arguments]
    done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"promtool {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Prometheus:
    """One that runs on the edge with a configuration, until the test ends."""

    def __init__(self, case, config):
        self._lab = case.lab
        self._process = case.spawn(
            "edge",
            str(tools() / "prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={case.folder}/tsdb",
            f"--web.listen-address={ADDRESS}",
        )
        self._process.wait_for(self._is_ready, "ready", seconds=30)

    def query(self, expression):
        """The samples that an expression yields now, by their labels."""
        return self._ask("query", query=expression)["result"]

    def targets(self):
        """What it scrapes, and how that goes."""
        return self._ask("targets")["activeTargets"]

    def metadata(self, metric):
        """What each target says of a family."""
        return self._ask("targets/metadata", metric=metric)

    def rules(self):
        """All rules that it has loaded."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def wait_until(self, condition, what, seconds=30):
        """Waits for something that scrapes bring about."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise AssertionError(f"not {what} after {seconds} s; targets: {self.targets()}")
            time.sleep(0.1)

    def _is_ready(self):
        try:
            return self._get("/-/ready")[0] == 200
        except ConnectionRefusedError:
            return False

    def _ask(self, what, **parameters):
        status, body = self._get(f"/api/v1/{what}?{urlencode(parameters)}")
        answer = json.loads(body)
        if answer["status"] != "success":
            raise AssertionError(f"{status} {answer['error']}: {parameters}")
        return answer["data"]

    def _get(self, path):
        with get(self._lab, ADDRESS, path) as response:
            return response.status, response.read()


def get(lab, address, path, headers=None, timeout=10):
    """What a server on the edge itself answers."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    with lab.inside("edge"):
        connection.connect()
    connection.request("GET", path, headers=headers or {})
    return connection.getresponse()
