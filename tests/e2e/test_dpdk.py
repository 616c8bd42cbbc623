"""Ports that DPDK drives: Linux behind them, what they take and give back, what is refused."""

import os
import signal
import socket
import statistics
import time
from pathlib import Path

from harness import programs
from harness.arrangement import everywhere
from harness.bystanders import GAP_MOST, Typist, ping_pauses
from harness.case import EdgeCase
from harness.driver import HUGEPAGES, Dpdk, hugepages
from harness.edge import RINGROAD, expect_traces, service, traces
from harness.lab import (
    CLIENT_V4,
    CLIENT_V6,
    EDGE_V4,
    EDGE_V6,
    EGRESS_V4,
    EGRESS_V6,
    ORIGIN_V4,
    ORIGIN_V6,
)
from harness.greeting import GreetingCase
from harness.refusal import NOBODY, RefusalCase
from harness.sockets import EchoServer, in_background, receive_exactly

SSH_LIKE_PORT = 2222
HELLO = 'server { listen 80; listen [::]:80; location / { return 200 "hello\\n"; } }'
# Connections of Linux's: so many never happen to come by one queue alone.
LINUXS = 16
# Fits a jumbo frame [octets].
LARGE = 8192

# The fewest that two ports run with.
FEW_FRAMES = 12288


class OnDpdk:
    """Tests over DPDK alone, whose engines all end well: each gives its hugepages back."""

    drivers = ("dpdk",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hugepages_before = hugepages()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        # Others on this host may use hugepages meanwhile, but what an engine has left stays.
        until = time.monotonic() + 10
        while hugepages() != cls.hugepages_before:
            if time.monotonic() > until:
                raise AssertionError(f"{hugepages()} hugepages, {cls.hugepages_before} before")
            time.sleep(0.1)


class KernelPath(OnDpdk, EdgeCase):
    """Linux's own traffic, through the TAP that stands for the port."""

    def test_ssh_and_ping_never_notice_a_loaded_service(self):
        self.nginx(HELLO)
        server = EchoServer(self.listen("edge", SSH_LIKE_PORT))
        self.addCleanup(server.close)
        with self.edge(service(80)):
            typist = Typist(self.connect(SSH_LIKE_PORT))
            ping = self.spawn("client", "ping", "-D", "-n", "-i", "0.02", "-w", "3", EDGE_V4)
            figures = programs.wrk(self.lab, f"http://{EDGE_V4}/", seconds=3)
            pauses = ping_pauses(ping.expect_success(5))
            gaps = typist.finish()
        self.assertEqual((figures["failures"], figures["bad_replies"]), (0, 0), figures)
        longest = max(gaps) * 1000, max(pauses) * 1000
        print("    longest pause: echo {:.0f} ms, ping {:.0f} ms".format(*longest))
        self.assertGreater(len(pauses), 100)
        self.assertLess(max(gaps), GAP_MOST)
        self.assertLess(max(pauses), GAP_MOST)
        self.assertLess(statistics.median(gaps), 0.02)

    @everywhere
    def test_neighbours_are_found_in_both_directions(self):
        """ARP and NDP are Linux's, on both ports and from both ends."""
        with self.edge(service(80)):
            for host, edge, other in (
                ("client", EDGE_V4, CLIENT_V4),
                ("client", EDGE_V6, CLIENT_V6),
                ("origin", EGRESS_V4, ORIGIN_V4),
                ("origin", EGRESS_V6, ORIGIN_V6),
            ):
                for end, address in ((host, edge), ("edge", other)):
                    for each in (host, "edge"):
                        self.lab.ip(each, "neigh flush all")
                    self.lab.run(end, "ping", "-n", "-c", "1", "-W", "2", address)

    def test_linux_connects_outwards_and_routes(self):
        """From the edge to both sides, and from client to origin past the engine."""
        for host, port in (("client", 7000), ("origin", 7001)):
            for family in (socket.AF_INET, socket.AF_INET6):
                server = EchoServer(self.listen(host, port, family), b"welcome")
                self.addCleanup(server.close)
        with self.edge(service(80)):
            for host, address, port in (
                ("edge", CLIENT_V4, 7000),
                ("edge", CLIENT_V6, 7000),
                ("edge", ORIGIN_V4, 7001),
                ("edge", ORIGIN_V6, 7001),
                ("client", ORIGIN_V4, 7001),
                ("client", ORIGIN_V6, 7001),
            ):
                with self.lab.inside(host):
                    sock = socket.create_connection((address, port), timeout=5)
                with sock:
                    self.assertEqual(receive_exactly(sock, 7), b"welcome")
                    sock.sendall(bytes(200_000))
                    self.assertEqual(receive_exactly(sock, 200_000), bytes(200_000))


class LanesOverDpdk(OnDpdk, GreetingCase):
    """Two cores with a queue of each port. `net_tap` brings packets to any; Linux has one TAP a port."""

    arrangements = ("lanes",)

    def test_both_lanes_serve_and_linux_does_not_notice(self):
        self.nginx('server { listen 8080; location / { return 200 "hello\\n"; } }')
        server = EchoServer(self.listen("edge", SSH_LIKE_PORT))
        self.addCleanup(server.close)
        with self.edge(service(8080)) as edge:
            typist = Typist(self.connect(SSH_LIKE_PORT))
            figures = programs.wrk(self.lab, f"http://{EDGE_V4}:8080/", seconds=2)
            gaps = typist.finish()
            self.assertEqual((figures["failures"], figures["bad_replies"]), (0, 0), figures)
            self.assertLess(max(gaps), GAP_MOST)
            stats = edge.stats()
        self.assertGreater(stats["ledger"]["handed_over"], 0)
        stages = [stage for core in stats["cores"] for stage in core["stages"]]
        received = [stage["packets"] for stage in stages if stage["name"] == "rx"]
        self.assertEqual(len(received), 2)
        self.assertGreater(min(received), sum(received) / 10)

    def test_what_is_linuxs_stays_linuxs_by_whichever_queue_it_comes(self):
        self.greet("edge", b"kernel")
        with self.edge(service(self.port, max_connections=2)) as edge:
            while self.served_by() != "kernel":
                self.assertLess(len(self.clients), 10)
            for _ in range(LINUXS):
                self.assertEqual(self.served_by(), "kernel")
            for client in self.clients:
                self.assert_echoes(client)
            (web,) = edge.stats()["services"]
            self.assertGreaterEqual(web["connections"]["fell_back"], LINUXS)
            self.close_clients()


class DpdkOnVeth(Dpdk):
    """DPDK's pcap driver at one end of a veth pair: slow, but it takes frames of any size."""

    vdevs = (
        "--vdev=net_pcap0,rx_iface_in=wan0-far,tx_iface=wan0-far",
        "--vdev=net_pcap1,rx_iface_in=lan0-far,tx_iface=lan0-far",
    )

    def lay_cables(self, lab):
        super().lay_cables(lab)
        for interface, (host, far_interface) in lab.cables.items():
            near = f"{interface}-far"
            lab.join(host, far_interface, "edge", near)
            # DPDK's alone, though Linux sees what arrives.
            lab.ip("edge", f"link set {near} arp off")
            lab.run("edge", "sysctl", "-qw", f"net.ipv6.conf.{near}.disable_ipv6=1")

    def plug_in(self, lab):
        """Nothing to do: the cables lie."""

    def ports(self):
        return super().ports("net_pcap0", "net_pcap1")


class Jumbo(OnDpdk, EdgeCase):
    # A pcap device has one queue.
    arrangements = ("run-to-completion", "pipeline", "queues")
    mtu = 9000

    @classmethod
    def make_driver(cls, queues):
        del queues  # It has as many as interfaces to receive by.
        return DpdkOnVeth()

    def test_segments_of_more_than_a_page_pass_both_ways(self):
        """A segment at a time: DPDK's pcap driver loses what comes in bursts."""
        server = EchoServer(self.listen("origin", 9000))
        self.addCleanup(server.close)
        segment = bytes(range(256)) * (LARGE // 256)
        with self.edge(service(9000)) as edge:
            client = self.connect(9000)
            looks = [
                self.look_for_large(host, source)
                for host, source in (("client", EDGE_V4), ("origin", EGRESS_V4))
            ]
            for _ in range(20):
                client.sendall(segment)
                self.assertEqual(receive_exactly(client, len(segment)), segment)
            client.close()
            for look in looks:
                look.expect_success(5)
            (web,) = edge.stats()["services"]
            self.assertEqual(web["segments"]["copied"], 0)

    def look_for_large(self, host, source):
        """Ends when a TCP packet from an address with a large payload has come to a host."""
        what = f"tcp and src host {source} and greater {LARGE}"
        look = self.spawn(host, "tcpdump", "-n", "-i", "eth0", "-c", "1", what)
        look.wait_for(lambda: "listening on" in look.errors(), "listening")
        return look


class Life(OnDpdk, EdgeCase):
    """What comes with an engine goes with it, and it needs no more than it was given."""

    # More queues need more frames.
    arrangements = ("run-to-completion", "pipeline")

    def test_fifty_starts_leave_nothing(self):
        before = self.lab.processes("edge")
        for _ in range(50):
            with self.edge(service(80), frames=FEW_FRAMES):
                pass
            self.assertEqual(self.lab.processes("edge"), before)

    def test_dpdk_is_not_heard(self):
        """What it prints while it starts is no message of ours."""
        with self.edge(service(80), frames=FEW_FRAMES) as edge:
            self.assertEqual(edge.errors(), "ready\n")
            self.assertEqual(edge.output(), "")

    def test_signals_that_are_lost_do_not_end_it(self):
        """Linux sends this one where more packets are told of than signals may wait."""
        self.nginx(HELLO)
        with self.edge(service(80), frames=FEW_FRAMES) as edge:
            os.kill(edge.pid, signal.SIGIO)
            self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "hello\n")


class OrdinaryMemory(OnDpdk, EdgeCase):
    @classmethod
    def make_driver(cls, queues):
        return Dpdk(queues, memory=("--no-huge",))

    def test_serves_and_takes_no_hugepage(self):
        self.nginx(HELLO)
        with self.edge(service(80)):
            self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "hello\n")
            self.assertEqual(hugepages(), self.hugepages_before)


class OwnTaps(OnDpdk, RefusalCase):
    """Without TAPs of the operator's the engine makes them, and has to wait for their addresses."""

    taps = ("wan0", "lan0")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.ip("edge", *(f"link del {tap}" for tap in cls.taps))

    def test_serves_once_they_have_addresses(self):
        self.nginx(HELLO)
        given = in_background(self.give_addresses)
        with self.edge(service(80)) as edge:
            given()
            self.assertEqual(self.curl(f"http://{EDGE_V4}/"), "hello\n")
            waiting, ready = edge.errors().splitlines()
            self.assertIn(f"{EDGE_V4}", waiting)
            self.assertEqual(ready, "ready")
        for tap in self.taps:
            self.assertFalse(self.lab.has("edge", tap))

    def give_addresses(self):
        for tap in self.taps:
            until = time.monotonic() + 10
            while not self.lab.has("edge", tap):
                self.assertLess(time.monotonic(), until, f"{tap} was not made")
                time.sleep(0.05)
            self.lab.switch_on("edge", tap)

    def test_stop_while_it_waits_leaves_nothing(self):
        before = traces(self.lab)
        arguments = ("run", "--config", str(self.write(self.config())), *self.lab.driver.arguments)
        process = self.spawn("edge", str(RINGROAD), *arguments)
        process.wait_for(lambda: EDGE_V4 in process.errors(), "waiting")
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(5), 0, process.errors())
        expect_traces(self.lab, before)


class DpdkRefusals(OnDpdk, RefusalCase):
    """Each in one line, without a word of DPDK's own around it, and nothing is left."""

    wan, lan = Dpdk.vdevs

    def refused_lan(self, settings, *words, **how):
        """As `refused`, with these settings for the port `lan`."""
        wan, lan = self.lab.driver.ports()
        self.refused(self.config(ports=[wan, {**lan, **settings}], **how), '"lan"', *words)

    def refused_arguments(self, arguments, *words, **how):
        self.refused(self.config(), *words, arguments=arguments, **how)

    def refused_device(self, device, *words):
        config = self.config(ports=self.lab.driver.ports(lan=device))
        self.refused(config, device, *words, arguments=(self.wan,))

    def test_virtual_device_of_no_driver(self):
        self.refused_device("net_nosuch0", '"lan"')

    def test_pci_address_without_a_device(self):
        self.refused_device("0000:ff:1f.7")

    def test_pci_device_that_linux_drives(self):
        """It is not taken from Linux. None that is a network card: this host may need its own."""
        for device in Path("/sys/bus/pci/devices").iterdir():
            driver = device / "driver"
            network = (device / "class").read_text().startswith("0x02")
            if driver.exists() and not network and driver.resolve().name != "vfio-pci":
                self.refused_device(device.name, driver.resolve().name, "vfio-pci")
                return
        self.skipTest("Linux drives no PCI device here")

    def test_device_with_arguments_that_dpdk_refuses(self):
        too_long = "iface=sixteen-letters-"
        self.refused_arguments(
            (f"--vdev=net_tap0,{too_long}", self.lan), '"wan"', "net_tap0", too_long
        )

    def test_interface_that_is_there_already(self):
        self.refused_arguments(("--vdev=net_tap0,iface=lan0", self.lan), '"wan"', "lan0", "exists")

    def test_virtual_device_that_no_port_names(self):
        arguments = (self.wan, self.lan, "--vdev=net_null7")
        self.refused_arguments(arguments, "--vdev", "net_null7", codes=(2,))

    def test_argument_that_the_eal_does_not_know(self):
        self.refused_arguments((self.wan, self.lan, "--eal", "--nonsense"), "--nonsense")

    def test_more_lanes_than_the_device_has_queues_to_send_by(self):
        one = "net_pcap0,rx_iface_in=lo,rx_iface_in=lo,tx_iface=lo"
        wan, lan = ({**port, "queues": 2} for port in self.lab.driver.ports("net_pcap0"))
        config = self.config(ports=[wan, lan], engine={"cores": [0, 1]})
        words = ('"wan"', "net_pcap0", "1 transmit queue", "2 cores", "pipeline")
        self.refused(config, *words, arguments=(f"--vdev={one}", self.lan))

    def test_more_queues_than_the_device_has(self):
        self.refused_lan({"queues": 17}, "queues", "16", "17", engine={"frames": 100_000})

    def test_tap_by_the_name_of_something_else(self):
        self.lab.ip("edge", "link add other0 type veth peer name other1")
        self.addCleanup(self.lab.ip, "edge", "link del other0")
        self.refused_lan({"tap": "other0"}, "other0", "TAP")

    def test_mtu_that_no_frame_holds(self):
        self.lab.ip("edge", "link set lan0 mtu 30000")
        self.addCleanup(self.lab.ip, "edge", "link set lan0 mtu 1500")
        self.refused(self.config(), "MTU", "30000")

    def test_mtu_that_the_device_cannot(self):
        self.lab.ip("edge", "link set lan0 mtu 9000")
        self.addCleanup(self.lab.ip, "edge", "link set lan0 mtu 1500")
        self.refused(self.config(), "lan0", "9000", "1504")

    def test_no_hugepages_to_be_had(self):
        """As in a container, where `/sys` may not be written to."""
        if int(Path(HUGEPAGES, "free_hugepages").read_text()) > 0:
            self.skipTest("this host has hugepages set aside")
        read_only = 'mount -o remount,bind,ro /sys && exec "$@"'
        prefix = ("unshare", "--mount", "sh", "-c", read_only, "sh")
        self.refused(self.config(), "hugepages", prefix=prefix)

    def test_no_privileges(self):
        binary = self.binary_for_nobody()
        self.refused(self.config(), "CAP_NET_ADMIN", prefix=NOBODY, binary=binary)

    def test_second_engine_on_the_same_taps(self):
        server = EchoServer(self.listen("origin", 80), b"welcome")
        self.addCleanup(server.close)
        with self.edge(service(80)):
            self.socket = self.socket.with_suffix(".second")
            self.refused(self.config(service(81)), "wan0")
            client = self.connect(80)
            self.assertEqual(receive_exactly(client, 7), b"welcome")
            client.close()
