"""What the engine cannot or must not do: it says so in one line, and has changed nothing."""

import json
import shutil
import signal
import socket
from pathlib import Path

from harness.case import EdgeCase
from harness.edge import RINGROAD, configuration, service, xdp_attached
from harness.lab import EDGE_V4, EGRESS_V4, ORIGIN_V4
from harness.sockets import receive_exactly

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON")


class Refusals(EdgeCase):
    def setUp(self):
        super().setUp()
        self.needs("configuration")
        self.socket = Path(self.folder, "ringroad.sock")

    def refused(self, config, *words, codes=(1, 2), prefix=(), binary=RINGROAD):
        """`run` ends by itself, with one line on standard error that has all of `words` in it."""
        path = Path(self.folder, "edge.yaml")
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2))
        reserved = self.reserved_ports()
        process = self.spawn("edge", *prefix, str(binary), "run", "--config", str(path))
        self.assertIn(process.wait(10), codes, process.errors())
        complaint = process.errors()
        self.assertEqual(len(complaint.splitlines()), 1, complaint)
        for word in words:
            self.assertIn(word, complaint)
        self.assertNotIn("panicked", complaint)
        self.assertEqual(self.reserved_ports(), reserved)
        self.assertFalse(self.socket.exists(), "the admin socket stayed")
        return complaint

    def refused_and_nothing_attached(self, config, *words, **how):
        self.refused(config, *words, **how)
        for interface in ("wan0", "lan0"):
            self.assertIsNone(xdp_attached(self.lab, interface), interface)

    def reserved_ports(self):
        return self.lab.run("edge", "sysctl", "-n", "net.ipv4.ip_local_reserved_ports")

    def config(self, *services, **how):
        return configuration(services or (service(80),), self.socket, **how)

    def test_missing_file(self):
        missing = f"{self.folder}/missing.yaml"
        process = self.spawn("edge", str(RINGROAD), "run", "--config", missing)
        self.assertIn(process.wait(10), (1, 2))
        self.assertIn(missing, process.errors())
        self.assertEqual(len(process.errors().splitlines()), 1, process.errors())

    def test_unknown_key_is_named_with_its_place(self):
        text = json.dumps(self.config(service(80, max_conections=10)), indent=2)
        line = next(n for n, each in enumerate(text.splitlines(), 1) if "max_conections" in each)
        self.refused_and_nothing_attached(text, "max_connections", f"edge.yaml:{line}:", codes=(2,))

    def test_not_yaml(self):
        self.refused_and_nothing_attached("ports: [", "edge.yaml:", codes=(2,))

    def test_bad_listen_address(self):
        text = json.dumps(self.config(), indent=2).replace(f"{EDGE_V4}:80", "10.10.1.256:80")
        self.refused_and_nothing_attached(text, "10.10.1.256", codes=(2,))

    def test_address_of_two_services(self):
        config = self.config(service(80, "one"), service(81, "two"))
        config["services"][1]["listen"] = [f"{EDGE_V4}:80"]
        self.refused_and_nothing_attached(config, "one", f"{EDGE_V4}:80", codes=(2,))

    def test_source_ports_that_a_service_listens_on(self):
        """Replies to a connection of ours and packets of a client's would look the same."""
        config = self.config(service(80, "one"), service(81, "two"))
        config["services"][1]["listen"] = [f"{EGRESS_V4}:30000"]
        config["services"][1]["egress"]["source_ports"] = "40000-49999"
        self.refused_and_nothing_attached(config, "one", f"{EGRESS_V4}:30000", codes=(2,))

    def test_missing_interface(self):
        config = self.config(ports=(("wan", "wan0"), ("lan", "nosuch0")))
        self.refused_and_nothing_attached(config, "nosuch0")

    def test_address_that_is_not_the_edges(self):
        text = json.dumps(self.config(), indent=2).replace(f"{EDGE_V4}:80", "10.10.1.77:80")
        self.refused_and_nothing_attached(text, "10.10.1.77")

    def test_egress_port_that_linux_does_not_route_by(self):
        config = self.config()
        config["services"][0]["egress"]["port"] = "wan"
        self.refused_and_nothing_attached(config, "egress.port", "lan0", f"{ORIGIN_V4}:80")

    def test_interface_with_several_queues(self):
        self.lab.ip(
            "edge",
            "link add many0 numrxqueues 2 numtxqueues 2 type veth peer name many1",
            "link set many0 up",
            "link set many1 up",
        )
        self.addCleanup(self.lab.ip, "edge", "link del many0")
        config = self.config(ports=(("wan", "wan0"), ("lan", "many0")))
        advice = "ethtool -L many0 rx 1"
        self.refused_and_nothing_attached(config, '"lan"', "2 queues", advice)

    def test_too_few_frames(self):
        self.refused_and_nothing_attached(self.config(engine={"frames": 64}), "frames")

    def test_metrics_address_that_is_taken(self):
        with self.lab.inside("edge"):
            taken = socket.create_server(("127.0.0.1", 9464))
        self.addCleanup(taken.close)
        config = self.config()
        config["admin"]["metrics"] = "127.0.0.1:9464"
        said = ("admin.metrics", "127.0.0.1:9464", "in use")
        self.refused_and_nothing_attached(config, *said)
        # Nobody asked for the same address where it is the default.
        with self.edge(service(80)) as edge:
            warning = edge.errors()
            for word in said:
                self.assertIn(word, warning)

    def test_missing_core(self):
        self.refused_and_nothing_attached(self.config(engine={"cores": [4000]}), "4000")

    def test_no_privileges(self):
        how = {"prefix": NOBODY, "binary": self.binary_for_nobody()}
        self.refused_and_nothing_attached(self.config(), *CAPABILITIES, **how)

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
        reserved = self.reserved_ports()
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
        self.assertEqual(self.reserved_ports(), reserved)
        self.assertIsNone(xdp_attached(self.lab, "wan0"))

    def binary_for_nobody(self):
        binary = Path(self.folder, "ringroad")
        shutil.copy(RINGROAD, binary)
        Path(self.folder).chmod(0o755)
        return binary

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
            other = configuration((service(81),), self.socket.with_suffix(".second"))
            path = Path(self.folder, "second.yaml")
            path.write_text(json.dumps(other))
            process = self.spawn("edge", str(RINGROAD), "run", "--config", str(path))
            self.assertIn(process.wait(10), (1, 2))
            self.assertEqual(len(process.errors().splitlines()), 1, process.errors())
            self.assertEqual(xdp_attached(self.lab, "wan0"), attached)
            self.assertEqual(edge.stats()["services"][0]["name"], "web")
