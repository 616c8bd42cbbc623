"""`ringroad capture`: what it writes is what passed, within its bounds, while traffic goes on."""

import hashlib
import json
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

from harness.arrangement import everywhere
from harness.case import EdgeCase
from harness.content import MIB
from harness.edge import RINGROAD, service
from harness.lab import CLIENT_V4, EDGE_V4, EGRESS_V4
from harness.packets import ACK, Forge
from harness.sockets import EchoServer, digest_of, in_background, receive_exactly

PORT = 9000
# What identifies a segment on the wire, whoever has seen it.
IDENTITY = ("ip.src", "tcp.srcport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.payload")


def tshark(path, *arguments):
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *arguments], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def fields(path, *names, where=""):
    """A tuple of these fields for each packet that the filter shows."""
    wanted = [each for name in names for each in ("-e", name)]
    lines = tshark(path, "-Y", where, "-T", "fields", *wanted).splitlines()
    return [tuple(line.split("\t")) for line in lines]


def segments(path, where):
    return sorted(fields(path, *IDENTITY, where=where))


class Capture(EdgeCase):
    def setUp(self):
        super().setUp()
        self.needs("ledger")
        if not Path("/usr/bin/tshark").exists():
            self.skipTest("needs tshark")
        self.file = Path(self.folder, "capture.pcapng")

    def serve(self):
        server = EchoServer(self.listen("origin", PORT))
        self.addCleanup(server.close)

    def capture(self, edge, *arguments, out=None):
        """A capture that has begun."""
        out = out or self.file
        Path(out).unlink(missing_ok=True)
        command = [str(RINGROAD), "capture", "--socket", str(edge.socket), "--out", str(out)]
        process = self.spawn("edge", *command, *arguments)
        process.wait_for(lambda: Path(out).exists() and Path(out).stat().st_size > 0, "capturing")
        return process

    def end(self, process):
        """Ends a capture as a person would; returns how many packets it says it has, and lost."""
        process.signal(signal.SIGINT)
        process.expect_success(10)
        words = process.errors().split()
        return int(words[0]), int(words[3])

    def talk(self, octets=b"x" * 20_000):
        sock = self.connect(PORT)
        sock.sendall(octets)
        self.assertEqual(receive_exactly(sock, len(octets)), octets)
        sock.close()

    @everywhere
    def test_what_is_captured_is_what_passed(self):
        """Of both legs, as another program sees it at the far ends of the cables."""
        self.serve()
        with self.edge(service(PORT)) as edge:
            far = {host: self.tcpdump(host) for host in ("client", "origin")}
            process = self.capture(edge, "--filter", f"port {PORT}")
            self.talk()
            self.until(lambda: self.connections(edge) == 0)
            captured, lost = self.end(process)
            self.assertEqual(lost, 0)
            for dump, _ in far.values():
                dump.signal(signal.SIGINT)
                dump.wait(10)
        self.assertEqual(tshark(self.file, "-Y", "_ws.malformed"), "")
        self.assertEqual(captured, len(fields(self.file, "frame.number")))
        for host, port in (("client", "wan"), ("origin", "lan")):
            own = segments(self.file, f'frame.interface_name == "{port}"')
            self.assertEqual(own, segments(far[host][1], f"tcp.port == {PORT}"))
            self.assertGreater(len(own), 10)
        seen = fields(self.file, "frame.packet_flags_direction", "ip.dst", "frame.comment")
        self.assertEqual(len(seen), captured)
        for direction, target, comment in seen:
            inbound = target in (EDGE_V4, EGRESS_V4)
            self.assertEqual(int(direction, 0), 1 if inbound else 2, comment)
            self.assertTrue(comment.startswith("rx, " if inbound else "tx, "), comment)
            self.assertIn("service web", comment)
        forwarded = [comment for _, _, comment in seen if "forwarded" in comment]
        self.assertTrue(forwarded and all("µs" in comment for comment in forwarded))

    def tcpdump(self, host):
        """A capture by another program, in another place."""
        path = Path(self.folder, f"{host}.pcap")
        # Large buffers, and no delay: it must not lose what ours has.
        command = ["tcpdump", "-U", "--immediate-mode", "-B", "8192", "-i", "eth0", "-w", str(path)]
        process = self.spawn(host, *command, "tcp", "port", str(PORT))
        process.wait_for(lambda: "listening on" in process.errors(), "listening")
        return process, path

    def connections(self, edge):
        return edge.stats()["services"][0]["connections"]["active"]

    def test_drops_are_captured_with_the_ledgers_reason(self):
        self.serve()
        with self.edge(service(PORT)) as edge:
            process = self.capture(edge, "--at", "drop", "--filter", f"host {CLIENT_V4}")
            sock = self.connect(PORT)
            sock.sendall(b"x" * 1000)
            receive_exactly(sock, 1000)
            self.forge(sock.getsockname()[1], 20)
            self.until(lambda: sum(self.dropped(edge).values()) == 20)
            captured, _ = self.end(process)
            dropped = self.dropped(edge)
            sock.close()
        self.assertEqual(captured, sum(dropped.values()))
        comments = [comment for (comment,) in fields(self.file, "frame.comment")]
        for reason, count in dropped.items():
            said = [each for each in comments if f"client leg, dropped: {reason}" in each]
            self.assertEqual(len(said), count, comments)

    def forge(self, source_port, count):
        """Segments of a client's connection that are nowhere near its window."""
        with self.lab.inside("client"):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind(("eth0", 0))
        macs = (self.mac("client", "eth0"), self.mac("edge", "wan0"))
        forge = Forge(*macs, CLIENT_V4, EDGE_V4, PORT)
        for _ in range(count):
            sequence = random.getrandbits(32)
            raw.send(forge.packet(source_port, ACK, sequence, 1, b"forged"))
        raw.close()

    def mac(self, host, interface):
        (link,) = json.loads(self.lab.run(host, "ip", "-j", "link", "show", "dev", interface))
        return link["address"]

    def test_bounds_hold(self):
        self.serve()
        with self.edge(service(PORT)) as edge:
            process = self.capture(edge, "--count", "7")
            self.talk()
            process.expect_success(10)
            self.assertEqual(len(fields(self.file, "frame.number")), 7)

            begin = time.monotonic()
            self.capture(edge, "--for", "500ms").expect_success(10)
            self.assertGreaterEqual(time.monotonic() - begin, 0.4)

            process = self.capture(edge, "--bytes", "10000", "--snaplen", "60")
            self.talk(b"x" * MIB)
            process.expect_success(10)
            self.assertLessEqual(self.file.stat().st_size, 10_000)
            lengths = [int(length) for (length,) in fields(self.file, "frame.cap_len")]
            self.assertGreater(len(lengths), 20)
            self.assertLessEqual(max(lengths), 60)

    def test_what_cannot_be_meant_is_one_line(self):
        with self.edge(service(PORT)) as edge:
            for filter, words in (
                ("hots 10.10.1.2", ('"hots"', "character 1", 'did you mean "host"')),
                ("service wab", ('"wab"', "character 9", 'did you mean "web"')),
                ("port 80 and drop tcp_outsid", ('"tcp_outsid"', '"tcp_outside_window"')),
                ("host 10.10.1", ("10.10.1", "no address")),
                ("port 80 and", ("ends at character 12",)),
            ):
                self.refused(edge, 2, words, "--filter", filter)
            self.refused(edge, 1, ("/nowhere/file", "cannot write"), out="/nowhere/file")
            self.refused(edge, 2, ("99",), "--bytes", "99")
            first = self.capture(edge)
            self.refused(edge, 1, ("a capture runs already",), out=f"{self.folder}/second")
            self.end(first)

    def refused(self, edge, code, words, *arguments, out="/dev/null"):
        command = [str(RINGROAD), "capture", "--socket", str(edge.socket), "--out", out]
        process = self.spawn("edge", *command, *arguments)
        self.assertEqual(process.wait(10), code, process.errors())
        self.assertEqual(len(process.errors().splitlines()), 1, process.errors())
        for word in words:
            self.assertIn(word, process.errors())

    def test_a_reader_that_is_killed_leaves_nothing_behind(self):
        self.serve()
        with self.edge(service(PORT)) as edge:
            before = resident(edge.pid)
            for round in range(5):
                process = self.capture(edge)
                if round % 2:
                    self.talk(b"x" * MIB)
                process.kill()
                # Nothing passes: only that its reader is gone says that a capture is over.
                self.until(lambda: self.may_capture(edge))
            self.talk()
            self.assertLess(resident(edge.pid) - before, 30 * MIB)

    def may_capture(self, edge):
        command = [str(RINGROAD), "capture", "--socket", str(edge.socket), "--out", "/dev/null"]
        return self.spawn("edge", *command, "--for", "1ms").wait(10) == 0

    def test_to_a_pipe(self):
        self.serve()
        with self.edge(service(PORT)) as edge:
            command = f"{RINGROAD} capture --socket {edge.socket} --filter syn | tshark -n -r - -c 2"
            reader = self.spawn("edge", "sh", "-c", command)
            reader.wait_for(lambda: not self.may_capture(edge), "capturing")
            self.talk()
            shown = reader.expect_success(10)
            self.assertIn("SYN", shown)
            # It has seen enough, and so has the capture.
            self.until(lambda: self.may_capture(edge))

    @everywhere
    def test_traffic_goes_on_under_a_capture(self):
        size = 64 * MIB
        listener = self.listen("origin", PORT)
        with self.edge(service(PORT)) as edge:
            process = self.capture(edge, "--bytes", "20000000")
            client = self.connect(PORT)
            server = self.accept(listener)
            received = in_background(digest_of, client)
            data = b"0123456789abcdef" * (size // 16)
            server.sendall(data)
            server.close()
            self.assertEqual(received(50), (size, hashlib.sha256(data).hexdigest()))
            client.close()
            process.expect_success(10)
            # Up to the last, whole blocks.
            self.assertEqual(tshark(self.file, "-Y", "_ws.malformed"), "")
            self.assertGreater(self.file.stat().st_size, 10_000_000)

    def until(self, condition, seconds=10.0):
        until = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def dropped(self, edge):
        """By reason, of those that the engine itself dropped."""
        dropped = edge.stats()["ledger"]["dropped"]
        return {reason: count for reason, count in dropped.items() if reason.startswith("tcp_")}


def resident(pid):
    """Memory of a process that is not on disk [octets]."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no process {pid}")
