"""A recording as a page: whole, sufficient to itself, with the figures that others show, and as a browser
takes it."""

import re
import shutil
import struct
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

from harness.arrangement import RUN_TO_COMPLETION
from harness.case import EdgeCase
from harness.edge import RINGROAD, service
from harness.lab import EDGE_V4
from harness.programs import wrk
from harness.recording import intervals

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECTIONS = ["findings", "latency", "traffic", "cores", "percentiles", "services"]
FIGURES = 13
# Of a network that loses nothing there may be nothing to draw: drops, and what was sent again.
MAY_BE_EMPTY = 2
# All that may begin with "http": what SVG is called, and never fetched.
SVG = "http://www.w3.org/2000/svg"


class Report(EdgeCase):
    # A recording is the same whatever drives the ports.
    drivers = ("af_xdp",)
    arrangements = (RUN_TO_COMPLETION.name,)

    def setUp(self):
        super().setUp()
        self.needs("ledger")
        self.recording = Path(self.folder, "recording")
        self.out = Path(self.folder, "report.html")

    def record(self, seconds):
        """Has an edge under load record itself; what `ringroad histograms` then says."""
        self.nginx('server { listen 80; location / { return 200 "x"; } }')
        with self.edge(service(80), telemetry={"directory": str(self.recording)}) as edge:
            wrk(self.lab, f"http://{EDGE_V4}/", seconds, connections=16)
            wait_until(lambda: len(intervals(self.recording)) >= seconds)
        return edge.histograms(Path(self.folder, "tables"), "--in", str(self.recording))

    def report(self):
        """The page of what was recorded."""
        command = (str(RINGROAD), "report", "--in", str(self.recording), "--out", str(self.out))
        self.assertEqual(self.lab.run("edge", *command), "")
        return Page(self.out.read_text())

    def test_page_of_a_run(self):
        table = self.record(3)
        page = self.report()
        self.assertEqual(page.unclosed, [])
        self.assertEqual(page.sections, SECTIONS)
        self.assertEqual(page.figures, FIGURES)
        self.assert_sufficient_to_itself(page)
        self.assert_plots_are_drawn(page)
        self.assert_figures_agree(page, table)
        self.assert_says_where_it_cannot_write()

    def test_browser_has_nothing_to_complain_of(self):
        browser = next(filter(shutil.which, BROWSERS), None)
        if browser is None:
            self.skipTest(f"there is no browser to look at the page ({', '.join(BROWSERS)})")
        self.record(2)
        self.report()
        for width, height in ((1280, 4000), (500, 7000)):
            self.look(browser, width, height)

    def assert_says_where_it_cannot_write(self):
        for out in (self.folder, "/proc/report.html", f"{self.out}/below.html"):
            command = (str(RINGROAD), "report", "--in", str(self.recording), "--out", out)
            process = self.spawn("edge", *command)
            self.assertEqual(process.wait(20), 1)
            self.assertRegex(process.errors(), rf"^ringroad: cannot write {re.escape(out)}: .*\n$")

    def assert_sufficient_to_itself(self, page):
        self.assertEqual(page.references, [])
        self.assertNotIn("script", page.tags)
        self.assertEqual(set(re.findall(r"https?:[^\"' ]+", page.text)), {SVG})
        self.assertNotRegex(page.text, r"url\(|@import")
        self.assertLess(len(page.text), 2_000_000)

    def assert_plots_are_drawn(self, page):
        drawn = re.findall(r"<svg .*?</svg>", page.text, re.DOTALL)
        self.assertEqual(len(drawn) + len(page.nothing), FIGURES)
        self.assertLessEqual(len(page.nothing), MAY_BE_EMPTY, page.nothing)
        for svg in drawn:
            picture = ElementTree.fromstring(svg)
            width, height = (int(picture.get(side)) for side in ("width", "height"))
            for line in picture.iter(f"{{{SVG}}}polyline"):
                points = [tuple(map(int, each.split(","))) for each in line.get("points").split()]
                for x, y in points:
                    self.assertTrue(0 <= x <= width and 0 <= y <= height, (x, y))
            self.assertTrue(list(picture.iter(f"{{{SVG}}}title")), "nothing is told of it")

    def assert_figures_agree(self, page, table):
        """Head and table say what `ringroad histograms` does."""
        lines = {line.split()[0]: line.split()[1:] for line in table.splitlines()[1:]}
        self.assertEqual(set(page.measures), set(lines))
        for name, (unit, count, *shown) in lines.items():
            scale, digits = (1000, 1) if unit == "[µs]" else (1, 0)
            values = page.measures[name]
            self.assertEqual(values[0], int(count), name)
            if values[0] == 0:
                continue
            p50, p90, p99, p999, _, most, _ = (f"{each / scale:.{digits}f}" for each in values[1:])
            self.assertEqual([p50, p90, p99, p999, most], shown, name)
        inside = page.measures["inside"]
        self.assertEqual(page.head, [inside[1], inside[3], inside[4], inside[6]])

    def look(self, browser, width, height):
        """Has a browser draw the page in a window of this size; its console stays empty."""
        picture = Path(self.folder, f"{width}.png")
        command = (
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--enable-logging=stderr", f"--user-data-dir={self.folder}/browser",
            f"--window-size={width},{height}", f"--screenshot={picture}", f"file://{self.out}",
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=40)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("CONSOLE", done.stderr)
        with open(picture, "rb") as file:
            size = struct.unpack(">II", file.read(24)[16:])
        self.assertEqual(size, (width, height))


class Page(HTMLParser):
    """What a test wants to know of a page."""

    VOID = ("meta",)

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.tags, self.unclosed = set(), []
        self.sections, self.references, self.nothing = [], [], []
        self.figures = 0
        # Values of each measure's row, and of the head.
        self.measures, self.head = {}, []
        self._row = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        self.references += [attributes[each] for each in ("href", "src") if each in attributes]
        if tag not in self.VOID:
            self.unclosed.append(tag)
        if tag == "section":
            self.sections.append(attributes["id"])
        if tag == "figure":
            self.figures += 1
        if tag == "tr":
            name = attributes.get("id", "").removeprefix("measure-")
            self._row = self.measures.setdefault(name, []) if name else None
        if tag == "data":
            row = self.head if "dl" in self.unclosed else self._row
            if row is not None:
                row.append(float(attributes["value"]))

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        if self.unclosed[-1:] != [tag]:
            raise AssertionError(f"</{tag}> after <{'<'.join(self.unclosed)}>")
        self.unclosed.pop()

    def handle_data(self, data):
        if data.startswith("Nothing to draw"):
            self.nothing.append(data)


def wait_until(condition, seconds=15.0):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("it does not come about")
        time.sleep(0.05)
