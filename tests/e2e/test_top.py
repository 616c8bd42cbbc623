"""The live view: figures near what is driven, keys, an engine that goes and comes back, and a terminal
left as it was."""

import re
import signal
import statistics
import subprocess
import threading
import time

from harness.case import EdgeCase
from harness.edge import RINGROAD, service
from harness.lab import CLIENT_V4
from harness.sockets import in_background, receive_all
from harness.terminal import Terminal

PORT = 9000

# What is sent on each connection [octets], and how often one is opened [connections/s].
PIECE = 100_000
RATE = 40

# How far a figure may be from what was driven meanwhile.
TOLERANCE = 0.2

# Figures are looked at so long [seconds].
LOOK = 4.0

SECOND_CLIENT_V4 = "10.10.1.3"
CLIENT_V6_SUBNET = "fd00:1::/64"

_PREFIXES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
KEY_DOWN, KEY_TAB, KEY_INTERRUPT = "\x1b[B", "\t", "\x03"


class Top(EdgeCase):
    drivers = ("af_xdp",)
    arrangements = ("run-to-completion", "pipeline")

    def setUp(self):
        super().setUp()
        self.terminal = Terminal()
        self.addCleanup(self.terminal.close)

    def top(self, edge, *arguments):
        """The live view of an edge on the terminal."""
        command = [str(RINGROAD), "top", "--socket", str(edge.socket), *arguments]
        end = self.terminal.end
        process = self.spawn("edge", *command, stdin=end, stdout=end)
        self.terminal.wait_for(lambda text: "connections" in text)
        return process

    def expect_end(self, process):
        """The program ends by itself, and the terminal is as it was."""
        self.assertEqual(process.wait(5), 0, process.errors())
        self.assertTrue(self.terminal.is_as_before(), "the terminal is not as it was")
        self.assertEqual(process.errors(), "")

    def drive(self, **how):
        return Drive(self, **how)

    def test_figures_are_near_what_is_driven(self):
        with self.edge(service(PORT)) as edge, self.drive() as drive:
            top = self.top(edge, "--interval", "500ms")
            self.terminal.wait_for(lambda text: figure(text, "to origins") > 0)
            began, connections = time.monotonic(), drive.opened
            shown = {"new": [], "to origins": [], "in": [], "out": []}
            while time.monotonic() < began + LOOK:
                text = "\n".join(self.terminal.rows())
                for of, figures in shown.items():
                    figures.append(figure(text, of))
                time.sleep(0.1)
            rate = (drive.opened - connections) / (time.monotonic() - began)
            new, payload = (statistics.mean(shown[of]) for of in ("new", "to origins"))
            self.assert_near(new, rate)
            self.assert_near(payload, 8 * PIECE * rate)
            # A payload of this size is so many segments at least, each way of the edge.
            for of in ("in", "out"):
                self.assertGreater(statistics.mean(shown[of]), rate * PIECE / 1460)
            text = "\n".join(self.terminal.rows())
            self.assertRegex(text, r"\binside +[\d.]+ [µnm]s +[\d.]+ [µnm]s")
            self.assertRegex(text, r"\bhandshake client +[\d.]+ [µnm]s")
            self.assertRegex(text, r"\bweb +[\d.]+ +k?bit/s +[\d.]+ Mbit/s")
            self.assertRegex(text, r"(lane-0|worker-0) +[\d.]+ %")
            self.terminal.press("q")
            self.expect_end(top)

    def assert_near(self, shown, driven):
        self.assertGreater(driven, 0)
        self.assertLess(abs(shown - driven), TOLERANCE * driven, f"{shown} shown of {driven}")

    def test_keys_choose_what_is_shown(self):
        shows = self.terminal.wait_for
        with self.edge(service(PORT)) as edge, self.drive():
            top = self.top(edge)
            self.terminal.press(KEY_TAB)
            shows(lambda text: re.search(rf"^{CLIENT_V4} +[\d.]+ +/s +100 %", text, re.MULTILINE))
            self.terminal.press("?")
            shows(lambda text: "another table" in text)
            self.terminal.press("?")
            shows(lambda text: "another table" not in text)
            self.terminal.press("+")
            shows(lambda text: "every 2 s" in text)
            self.terminal.press("--")
            shows(lambda text: "every 0.5 s" in text)
            self.terminal.press("p")
            shows(lambda text: "PAUSED" in text)
            still = self.terminal.rows()
            time.sleep(1.2)
            self.assertEqual(self.terminal.rows(), still)
            self.terminal.press("p")
            shows(lambda text: "PAUSED" not in text and text.splitlines() != still)
            self.terminal.resize(40, 10, top.pid)
            shows(lambda text: f"\n{CLIENT_V4}" in text)
            self.assertEqual(len(self.terminal.rows()), 10)
            self.terminal.press(KEY_INTERRUPT)
            self.expect_end(top)

    def test_it_outlives_the_engine_and_goes_on_with_the_next(self):
        shows = self.terminal.wait_for
        with self.edge(service(PORT)) as edge:
            with self.drive():
                top = self.top(edge, "--interval", "500ms")
                shows(lambda text: figure(text, "new") > 0)
            edge.end()
            shows(lambda text: f"no engine answers at {edge.socket}" in text)
            self.assertIn("\nconnections", "\n".join(self.terminal.rows()), "what was last known")
            edge.start()
            shows(lambda text: "no engine answers" not in text)
            with self.drive() as drive:
                # Counts begin anew: none of them is a rate of what both engines did.
                shows(lambda text: abs(figure(text, "new") - RATE) < 2 * TOLERANCE * RATE)
                self.assertGreater(drive.opened, 0)
            top.signal(signal.SIGTERM)
            self.expect_end(top)

    def test_one_interval_as_text_needs_no_terminal(self):
        with self.edge(service(PORT)) as edge, self.drive():
            arguments = ("--once", "--interval", "2s", "--socket", str(edge.socket))
            text = self.spawn("edge", str(RINGROAD), "top", *arguments).expect_success(10)
        self.assertLess(abs(figure(text, "new") - RATE), TOLERANCE * RATE, text)
        for table in ("services", "sources", "drops", "shield"):
            self.assertRegex(text, rf"(?m)^ {table}$")
        self.assertNotIn("\x1b", text)
        for arguments, complaint in (
            (("--once",), "no engine answers at /nonexistent"),
            ((), "needs a terminal; --once"),
        ):
            command = (str(RINGROAD), "top", "--socket", "/nonexistent", *arguments)
            process = self.spawn("edge", *command)
            self.assertEqual(process.wait(5), 1)
            (line,) = process.errors().splitlines()
            self.assertIn(complaint, line)


class Sources(EdgeCase):
    drivers = ("af_xdp",)
    arrangements = ("run-to-completion", "lanes")

    def test_who_opens_most_connections_is_shown_first(self):
        self.lab.ip("client", f"addr add {SECOND_CLIENT_V4}/24 dev eth0")
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT)) as edge:
            for source in [SECOND_CLIENT_V4] * 60 + [CLIENT_V4] * 20:
                self.connect(PORT, source=source).close()
                self.accept(listener).close()
            (first, second) = edge.stats()["sources"]
            self.assertEqual((first["source"], first["connections"]), (SECOND_CLIENT_V4, 60))
            self.assertEqual((second["source"], second["connections"]), (CLIENT_V4, 20))
            self.assertEqual([first["share"], second["share"]], [0.75, 0.25])
            self.assertAlmostEqual(first["per_second"] / second["per_second"], 3)


class Drive:
    """Opens connections at an even pace, sends a piece on each, and closes it, within its block."""

    def __init__(self, case):
        self.opened = 0
        self._case = case
        self._listener = case.listen("origin", PORT)
        self._ended = threading.Event()

    def __enter__(self):
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()
        self._driven = in_background(self._open)
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._driven()
        self._serving.join()
        self._listener.close()

    def _open(self):
        piece, due = b"x" * PIECE, time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += 1 / RATE
            with self._case.connect(PORT) as sock:
                sock.sendall(piece)
                self.opened += 1

    def _serve(self):
        """Reads each connection to its end, one behind the other."""
        self._listener.settimeout(0.1)
        while not self._ended.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            with sock:
                sock.settimeout(10)
                receive_all(sock)


def figure(text, of):
    """The figure that stands before its name in the upper lines: `65.2 k/s in`."""
    found = re.search(rf"([\d.]+) ([kMG]?)(?:bit)?/s +{of}\b", text)
    return float(found[1]) * _PREFIXES[found[2]] if found else 0.0
