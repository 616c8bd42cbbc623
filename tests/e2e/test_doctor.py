"""Is this host fit to run it? What the doctor says of a healthy edge, and of one that is not."""

import json
import re
import socket
from pathlib import Path

from harness.edge import RINGROAD, expect_traces, service, traces
from harness.lab import EGRESS_V4
from harness.refusal import RefusalCase

# Status, check, subject and message are columns.
LINE = re.compile(r"(ok|note|warning|FAILURE) +([a-z-]+)  ( *\S.*)")


class Doctor(RefusalCase):
    drivers = ("af_xdp",)

    def config(self, *services, **how):
        config = super().config(*services, **how)
        # The metrics' default port is the machine's to use, not the lab's alone.
        config["admin"]["metrics"] = "off"
        return config

    def doctor(self, config, *options, code=0, prefix=()):
        """What the doctor prints about the edge; it must have changed nothing."""
        arguments = ["--config", str(self.write(config)), *options] if config else options
        before = traces(self.lab)
        process = self.spawn("edge", *prefix, str(RINGROAD), "doctor", *arguments)
        self.assertEqual(process.wait(10), code, process.output() + process.errors())
        self.assertEqual(process.errors(), "")
        expect_traces(self.lab, before)
        return process.output()

    def diagnose(self, config, **how):
        """The findings of the doctor."""
        diagnosis = json.loads(self.doctor(config, "--json", **how))
        self.assertEqual(diagnosis["fit"], how.get("code", 0) == 0)
        return diagnosis["findings"]

    def found(self, findings, check, status, *words, subject=None):
        """One of `findings` is of this check and status, and has all of `words` in it."""
        for each in findings:
            said = f"{each['message']} {each['fix']}"
            if (each["check"], each["status"]) == (check, status) and (
                subject in (None, each["subject"]) and all(word in said for word in words)
            ):
                return
        self.fail(f"no {status} {check} {words}:\n{json.dumps(findings, indent=1)}")

    def test_healthy_edge(self):
        text = self.doctor(self.config())
        self.assertRegex(text.splitlines()[-1], r"^fit to run")
        self.assertNotIn("FAILURE", text)
        self.assertFalse(self.socket.exists())
        # And so it does run.
        with self.edge(service(80)):
            pass

    def test_json_says_what_the_text_says(self):
        config = self.config(ports=self.lab.driver.ports(lan="nosuch0"))
        text = self.doctor(config, code=1)
        findings = self.diagnose(config, code=1)
        lines = [LINE.fullmatch(line) for line in text.splitlines()]
        lines = [line.groups() for line in lines if line]
        self.assertEqual(len(lines), len(findings), text)
        for (status, check, rest), each in zip(lines, findings):
            self.assertEqual((status.lower(), check), (each["status"], each["check"]))
            self.assertTrue(rest.endswith(each["message"]), rest)
            self.assertIn(each["subject"] or "", rest)
            self.assertEqual(each["status"] == "ok", each["fix"] is None, each)
            if each["fix"]:
                self.assertIn(f"→ {each['fix']}\n", text)
        failures = sum(each["status"] == "failure" for each in findings)
        self.assertTrue(text.splitlines()[-1].startswith(f"would not start: {failures}"), text)

    def test_host_without_a_configuration(self):
        findings = self.diagnose(None)
        self.found(findings, "cores", "ok")
        self.found(findings, "kernel", "ok", "AF_XDP")

    def test_invalid_configuration(self):
        process = self.spawn(
            "edge", str(RINGROAD), "doctor", "--config", self.write("ports: [{ interfce: wan0 }]\n")
        )
        self.assertEqual(process.wait(10), 2)
        self.assertIn("edge.yaml:1:", process.errors())
        self.assertEqual(process.output(), "")

    def test_sides_of_different_mtus(self):
        self.lab.ip("edge", "link set wan0 mtu 1400")
        self.addCleanup(self.lab.ip, "edge", "link set wan0 mtu 1500")
        found = self.diagnose(self.config())
        self.found(found, "mtu-match", "warning", "1400", "wan0", "1500", "lan0", subject="web")

    def test_mtu_beyond_a_frame(self):
        self.lab.ip("edge", "link set wan0 mtu 9000")
        self.addCleanup(self.lab.ip, "edge", "link set wan0 mtu 1500")
        found = self.diagnose(self.config(), code=1)
        self.found(found, "mtu", "failure", "9000", "ip link set wan0 mtu", subject="wan0")

    def test_interface_that_is_missing(self):
        config = self.config(ports=self.lab.driver.ports(lan="lan1"))
        found = self.diagnose(config, code=1)
        self.found(found, "interface", "failure", 'did you mean "lan0"?', subject="lan1")

    def test_interface_that_is_down(self):
        self.lab.ip("edge", "link add down0 type veth peer name down1")
        self.addCleanup(self.lab.ip, "edge", "link del down0")
        found = self.diagnose(self.config(ports=self.lab.driver.ports(lan="down0")), code=1)
        self.found(found, "interface", "failure", "ip link set down0 up", subject="down0")
        # Its other end is here, and veth leaves checksums undone unless told not to.
        self.found(found, "peer-checksums", "warning", "down1", "tx off", subject="down0")
        self.lab.run("edge", "ethtool", "-K", "down1", "tx", "off")
        found = self.diagnose(self.config(ports=self.lab.driver.ports(lan="down0")), code=1)
        self.found(found, "peer-checksums", "ok", subject="down0")

    def test_interface_with_several_queues(self):
        self.lab.ip(
            "edge",
            "link add many0 numrxqueues 2 numtxqueues 2 type veth peer name many1",
            "link set many0 up",
            "link set many1 up",
        )
        self.addCleanup(self.lab.ip, "edge", "link del many0")
        found = self.diagnose(self.config(ports=self.lab.driver.ports(lan="many0")), code=1)
        advice = "ethtool -L many0 rx 1"
        self.found(found, "receive-queues", "failure", "2 queues", advice, subject="many0")
        # The advice alone leaves it without XDP, as its other end sends on two.
        self.lab.run("edge", *advice.split())
        found = self.diagnose(self.config(ports=self.lab.driver.ports(lan="many0")), code=1)
        self.found(found, "receive-queues", "ok", subject="many0")
        self.found(found, "xdp-support", "warning", "PEER tx 1", subject="many0")
        self.lab.run("edge", "ethtool", "-L", "many1", "tx", "1")
        found = self.diagnose(self.config(ports=self.lab.driver.ports(lan="many0")), code=1)
        self.found(found, "xdp-support", "ok", "native", subject="many0")

    def test_mode_that_the_interface_cannot_do(self):
        config = self.config()
        config["ports"][0]["xdp_mode"] = "zero-copy"
        found = self.diagnose(config, code=1)
        self.found(found, "xdp-support", "failure", "veth", "zero-copy", subject="wan0")

    def test_program_of_somebody_else(self):
        self.attach_foreign_xdp("lan0")
        found = self.diagnose(self.config(), code=1)
        self.found(found, "xdp-program", "failure", "pass_all", "lan0 xdp off", subject="lan0")

    def test_address_that_is_not_the_edges(self):
        text = json.dumps(self.config()).replace(EGRESS_V4, "10.10.2.77")
        found = self.diagnose(text, code=1)
        advice = "ip addr add 10.10.2.77/32 dev lan0"
        self.found(found, "egress-address", "failure", advice, subject="web")

    def test_egress_port_that_linux_does_not_route_by(self):
        config = self.config()
        config["services"][0]["egress"]["port"] = "wan"
        self.found(self.diagnose(config, code=1), "origin-route", "failure", "by lan0")

    def test_source_port_that_a_program_of_linux_has(self):
        with self.lab.inside("edge"):
            taken = socket.create_server((EGRESS_V4, 20005))
        self.addCleanup(taken.close)
        found = self.diagnose(self.config(), code=1)
        words = (f"{EGRESS_V4}:20005", "LISTEN")
        self.found(found, "source-ports", "failure", *words, subject=EGRESS_V4)

    def test_source_ports_that_are_reserved_for_another(self):
        reserve = ("sysctl", "-qw")
        self.lab.run("edge", *reserve, "net.ipv4.ip_local_reserved_ports=20010-20012")
        self.addCleanup(self.lab.run, "edge", *reserve, "net.ipv4.ip_local_reserved_ports=")
        self.found(self.diagnose(self.config()), "source-ports", "note", "3 of 20000-59999")

    def test_core_that_is_missing(self):
        config = self.config(engine={"cores": [4000]})
        self.found(self.diagnose(config, code=1), "core", "failure", subject="core 4000")

    def test_privilege_that_is_missing(self):
        prefix = ("setpriv", "--bounding-set", "-net_raw")
        found = self.diagnose(self.config(), code=1, prefix=prefix)
        self.found(found, "capabilities", "failure", "CAP_NET_RAW")

    def test_metrics_address_that_is_taken(self):
        with self.lab.inside("edge"):
            taken = socket.create_server(("127.0.0.1", 9464))
        self.addCleanup(taken.close)
        config = self.config()
        config["admin"]["metrics"] = "127.0.0.1:9464"
        self.found(self.diagnose(config, code=1), "metrics", "failure", subject="127.0.0.1:9464")
        # Nobody asked for the same address where it is the default.
        del config["admin"]["metrics"]
        self.found(self.diagnose(config), "metrics", "warning", subject="127.0.0.1:9464")

    def test_engine_that_runs_already(self):
        """What it has taken does not count against the host, unless it is another's."""
        with self.edge(service(80)):
            self.found(self.diagnose(self.config()), "engine", "note", subject=str(self.socket))
            self.socket = self.socket.with_suffix(".second")
            found = self.diagnose(self.config(), code=1)
            self.found(found, "xdp-program", "failure", "another ringroad", subject="wan0")
