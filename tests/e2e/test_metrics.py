"""What Prometheus makes of the metrics, and of the alerts and the dashboard that come with them."""

import json
import math
import re
import shutil
import threading
import time
import unittest
from dataclasses import replace
from pathlib import Path

from harness.arrangement import RUN_TO_COMPLETION
from harness.case import EdgeCase
from harness.edge import service
from harness.lab import EDGE_V4, ORIGIN_V4
from harness.prometheus import Prometheus, get, promtool
from harness.threads import halted, polling_threads

SHIPPED = Path("dist/prometheus").absolute()
DASHBOARD = Path("dist/grafana/ringroad.json").absolute()

METRICS = "127.0.0.1:9464"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}

# A series that an expression asks for.
SELECTOR = re.compile(r"\b((?:ringroad_\w+|up)(?:\{[^}]*\})?)")


class Files(unittest.TestCase):
    """What is shipped, by itself."""

    drivers = ("af_xdp",)
    arrangements = (RUN_TO_COMPLETION.name,)

    def test_prometheus_takes_the_configuration_and_the_rules(self):
        promtool("check", "config", SHIPPED / "prometheus.yml")
        promtool("check", "rules", SHIPPED / "alerts.yml")

    def test_each_alert_fires_when_it_should_and_not_before(self):
        promtool("test", "rules", SHIPPED / "alerts_test.yml")
        tested = (SHIPPED / "alerts_test.yml").read_text()
        for alert in re.findall(r"- alert: (\w+)", (SHIPPED / "alerts.yml").read_text()):
            self.assertIn(f'alertname="{alert}"', tested)

    def test_dashboard_is_laid_out_without_overlaps(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = {}
        for panel in panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), taken, f"{panel['title']} on {taken.get((x, y))}")
                    taken[x, y] = panel["title"]


class MetricsCase(EdgeCase):
    # One driver's are like the other's.
    drivers = ("af_xdp",)

    def setUp(self):
        super().setUp()
        self.needs("configuration")
        self.nginx(f"server {{ listen 80; root {self.folder}; }}")
        self.random_file(1 << 20)

    def some_traffic(self):
        for _ in range(3):
            self.curl("-o", "/dev/null", f"http://{EDGE_V4}/content")

    def scrape(self, headers=None):
        """A page of metrics, and its type."""
        with get(self.lab, METRICS, "/metrics", headers) as response:
            self.assertEqual(response.status, 200)
            return response.read().decode(), response.headers["Content-Type"]


class Scrapes(MetricsCase):
    # What is scraped is the same however the engine lies.
    arrangements = (RUN_TO_COMPLETION.name,)

    def test_promtool_has_nothing_against_the_page(self):
        with self.edge(service(80)):
            self.some_traffic()
            began = time.perf_counter()
            page, kind = self.scrape()
            took = time.perf_counter() - began
            self.assertIn("text/plain; version=0.0.4", kind)
            promtool("check", "metrics", input=page)
            page, kind = self.scrape(OPENMETRICS)
            self.assertIn("application/openmetrics-text; version=1.0.0", kind)
            self.assertTrue(page.endswith("\n# EOF\n"))
        print(f"    a scrape: {len(page)} octets, {took * 1e3:.1f} ms")

    def test_histogram_is_what_stats_says(self):
        with self.edge(service(80)) as edge:
            self.some_traffic()
            latency = edge.stats()["latency"]
            page, _ = self.scrape()
        self.assertGreater(latency["count"], 100)
        self.assertEqual(value(page, "ringroad_inside_seconds_count"), latency["count"])
        for quantile, name in ((0.5, "p50_us"), (0.99, "p99_us")):
            rank = math.ceil(quantile * latency["count"])
            bounds = [
                (float(bound), int(count))
                for bound, count in re.findall(r'inside_seconds_bucket\{le="(.*)"\} (\d+)', page)
            ]
            upper = next(bound for bound, count in bounds if count >= rank)
            lower = max((bound for bound, count in bounds if count < rank), default=0)
            self.assertLessEqual(lower, latency[name] / 1e6)
            self.assertLessEqual(latency[name] / 1e6, upper * 1.001)

    def test_each_of_two_origins_has_its_own_figures(self):
        """One listens; the other is tried in turn, and found down at its third handshake."""
        there, gone = f"{ORIGIN_V4}:80", f"{ORIGIN_V4}:81"
        with self.edge(replace(service(80), origins=(there, gone))) as edge:
            self.some_traffic()
            self.some_traffic()
            idle = self.connect(80)
            self.expect_origins(
                edge,
                {"address": there, "active": 1, "opened": 7, "failed": 0, "health": "up"},
                {"address": gone, "active": 0, "opened": 0, "failed": 3, "health": "down"},
            )
            page, _ = self.scrape()
            for origin, up, active, opened, failed in ((there, 1, 1, 7, 0), (gone, 0, 0, 0, 3)):
                labels = f'service="web",origin="{origin}"'
                connections = f"ringroad_origin_connections_total{{{labels},outcome="
                self.assertEqual(value(page, f"ringroad_origin_up{{{labels}}}"), up)
                self.assertEqual(
                    value(page, f"ringroad_origin_connections_active{{{labels}}}"), active
                )
                self.assertEqual(value(page, f'{connections}"opened"}}'), opened)
                self.assertEqual(value(page, f'{connections}"failed"}}'), failed)
            idle.close()

    def expect_origins(self, edge, *expected, seconds=5):
        """Waits until the origins of the service are these, with their figures."""
        until = time.monotonic() + seconds
        while True:
            origins = edge.stats()["services"][0]["origins"]
            flat = [{**each.pop("connections"), **each} for each in origins]
            if flat == list(expected):
                return
            self.assertLess(time.monotonic(), until, flat)
            time.sleep(0.02)

    def test_engine_that_hangs_is_said_to(self):
        """To all who ask meanwhile, without each of them having to wait for it."""
        with self.edge(service(80)) as edge:
            ((name, tid),) = polling_threads(edge.pid).items()
            answers = []
            with halted(tid):
                began = time.monotonic()
                asking = [threading.Thread(target=self.ask, args=(answers,)) for _ in range(4)]
                for each in asking:
                    each.start()
                for each in asking:
                    each.join()
                took = time.monotonic() - began
            self.assertEqual(len(answers), 4)
            for status, body in answers:
                self.assertEqual(status, 503)
                self.assertRegex(body, rf"\A{name} .*hangs.*\n\Z")
            self.assertLess(took, 4, "one after the other")
            self.wait_for_page()
            page, _ = self.scrape()
            self.assertGreaterEqual(value(page, f'ringroad_core_stalls_total{{core="{name}"}}'), 1)

    def ask(self, answers):
        with get(self.lab, METRICS, "/metrics") as response:
            answers.append((response.status, response.read().decode()))

    def wait_for_page(self, seconds=5):
        until = time.monotonic() + seconds
        while True:
            answers = []
            self.ask(answers)
            if answers[0][0] == 200:
                return
            self.assertLess(time.monotonic(), until, answers)


class RealPrometheus(MetricsCase):
    """It scrapes the edge, loads the alerts, and has what they and the dashboard ask for."""

    # Where cores wait for each other, and so have rings with something in them.
    arrangements = ("pipeline",)
    time_limit = 120

    def test_each_query_of_the_dashboard_and_of_the_alerts_has_an_answer(self):
        with self.edge(service(80), telemetry={"directory": f"{self.folder}/record"}) as edge:
            # The census of connections is to find one.
            idle = self.connect(80)
            prometheus = Prometheus(self, self.configuration())
            for _ in range(4):
                self.some_traffic()
                self.wait_for_scrape(prometheus)
            # Connections are counted every ten seconds at most, the first time before there was one.
            counted = "ringroad_congestion_connections"
            prometheus.wait_until(lambda: prometheus.query(counted), "counted")
            self.assertEqual([each["health"] for each in prometheus.targets()], ["up"])
            self.assert_typed(prometheus)
            rules = prometheus.rules()
            self.assertGreater(len(rules), 10)
            for rule in rules:
                self.assertEqual(rule["health"], "ok", rule)
                self.assertNotEqual(rule["state"], "firing", rule)
                for selector in SELECTOR.findall(rule["query"]):
                    self.assert_answered(prometheus, selector, rule["name"])
            for title, expression in queries(dashboard()):
                self.assert_answered(prometheus, expression, title)
            for name, selector, label in variables(dashboard()):
                (first, *_) = self.assert_answered(prometheus, selector, name)
                self.assertIn(label, first["metric"])
            self.some_traffic()
            accepted = edge.stats()["services"][0]["connections"]["accepted"]
            self.wait_for_scrape(prometheus)
            counted = prometheus.query('ringroad_connections_total{outcome="accepted"}')
            self.assertEqual([int(each["value"][1]) for each in counted], [accepted])
            idle.close()

    def configuration(self):
        """The shipped one, in a hurry."""
        folder = Path(self.folder, "prometheus")
        shutil.copytree(SHIPPED, folder)
        path = folder / "prometheus.yml"
        shipped = path.read_text()
        hurried = shipped.replace("_interval: 15s", "_interval: 200ms")
        self.assertNotEqual(hurried, shipped)
        path.write_text(hurried)
        return path

    def wait_for_scrape(self, prometheus):
        """Until one is in that began after now."""
        now = time.time()

        def scraped():
            samples = prometheus.query("timestamp(ringroad_start_time_seconds)")
            return any(float(each["value"][1]) > now for each in samples)

        prometheus.wait_until(scraped, "scraped")

    def assert_typed(self, prometheus):
        """Units are told in OpenMetrics alone: so it is that which was read."""
        (metadata, *_) = prometheus.metadata("ringroad_inside_seconds")
        self.assertEqual((metadata["type"], metadata["unit"]), ("histogram", "seconds"))

    def assert_answered(self, prometheus, expression, where):
        answer = prometheus.query(expression)
        self.assertTrue(answer, f"{where}: nothing for {expression}")
        return answer


def dashboard():
    return json.loads(DASHBOARD.read_text())


def queries(dashboard):
    """All that its panels ask, with their titles."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], filled_in(target["expr"])
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], filled_in(annotation["expr"])


def variables(dashboard):
    """All that its variables are filled with: their names, what has them as a label, and that."""
    for each in dashboard["templating"]["list"]:
        if each["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", each["definition"]).groups()
            yield each["name"], filled_in(selector), label


def filled_in(expression):
    """As Grafana asks it, but for what is only left out when it is zero."""
    for variable, choice in (
        ("$__rate_interval", "10s"),
        ("$job", "ringroad"),
        ("$instance", ".+"),
        ("$service", ".+"),
    ):
        expression = expression.replace(variable, choice)
    if "$" in expression:
        raise AssertionError(f"a variable that nobody knows: {expression}")
    return expression.removesuffix(" > 0")


def value(page, sample):
    """Of a sample on a page."""
    (found,) = re.findall(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE)
    return float(found)
