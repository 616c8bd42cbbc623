"""Connections under the microscope: what the engine says of them against what Linux says of their ends."""

import json
import re
import socket
import threading
import time

from harness.arrangement import everywhere
from harness.case import EdgeCase
from harness.edge import RINGROAD, service
from harness.lab import CLIENT_V4, EDGE_V4, ORIGIN_V4
from harness.process import Process
from harness.sockets import EchoServer, receive_exactly
from harness.wire import BehindWire

PORT = 9000

# After this long without a word a connection sleeps [seconds]; DORMANT_AFTER and then some.
ASLEEP_AFTER = 2.5

# Connections that are idle while others are not: well within the open files of a process, each with
# two ends in ours.
IDLE = 2000
# What an echo may take while they are listed [seconds], or three times what it took before: the
# machine's own pauses, not those of a list.
ECHO_MOST = 0.25


class ConnectionsCase(EdgeCase):
    def setUp(self):
        super().setUp()
        self.needs("configuration")

    def connections(self, edge, *filters, **options):
        """What the command lists."""
        command = self.command(edge, "--json", *filters, **options)
        return [json.loads(line) for line in self.lab.run("edge", *command).splitlines()]

    def command(self, edge, *arguments, limit=None):
        limit = ("--limit", str(limit)) if limit is not None else ()
        flags = [each for each in arguments if each.startswith("--")]
        filters = [each for each in arguments if not each.startswith("--")]
        filters = ("--filter", *filters) if filters else ()
        return [str(RINGROAD), "connections", *flags, *limit, *filters, "--socket", str(edge.socket)]

    def fails(self, edge, *filters):
        """Exit code and words of a command that cannot be meant."""
        process = Process(self.command(edge, *filters))
        code = process.wait(10)
        lines = process.errors().splitlines()
        self.assertEqual(len(lines), 1, lines)
        return code, lines[0]

    def talk(self, octets, family=socket.AF_INET):
        """A connection over which so much has gone each way; both ends."""
        client = self.connect(PORT, family)
        server = self.accept(self.listener)
        for source, sink in ((client, server), (server, client)):
            # More than there is room for on the way.
            sender = threading.Thread(target=source.sendall, args=(bytes(octets),))
            sender.start()
            receive_exactly(sink, octets)
            sender.join()
        return client, server

    def said(self, host, port):
        """What Linux says of the only connection from or to a port, by its words."""
        text = self.lab.run(host, "ss", "-tinoH", "state", "established", f"( sport = :{port} or dport = :{port} )")
        return Said(text)


class Said:
    """A line of `ss -ti`."""

    def __init__(self, text):
        self.text = text
        self.words = text.split()

    def __contains__(self, word):
        return word in self.words

    def number(self, name):
        return float(re.search(rf"\b{name}:([\d.]+)", self.text)[1])

    def pair(self, name):
        found = re.search(rf"\b{name}:([\d.]+)[,/]([\d.]+)", self.text)
        return float(found[1]), float(found[2])


class Figures(ConnectionsCase):
    @everywhere
    def test_what_both_ends_know_too_is_the_same(self):
        for family in (socket.AF_INET, socket.AF_INET6):
            self.listener = self.listen("origin", PORT)
            leg = {"congestion": "bbr"}
            with self.edge(service(PORT, client_leg=leg)) as edge:
                client, server = self.talk(200_000, family)
                ends = (("client", client), ("origin", server))
                # Until the last acknowledgment is in, at either end.
                until = time.monotonic() + 5
                while True:
                    (listed,) = self.connections(edge)
                    legs = (listed["client"], listed["origin"])
                    linux = [self.said(host, sock.getsockname()[1]) for host, sock in ends]
                    acked = [leg["acked_bytes"] for leg in legs]
                    acked += [said.number("bytes_acked") for said in linux]
                    if min(acked) >= 200_000 or time.monotonic() > until:
                        break
                self.assertEqual((listed["service"], listed["dormant"]), ("web", False))
                self.assertNotIn("handshake", listed)
                for leg, said, (_, sock) in zip(legs, linux, ends):
                    self.compare(leg, said, sock)
                self.assertEqual([leg["congestion"] for leg in legs], ["bbr", "cubic"])
                client.close()
                server.close()
            self.listener.close()

    def compare(self, leg, linux, sock):
        """Our end of a connection with Linux's."""
        self.assertEqual(leg["state"], "established")
        self.assertEqual(endpoint(leg["remote"]), sock.getsockname()[:2])
        self.assertEqual(endpoint(leg["local"]), sock.getpeername()[:2])
        # What Linux has offered to take.
        self.assertEqual(leg["mss_bytes"], linux.number("advmss"), linux.text)
        self.assertEqual(leg["pmtu_bytes"], linux.number("pmtu"), linux.text)
        # What we send by is what Linux receives by.
        theirs, ours = linux.pair("wscale")
        scale = leg["window_scale"]
        self.assertEqual((scale["receive"], scale["send"]), (theirs, ours), linux.text)
        for agreed, word in (("sack", "sack"), ("timestamps", "ts"), ("ecn", "ecn")):
            self.assertEqual(leg[agreed], word in linux, f"{word}: {linux.text}")
        self.assertEqual((leg["sent_bytes"], leg["acked_bytes"]), (200_000, 200_000))
        self.assertEqual(leg["received_bytes"], 200_000)
        # Linux counts the SYN.
        self.assertAlmostEqual(linux.number("bytes_acked"), leg["received_bytes"], delta=1)
        self.assertEqual(linux.number("bytes_received"), leg["acked_bytes"])
        self.assertEqual(leg["queued_frames"], 0)
        # On a cable of no length: what both have measured is a matter of scheduling.
        rtt_ms, _ = linux.pair("rtt")
        self.assertLess(leg["min_rtt_us"] / 1000, 20)
        self.assertLess(leg["rtt_us"] / 1000, 10 * rtt_ms + 50, linux.text)
        self.assertGreaterEqual(leg["rto_us"], 200_000)
        self.assertGreater(leg["quality"]["score"], 50)

    def test_one_that_sleeps_is_shown_and_goes_on_sleeping(self):
        self.listener = self.listen("origin", PORT)
        with self.edge(service(PORT)) as edge:
            client, server = self.talk(10_000)
            (awake,) = self.connections(edge)
            time.sleep(ASLEEP_AFTER)
            for _ in range(3):
                (asleep,) = self.connections(edge, "dormant=yes", "idle>2s")
                for side in ("client", "origin"):
                    for same in ("local", "remote", "acked_bytes", "received_bytes", "mss_bytes"):
                        self.assertEqual(asleep[side][same], awake[side][same])
            self.assertGreater(asleep["age_s"], awake["age_s"] + 2)
            client.sendall(b"awake?")
            receive_exactly(server, 6)
            (awake,) = self.connections(edge)
            self.assertFalse(awake["dormant"])
            self.assertEqual(awake["origin"]["sent_bytes"], 10_006)
            client.close()
            server.close()

    def test_who_does_not_read_is_what_sending_waits_for(self):
        self.listener = self.listen("origin", PORT, receive_buffer=8192)
        with self.edge(service(PORT)) as edge:
            client, server = self.talk(1)
            client.setblocking(False)
            until = time.monotonic() + 10
            while True:
                try:
                    client.send(bytes(65536))
                except BlockingIOError:
                    time.sleep(0.02)
                found = self.connections(edge, "origin.limited=receive_window", "origin.queued>0")
                if found or time.monotonic() > until:
                    break
            (listed,) = found
            # Linux takes twice as much as is asked for.
            self.assertLess(listed["origin"]["send_window_bytes"], 2 * 8192)
            self.assertIn("retransmission", listed["origin"]["timers_ms"])
            # For people, too.
            text = self.lab.run("edge", *self.command(edge, "service=web"))
            self.assertIn("limited:receive_window", text)
            self.assertIn(f"{EDGE_V4}:{PORT}>{CLIENT_V4}:{client.getsockname()[1]}", text)
            client.close()
            server.close()


def endpoint(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Filters(ConnectionsCase):
    @everywhere
    def test_only_those_are_listed_for_which_all_filters_hold(self):
        self.listener = self.listen("origin", PORT)
        other = self.listen("origin", PORT + 1)
        with self.edge(service(PORT), service(PORT + 1, "api", "40000-49999")) as edge:
            self.lab.ip("client", "addr add 10.10.1.77/24 dev eth0")
            ends = [self.talk(100) for _ in range(3)]
            for source in (None, "10.10.1.77"):
                client = self.connect(PORT + 1, source=source)
                ends.append((client, self.accept(other)))
            for filters, count in (
                ((), 5),
                (("service=web",), 3),
                (("service!=web",), 2),
                (("service=api", "client=10.10.1.77"), 1),
                (("client=10.10.1.77/32", "service=web"), 0),
                (("client=10.10.1.0/24", f"origin={ORIGIN_V4}"), 5),
                ((f"port={PORT + 1}",), 2),
                ((f"port={ends[0][0].getsockname()[1]}",), 1),
                (("state=established",), 5),
                (("congestion=cubic", "retransmitted=0"), 5),
                (("congestion=bbr",), 0),
                (("client.received>=100",), 3),
                (("age>1h",), 0),
            ):
                self.assertEqual(len(self.connections(edge, *filters)), count, filters)
            self.assertEqual(len(self.connections(edge, limit=2)), 2)
            self.assertEqual(len(self.connections(edge, "service=api", limit=9)), 2)
            self.assertEqual(self.connections(edge, limit=0), [])
            for each in (end for pair in ends for end in pair):
                each.close()

    def test_a_wrong_filter_is_told_of_in_one_line(self):
        with self.edge(service(PORT)) as edge:
            code, said = self.fails(edge, "rtx>10")
            self.assertEqual(code, 2)
            self.assertIn('there is no field "rtx"; there are service, worker, client', said)
            code, said = self.fails(edge, "rtt>fast")
            self.assertEqual(code, 2)
            self.assertIn("give a time with its unit", said)
            code, said = self.fails(edge, "service=wbe")
            self.assertEqual(code, 1)
            self.assertIn('there is no service "wbe"; there are web', said)


class Paths(ConnectionsCase):
    # What is known of a path does not depend on who brings its packets.
    drivers = ("af_xdp",)

    def test_paths_are_judged_and_connections_counted(self):
        server = EchoServer(self.listen("origin", PORT))
        self.addCleanup(server.close)
        with self.edge(service(PORT, client_leg={"congestion": "bbr"})) as edge:
            client = self.connect(PORT)
            for _ in range(30):
                client.sendall(b"m" * 1000)
                receive_exactly(client, 1000)
                time.sleep(0.02)
            stats = edge.stats()
            paths = {path["leg"]: path for path in stats["paths"]}
            self.assertEqual(paths["origin"]["origin"], f"{ORIGIN_V4}:{PORT}")
            for path in paths.values():
                self.assertLess(path["seen"]["rtt_us"], 500_000)
                self.assertEqual(path["seen"]["loss"], 0)
                self.assertTrue(0 < path["seen"]["quality"]["score"] <= 100)
                self.assertTrue(0 < path["seen"]["quality"]["confidence"] < 1)
            # Taken anew ten seconds after the last, which the start of the edge has asked for.
            until = time.monotonic() + 30
            while len(legs := stats["census"]["legs"]) < 2 and time.monotonic() < until:
                time.sleep(0.2)
                stats = edge.stats()
            legs = {leg["leg"]: leg for leg in legs}
            self.assertEqual(legs["client"]["congestion"], "bbr")
            self.assertEqual((legs["origin"]["congestion"], legs["origin"]["connections"]), ("cubic", 1))
            self.assertGreater(legs["origin"]["cwnd_bytes"], 10_000)
            client.close()


class BadPath(BehindWire, ConnectionsCase):
    """A client behind a network that loses and delays."""

    drivers = ("af_xdp",)
    carrier = (
        *("bottleneck", "--near", "c0", "--far", "e0", "--seed", "1", "--loss", "20000"),
        *("--rate-bps", "50000000", "--delay-us", "20000", "--queue-octets", "500000"),
    )
    time_limit = 120

    def test_what_the_network_does_shows_on_its_leg_alone(self):
        self.listener = self.listen("origin", PORT)
        with self.edge(service(PORT)) as edge:
            client, server = self.talk(1_000_000)
            linux = self.said("client", client.getsockname()[1])
            (listed,) = self.connections(edge, "client.lost>0", "client.retransmitted>5")
            bad, good = listed["client"], listed["origin"]
            self.assertTrue(40 <= bad["min_rtt_us"] / 1000 <= 60, bad)
            self.assertTrue(0.5 < bad["rtt_us"] / 1000 / linux.pair("rtt")[0] < 2, (bad, linux.text))
            self.assertEqual(good["lost_bytes"], 0)
            # Tail loss probes, where the machine was late.
            self.assertLess(good["retransmitted_segments"], 4)
            self.assertLess(bad["quality"]["score"], good["quality"]["score"] - 10)
            paths = {path["leg"]: path["seen"] for path in edge.stats()["paths"]}
            self.assertTrue(0.005 < paths["client"]["loss"] < 0.06, paths)
            self.assertLess(
                paths["client"]["quality"]["loss"], paths["origin"]["quality"]["loss"] - 10
            )
            client.close()
            server.close()


class Many(ConnectionsCase):
    drivers = ("af_xdp",)
    time_limit = 120

    def test_a_long_list_does_not_hold_up_an_echo(self):
        server = EchoServer(self.listen("origin", PORT))
        self.addCleanup(server.close)
        with self.edge(service(PORT, max_connections=10_000)) as edge:
            idle = [self.connect(PORT) for _ in range(IDLE)]
            for sock in idle:
                sock.sendall(b"x")
            for sock in idle:
                receive_exactly(sock, 1)
            busy = self.connect(PORT)
            echoes = Echoes(busy)
            self.addCleanup(echoes.stop)
            time.sleep(ASLEEP_AFTER)
            before, _ = echoes.slowest()
            began = time.monotonic()
            listed = self.connections(edge)
            again = self.connections(edge, "dormant=yes")
            took = time.monotonic() - began
            slowest, count = echoes.slowest()
            print(
                f"    {len(listed)} listed twice in {took * 1e3:.0f} ms; the slowest of {count} echoes "
                f"meanwhile in {slowest * 1e3:.1f} ms, before in {before * 1e3:.1f} ms"
            )
            clients = [each["client"]["remote"] for each in listed]
            self.assertEqual(len(set(clients)), len(clients), "each once")
            self.assertEqual(len(listed), IDLE + 1)
            self.assertEqual(len(again), IDLE)
            self.assertGreater(count, 20)
            self.assertLess(slowest, max(ECHO_MOST, 3 * before))
            echoes.stop()
            for sock in (*idle, busy):
                sock.close()


class Echoes:
    """A client that says something and hears it back, again and again."""

    def __init__(self, sock):
        self._sock = sock
        self._going = True
        self._times = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while self._going:
            began = time.perf_counter()
            self._sock.sendall(b"m")
            receive_exactly(self._sock, 1)
            self._times.append(time.perf_counter() - began)
            time.sleep(0.002)

    def slowest(self):
        """How long the slowest has taken since this was last asked, and how many there were."""
        times, self._times = self._times, []
        return max(times), len(times)

    def stop(self):
        self._going = False
        self._thread.join(10)
