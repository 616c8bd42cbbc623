"""Packets made to hurt: the edge survives them, counts them, and serves on meanwhile."""

import json
import random
import socket

from harness.case import EdgeCase
from harness.content import MIB
from harness.edge import service
from harness.lab import CLIENT_V4, EDGE_V4
from harness.packets import ACK, ETHERNET, FIN, IPV4, PSH, RST, SYN, TCP, URG, Forge
from harness.sockets import digest_of, in_background

PORT = 80
SIZE = 128 * MIB

# Outside the client's range of ephemeral ports, so that no forged packet meets a real connection.
FORGED_PORTS = range(1024, 30000)


class Hostile(EdgeCase):
    def setUp(self):
        super().setUp()
        path, self.digest = self.random_file(SIZE)
        self.nginx(f"server {{ listen 80; root {path.parent}; }}")

    def mac(self, host, interface):
        (link,) = json.loads(self.lab.run(host, "ip", "-j", "link", "show", "dev", interface))
        return link["address"]

    def under_attack(self, packets_for):
        """Downloads a file while forged packets arrive.

        `packets_for` makes them, of a `Forge` and the download's port.
        """
        with self.edge(service(PORT)) as edge:
            raw = self.raw_socket()
            macs = self.mac("client", "eth0"), self.mac("edge", "wan0")
            forge = Forge(*macs, CLIENT_V4, EDGE_V4, PORT).packet
            before = self.dropped(edge)
            client = self.connect(PORT)
            client.sendall(b"GET /content HTTP/1.0\r\n\r\n")
            download = in_background(http_body_digest, client)
            sent = 0
            for packet in packets_for(forge, client.getsockname()[1]):
                raw.send(packet)
                sent += 1
            self.assertEqual(download(50), (SIZE, self.digest))
            client.close()
            self.assertEqual(self.curl("-o", "/dev/null", f"http://{EDGE_V4}/content"), "")
            if not self.promised("ledger"):
                return
            after = self.dropped(edge)
        reasons = {reason: after[reason] - before.get(reason, 0) for reason in after}
        print(f"    {sent} forged, dropped: { {reason: n for reason, n in reasons.items() if n} }")
        self.assertGreater(sum(reasons.values()), 0, "forged packets were not counted as dropped")

    def raw_socket(self):
        with self.lab.inside("client"):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.addCleanup(raw.close)
        raw.bind(("eth0", 0))
        return raw

    def dropped(self, edge):
        """What was dropped, by reason; and what the shield counts as left for Linux to drop."""
        if not self.promised("ledger"):
            return {}
        stats = edge.stats()
        left = {f"shield {reason}": stats["shield"][reason] for reason in ("malformed", "fragment")}
        return stats["ledger"]["dropped"] | left

    def test_truncated_at_every_length(self):
        self.under_attack(
            lambda forge, _: (
                whole[:length]
                for flags in (SYN, ACK, PSH | ACK)
                for whole in [forge(2000, flags, payload=bytes(64), options=bytes(12))]
                for length in range(ETHERNET, len(whole))
            )
        )

    def test_wrong_offsets_lengths_and_checksums(self):
        def packets(forge, _):
            for flags in (SYN, ACK, PSH | ACK, FIN | ACK, RST):
                for words in range(16):
                    yield forge(2001, flags, tcp_offset=words, payload=bytes(20))
                    yield forge(2002, flags, ip_length_words=words)
                    yield forge(2003, flags, version=words)
                for length in (0, 1, IPV4 - 1, IPV4, IPV4 + TCP - 1, IPV4 + TCP + 1, 1500, 65535):
                    yield forge(2004, flags, total_length=length)
                for wrong in (0, 1, 0xFFFF, 0x1234):
                    yield forge(2005, flags, tcp_checksum=wrong)
                    yield forge(2006, flags, ip_checksum=wrong)
                for fragment in (0x2000, 1, 0x2001, 0x1FFF, 0x8000):
                    yield forge(2007, flags, fragment=fragment, payload=bytes(8))

        self.under_attack(packets)

    def test_malformed_options(self):
        """Lengths of zero, one and beyond the end; every kind with every length, on SYN and ACK."""
        self.under_attack(
            lambda forge, _: (
                forge(2010 + kind, flags, options=bytes([kind, length, *bytes(6)]))
                for flags in (SYN, SYN | ACK, ACK)
                for kind in range(256)
                for length in (0, 1, 2, 3, 4, 8, 9, 10, 40, 255)
            )
        )

    def test_every_combination_of_flags(self):
        chance = random.Random(3)
        self.under_attack(
            lambda forge, _: (
                forge(
                    chance.choice(FORGED_PORTS),
                    flags,
                    chance.getrandbits(32),
                    chance.getrandbits(32),
                    bytes(chance.choice((0, 1, 100))),
                )
                for flags in range(256)
                for _ in range(8)
            )
        )

    def test_blind_attacks_on_a_live_connection(self):
        """RFC 5961: who knows addresses and ports, but not the sequence numbers, does no harm."""
        chance = random.Random(4)
        self.under_attack(
            lambda forge, port: (
                forge(
                    port, flags, chance.getrandbits(32), chance.getrandbits(32), payload
                )
                for _ in range(400)
                for flags, payload in (
                    (RST, b""),
                    (SYN, b""),
                    (RST | ACK, b""),
                    (FIN | ACK, b""),
                    (PSH | ACK | URG, b"x" * 100),
                )
            )
        )

    def test_wrong_checksums_on_a_live_connection(self):
        """A damaged packet is not believed, whatever it says."""
        chance = random.Random(5)
        self.under_attack(
            lambda forge, port: (
                forge(port, flags, chance.getrandbits(32), tcp_checksum=0xBAD)
                for _ in range(1000)
                for flags in (RST, FIN | ACK)
            )
        )


def http_body_digest(sock):
    """Length and SHA-256 of what follows the header of an HTTP/1.0 reply."""
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        octet = sock.recv(1)
        if not octet:
            raise AssertionError(f"the reply ended in its header: {header!r}")
        header += octet
    return digest_of(sock)
