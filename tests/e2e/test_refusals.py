"""What the engine cannot or must not do: it says so in one line, and has changed nothing."""

import json
import shutil
import signal
import socket
from pathlib import Path

from harness.driver import xdp_attached
from harness.edge import RINGROAD, configuration, expect_traces, service, traces
from harness.lab import EDGE_V4, EGRESS_V4, ORIGIN_V4
from harness.refusal import NOBODY, RefusalCase
from harness.sockets import receive_exactly

CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON")


class Refusals(RefusalCase):
    # What is said of DPDK ports alone is in test_dpdk.py; the rest would be the same twice.
    drivers = ("af_xdp",)

    def test_missing_file(self):
        missing = f"{self.folder}/missing.yaml"
        process = self.spawn("edge", str(RINGROAD), "run", "--config", missing)
        self.assertIn(process.wait(10), (1, 2))
        self.assertIn(missing, process.errors())
        self.assertEqual(len(process.errors().splitlines()), 1, process.errors())

    def test_unknown_key_is_named_with_its_place(self):
        text = json.dumps(self.config(service(80, max_conections=10)), indent=2)
        line = next(n for n, each in enumerate(text.splitlines(), 1) if "max_conections" in each)
        self.refused(text, "max_connections", f"edge.yaml:{line}:", codes=(2,))

    def test_not_yaml(self):
        self.refused("ports: [", "edge.yaml:", codes=(2,))

    def test_bad_listen_address(self):
        text = json.dumps(self.config(), indent=2).replace(f"{EDGE_V4}:80", "10.10.1.256:80")
        self.refused(text, "10.10.1.256", codes=(2,))

    def test_address_of_two_services(self):
        config = self.config(service(80, "one"), service(81, "two"))
        config["services"][1]["listen"] = [f"{EDGE_V4}:80"]
        self.refused(config, "one", f"{EDGE_V4}:80", codes=(2,))

    def test_source_ports_that_a_service_listens_on(self):
        """Replies to a connection of ours and packets of a client's would look the same."""
        config = self.config(service(80, "one"), service(81, "two"))
        config["services"][1]["listen"] = [f"{EGRESS_V4}:30000"]
        config["services"][1]["egress"]["source_ports"] = "40000-49999"
        self.refused(config, "one", f"{EGRESS_V4}:30000", codes=(2,))

    def test_shield_that_contradicts_itself(self):
        prefix = "192.0.2.0/24"
        lists = {"deny": ["198.51.100.0/24", prefix], "allow": [prefix]}
        self.refused(self.config(shield=lists), prefix, '"deny"', "once", codes=(2,))

    def test_shield_whose_limits_let_nothing_through(self):
        for key, limits in (("syn_per_second", {"burst": 10}), ("burst", {"syn_per_second": 10})):
            shield = {"per_source": {**limits, key: 0}}
            self.refused(self.config(shield=shield), f'"{key}" cannot be "0"', codes=(2,))

    def test_shield_with_prefixes_that_cannot_be(self):
        for key, length in (("prefix_v4", 33), ("prefix_v6", 129)):
            shield = {"per_source": {"syn_per_second": 10, key: length}}
            said = (f'"{key}" cannot be "{length}"', "edge.yaml:")
            self.refused(self.config(shield=shield), *said, codes=(2,))
        for prefix in ("10.0.0.0/33", "2001:db8::/129", "10.0.0.1/8"):
            self.refused(self.config(shield={"deny": [prefix]}), prefix, codes=(2,))

    def test_missing_interface(self):
        config = self.config(ports=self.lab.driver.ports(lan="nosuch0"))
        self.refused(config, "nosuch0")

    def test_address_that_is_not_the_edges(self):
        text = json.dumps(self.config(), indent=2).replace(f"{EDGE_V4}:80", "10.10.1.77:80")
        self.refused(text, "10.10.1.77")

    def test_egress_port_that_linux_does_not_route_by(self):
        config = self.config()
        config["services"][0]["egress"]["port"] = "wan"
        self.refused(config, "egress.port", "lan0", f"{ORIGIN_V4}:80")

    def test_interface_with_several_queues(self):
        self.lab.ip(
            "edge",
            "link add many0 numrxqueues 2 numtxqueues 2 type veth peer name many1",
            "link set many0 up",
            "link set many1 up",
        )
        self.addCleanup(self.lab.ip, "edge", "link del many0")
        config = self.config(ports=self.lab.driver.ports(wan="many0"))
        advice = "ethtool -L many0 rx 1"
        self.refused(config, '"wan"', "2 queues", advice)

    def test_queues_that_the_interface_has_not(self):
        ports = [{**port, "queues": 2} for port in self.lab.driver.ports()]
        advice = ('"queues: 1"', "ethtool -L wan0")
        self.refused(self.config(ports=ports), '"wan"', "1 queue,", "2 are polled", *advice)

    def test_more_lanes_than_queues(self):
        engine = {"arrangement": "run-to-completion", "cores": [0, 1]}
        said = ("edge.yaml:", "core 1 has no queue", '"wan" has 1', "pipeline")
        self.refused(self.config(engine=engine), *said, codes=(2,))

    def test_pipeline_of_one_core(self):
        engine = {"arrangement": "pipeline", "cores": [0]}
        self.refused(self.config(engine=engine), "edge.yaml:", "pipeline", "one core", codes=(2,))

    def test_too_few_frames(self):
        self.refused(self.config(engine={"frames": 64}), "frames")

    def test_metrics_address_that_is_taken(self):
        with self.lab.inside("edge"):
            taken = socket.create_server(("127.0.0.1", 9464))
        self.addCleanup(taken.close)
        config = self.config()
        config["admin"]["metrics"] = "127.0.0.1:9464"
        said = ("admin.metrics", "127.0.0.1:9464", "in use")
        self.refused(config, *said)
        # Nobody asked for the same address where it is the default.
        with self.edge(service(80)) as edge:
            warning = edge.errors()
            for word in said:
                self.assertIn(word, warning)

    def test_missing_core(self):
        self.refused(self.config(engine={"cores": [4000]}), "4000")

    def test_no_privileges(self):
        how = {"prefix": NOBODY, "binary": self.binary_for_nobody()}
        self.refused(self.config(), *CAPABILITIES, **how)

    def test_one_privilege_missing(self):
        for missing in CAPABILITIES:
            # CAP_SYS_ADMIN would stand for two of them.
            dropped = "-sys_admin,-" + missing.removeprefix("CAP_").lower()
            without = ("setpriv", "--bounding-set", dropped)
            complaint = self.refused(self.config(), missing, prefix=without)
            for other in set(CAPABILITIES) - {missing}:
                self.assertNotIn(other, complaint)

    def test_nobody_with_the_privileges_serves(self):
        granted = ",".join("+" + name.removeprefix("CAP_").lower() for name in CAPABILITIES)
        granted += ",+ipc_lock"
        prefix = (*NOBODY, "--inh-caps", granted, "--ambient-caps", granted)
        listener = self.listen("origin", 80)
        path = Path(self.folder, "edge.yaml")
        path.write_text(json.dumps(self.config()))
        binary = self.binary_for_nobody()
        shutil.chown(self.folder, 65534)
        before = traces(self.lab)
        process = self.spawn("edge", *prefix, str(binary), "run", "--config", str(path))
        process.wait_for(lambda: "ready" in process.errors(), "ready")
        client = self.connect(80)
        client.sendall(b"?")
        server = self.accept(listener)
        self.assertEqual(receive_exactly(server, 1), b"?")
        for each in (client, server):
            each.close()
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0, process.errors())
        expect_traces(self.lab, before)

    def test_program_of_somebody_else_stays(self):
        self.attach_foreign_xdp("lan0")
        foreign = xdp_attached(self.lab, "lan0")
        self.assertIsNotNone(foreign)
        self.refused(self.config(), "lan0")
        self.assertEqual(xdp_attached(self.lab, "lan0"), foreign)
        self.assertIsNone(xdp_attached(self.lab, "wan0"))

    def test_second_engine_on_the_same_interfaces(self):
        with self.edge(service(80)) as edge:
            attached = xdp_attached(self.lab, "wan0")
            second = self.socket.with_suffix(".second")
            other = configuration((service(81),), second, self.lab.driver.ports())
            path = Path(self.folder, "second.yaml")
            path.write_text(json.dumps(other))
            process = self.spawn("edge", str(RINGROAD), "run", "--config", str(path))
            self.assertIn(process.wait(10), (1, 2))
            self.assertEqual(len(process.errors().splitlines()), 1, process.errors())
            self.assertEqual(xdp_attached(self.lab, "wan0"), attached)
            self.assertEqual(edge.stats()["services"][0]["name"], "web")
