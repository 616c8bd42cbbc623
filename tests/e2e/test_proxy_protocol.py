"""The PROXY protocol, as an independent receiver (nginx) reads it."""

from harness.case import EdgeCase
from harness.content import MIB, digest_of_file
from harness.edge import service
from harness.lab import CLIENT_V4, CLIENT_V6, EDGE_V4, EDGE_V6

WHO = " ".join(
    f"$proxy_protocol_{field}" for field in ("addr", "port", "server_addr", "server_port")
)


class ProxyProtocol(EdgeCase):
    def test_v1_names_the_client(self):
        self.names_the_client("v1")

    def test_v2_names_the_client(self):
        self.names_the_client("v2")

    def names_the_client(self, version):
        reply = f'location / {{ return 200 "{WHO}\\n"; }}'
        self.nginx(f"server {{ listen 80 proxy_protocol; {reply} }}")
        with self.edge(service(80, proxy_protocol=version)):
            for host, client, edge in (
                (EDGE_V4, CLIENT_V4, EDGE_V4),
                (f"[{EDGE_V6}]", CLIENT_V6, EDGE_V6),
            ):
                seen, port = self.curl("-w", "%{local_port}", f"http://{host}/").split("\n")
                self.assertEqual(seen, f"{client} {port} {edge} 80")

    def test_what_follows_the_header_arrives_unchanged(self):
        """A header in front of the client's first octets moves every sequence number behind it."""
        sent, digest = self.random_file(16 * MIB)
        self.nginx(
            f"server {{ listen 80 proxy_protocol; root {self.folder};"
            f" location / {{ dav_methods PUT; }} }}"
        )
        with self.edge(service(80, proxy_protocol="v2")):
            self.curl("-T", str(sent), f"http://{EDGE_V4}/stored")
            self.assertEqual(digest_of_file(f"{self.folder}/stored"), digest)
            self.curl("-o", f"{self.folder}/got", f"http://{EDGE_V4}/content")
            self.assertEqual(digest_of_file(f"{self.folder}/got"), digest)
