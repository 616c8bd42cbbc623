"""What is recorded, on disk and as tables: whole, equal to the books, and readable by others."""

import math
import re
import time
from pathlib import Path

from harness import hdr
from harness.case import EdgeCase
from harness.edge import RINGROAD, service
from harness.recording import intervals
from harness.refusal import RefusalCase
from harness.sockets import receive_exactly

CONNECTIONS = 20
REQUESTS = 50

# What is recorded of connections alone. Bursts come without, too.
OF_CONNECTIONS = (
    "inside",
    "handshake_client",
    "handshake_origin",
    "rtt_client",
    "rtt_origin",
    "first_byte",
    "duration",
)


class Histograms(EdgeCase):
    # What is recorded does not depend on what drives the ports.
    drivers = ("af_xdp",)
    # The other implementation is fetched first, once.
    time_limit = 180

    def setUp(self):
        super().setUp()
        self.needs("ledger")
        self.recording = Path(self.folder, "recording")

    def test_recording_tables_and_books_agree(self):
        with self.edge(service(9000), telemetry={"directory": str(self.recording)}) as edge:
            self.exchange(edge)
            live = self.tables(edge.histograms(self.out("live")), "live")
        # The last interval is written at the end.
        read = self.tables(edge.histograms(self.out("read"), "--in", str(self.recording)), "read")
        for name in OF_CONNECTIONS:
            self.assertEqual(live[name], read[name], name)

        totals = {name: table["total"] for name, table in read.items()}
        stats = intervals(self.recording)[-1]["stats"]
        self.assertEqual(totals["inside"], stats["latency"]["count"])
        self.assertEqual(totals["inside"], stats["ledger"]["forwarded"])
        for name in ("duration", "handshake_client", "handshake_origin", "first_byte"):
            self.assertEqual(totals[name], CONNECTIONS, name)

        self.refuses_a_full_disk()
        for logs in (self.recording.glob("*.hlog"), [self.out("read") / "histograms.hlog"]):
            theirs = self.by_python(*logs)
            self.compare(theirs["counts"], read)
            # Where nothing was recorded there is no line.
            began, ended = self.recorded_from_to()
            self.assertLessEqual(began, theirs["began"] + 0.001)
            self.assertLessEqual(theirs["ended"], ended + 0.001)

    def refuses_a_full_disk(self):
        """What is to be written finds no room: that is said, and what was there stays."""
        out = self.out("small")
        out.mkdir()
        mount = f'mount -t tmpfs -o size=16k none {out} && echo old > {out}/inside.hgrm && "$@"'
        after = f"; code=$?; ls -A {out}; cat {out}/inside.hgrm; exit $code"
        command = (str(RINGROAD), "histograms", "--in", str(self.recording), "--out", str(out))
        process = self.spawn("edge", "unshare", "--mount", "sh", "-c", mount + after, "sh", *command)
        self.assertEqual(process.wait(10), 1)
        self.assertEqual(process.output(), "inside.hgrm\nold\n")
        self.assertEqual(len(process.errors().splitlines()), 1, process.errors())
        self.assertIn(f"{out}/", process.errors())
        self.assertIn("No space left", process.errors())

    def by_python(self, *logs):
        try:
            return hdr.read(*logs)
        except hdr.Unavailable as reason:
            self.skipTest(f"HdrHistogram for Python cannot be had: {reason}")

    def compare(self, theirs, ours):
        """What another implementation finds in our logs, beside our tables."""
        self.assertEqual(set(theirs), {name for name, table in ours.items() if table["total"]})
        for name, counts in theirs.items():
            table = ours[name]
            self.assertEqual(sum(count for _, count in counts), table["total"], name)
            self.assertEqual(counts[-1][0] / table["scale"], table["max"], name)
            for row in table["rows"]:
                self.assertIn(row, list(rows_at(counts, row[1], table["scale"])), name)
            for shown, level in zip(table["short"], (0.5, 0.9, 0.99, 0.999)):
                exact = [value for value, _, _ in rows_at(counts, level, table["scale"])]
                self.assertLess(min(abs(each - shown) for each in exact), 0.051, f"{name} {level}")

    def exchange(self, edge):
        """Connections that ask and are answered, all at one time."""
        listener = self.listen("origin", 9000)
        pairs = []
        for _ in range(CONNECTIONS):
            client = self.connect(9000)
            client.sendall(b"?")
            server = self.accept(listener)
            receive_exactly(server, 1)
            pairs.append((client, server))
        for _ in range(REQUESTS):
            for client, server in pairs:
                client.sendall(b"q" * 100)
                receive_exactly(server, 100)
                server.sendall(b"r" * 1000)
                receive_exactly(client, 1000)
        for client, server in pairs:
            client.close()
            server.close()
        wait_until(lambda: edge.stats()["services"][0]["connections"]["active"] == 0)

    def recorded_from_to(self):
        """When the first interval began, and the last ended."""
        recorded = intervals(self.recording)
        return recorded[0]["began"], recorded[-1]["ended"]

    def out(self, name):
        return Path(self.folder, name)

    def tables(self, short, name):
        """Each measure's table as it was written to a directory, with its line on the screen."""
        lines = {line.split()[0]: line.split()[1:] for line in short.splitlines()[1:]}
        tables = {path.stem: table(path.read_text()) for path in self.out(name).glob("*.hgrm")}
        self.assertEqual(set(lines), set(tables))
        for measure, (unit, count, *quantiles) in lines.items():
            tables[measure]["scale"] = 1000 if unit == "[µs]" else 1
            tables[measure]["short"] = [float(each) for each in quantiles[:4] if each != "-"]
            self.assertEqual(int(count), tables[measure]["total"], measure)
        return tables


class Trouble(EdgeCase):
    """A disk that fills up, and a directory that goes, under a running engine."""

    drivers = ("af_xdp",)

    def setUp(self):
        super().setUp()
        self.needs("ledger")
        self.recording = Path(self.folder, "recording")
        self.recording.mkdir()

    def small_disk(self, octets):
        """How a command is started that finds a disk of this size in place of the directory."""
        mount = f'mount -t tmpfs -o size={octets} none {self.recording} && exec "$@"'
        return ("unshare", "--mount", "sh", "-c", mount, "sh")

    def seen_by(self, edge):
        """The directory as the engine sees it."""
        return Path(f"/proc/{edge.pid}/root{self.recording}")

    def recorder(self, edge):
        return edge.stats()["recording"]

    def serves(self, listener):
        """Whether traffic is as ever."""
        client = self.connect(9000)
        client.sendall(b"ping")
        server = self.accept(listener)
        self.assertEqual(receive_exactly(server, 4), b"ping")
        for each in (client, server):
            each.close()

    def edge_on(self, octets):
        telemetry = {"directory": str(self.recording)}
        return self.edge(service(9000), telemetry=telemetry, pin=self.small_disk(octets))

    def test_disk_that_is_full_for_a_while(self):
        listener = self.listen("origin", 9000)
        with self.edge_on(256 << 10) as edge:
            wait_until(lambda: self.recorder(edge)["written"] >= 1)
            ballast = self.seen_by(edge) / "ballast"
            fill(ballast)
            wait_until(lambda: self.recorder(edge)["lost"] >= 2)
            self.serves(listener)
            self.assertEqual(edge.errors().count("No space left"), 1, edge.errors())
            complaint = next(line for line in edge.errors().splitlines() if "No space" in line)
            for word in (str(self.recording), "make room", "traffic is not affected"):
                self.assertIn(word, complaint)

            ballast.unlink()
            written = self.recorder(edge)["written"]
            wait_until(lambda: self.recorder(edge)["written"] >= written + 2)
            self.assertIn("recording goes on in", edge.errors())
            self.serves(listener)
            # What was whole is there, before and after.
            table = edge.histograms(Path(self.folder, "out"), "--in", str(self.seen_by(edge)))
            self.assertIn("inside", table)

    def test_directory_that_is_taken_away(self):
        with self.edge(service(9000), telemetry={"directory": str(self.recording)}) as edge:
            wait_until(lambda: self.recorder(edge)["written"] >= 1)
            for path in self.recording.iterdir():
                path.unlink()
            self.recording.rmdir()
            wait_until(lambda: self.recorder(edge)["lost"] >= 1)
            written = self.recorder(edge)["written"]
            wait_until(lambda: self.recorder(edge)["written"] > written)
            self.assertIn("it was removed", edge.errors())
            self.assertTrue(list(self.recording.glob("*.hlog")))


class Refused(RefusalCase):
    drivers = ("af_xdp",)

    def test_directory_that_cannot_be(self):
        Path(self.folder, "file").touch()
        telemetry = {"directory": f"{self.folder}/file/below"}
        said = ("telemetry.directory", telemetry["directory"], "Not a directory")
        self.refused(self.config(telemetry=telemetry), *said)

    def test_directory_that_is_read_only(self):
        recording = Path(self.folder, "recording")
        recording.mkdir()
        mount = f'mount -t tmpfs -o ro none {recording} && exec "$@"'
        prefix = ("unshare", "--mount", "sh", "-c", mount, "sh")
        said = ("telemetry.directory", str(recording), "Read-only", "choose another")
        self.refused(self.config(telemetry={"directory": str(recording)}), *said, prefix=prefix)


def table(text):
    """A percentile table as HdrHistogram prints it."""
    rows = [line.split() for line in text.splitlines()[2:] if not line.startswith("#")]
    maximum, total = re.search(r"#\[Max +=\s*([\d.]+), Total count +=\s*(\d+)\]", text).groups()
    return {
        "rows": [(float(row[0]), float(row[1]), int(row[2])) for row in rows],
        "max": float(maximum),
        "total": int(total),
    }


def rows_at(counts, level, scale):
    """What a table may say of a share: the value that so many are not above, the share, and how many
    these are. Shares are not exact: where one falls between two values, it may be either.
    """
    total = sum(count for _, count in counts)
    ranks = {max(1, math.ceil(level * total + slack)) for slack in (-1e-6, 1e-6)}
    below = 0
    for value, count in counts:
        if ranks & set(range(below + 1, below + count + 1)):
            yield round(value / scale, 3), level, below + count
        below += count


def fill(path):
    """Leaves no room on a disk."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 512)
        except OSError:
            pass


def wait_until(condition, seconds=15.0):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("it does not come about")
        time.sleep(0.05)
