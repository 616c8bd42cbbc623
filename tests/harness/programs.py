"""Real servers and clients on the hosts of a lab."""

import json
import re
from pathlib import Path

from .edge import listening

NGINX_MODULES = Path("/usr/lib/nginx/modules")


def nginx(lab, host, folder, http="", stream="", listeners=1, pin=()):
    """Starts nginx as a single process with these blocks; returns it listening."""
    folder = Path(folder) / f"nginx-{host}"
    folder.mkdir()
    module = NGINX_MODULES / "ngx_stream_module.so"
    config = folder / "nginx.conf"
    config.write_text(
        "\n".join(
            [
                f"load_module {module};" if stream else "",
                "user root;",
                "daemon off;",
                "master_process off;",
                "worker_rlimit_nofile 16384;",
                f"pid {folder}/pid;",
                f"error_log {folder}/error.log;",
                "events { worker_connections 8192; multi_accept on; }",
                f"http {{ {_HTTP.format(folder=folder)} {http} }}" if http else "",
                f"stream {{ {stream} }}" if stream else "",
            ]
        )
    )
    command = ["nginx", "-p", str(folder), "-c", str(config), "-e", f"{folder}/error.log"]
    process = lab.spawn(host, *pin, *command)
    process.wait_for(lambda: listening(process.pid) >= listeners, "listening")
    return process


_HTTP = """
access_log off; sendfile on; tcp_nopush on; keepalive_requests 10000000; keepalive_timeout 60;
client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_max_body_size 4g;
default_type text/plain;
"""


def wrk(lab, url, seconds, connections=64, close=False, pin=(), script=None):
    """Loads a URL with one thread; the figures that wrk reports."""
    command = [*pin, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if close:
        command += ["-H", "Connection: close"]
    if script:
        command += ["-s", str(script)]
    text = lab.spawn("client", *command, url).expect_success(seconds + 30)
    return parse_wrk(text)


def parse_wrk(text):
    """The figures in wrk's report: requests, requests/s, p50/p99 [us], failures."""
    socket_errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    bad_replies = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {
        "requests": int(re.search(r"(\d+) requests in", text)[1]),
        "requests_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "p50_us": _microseconds(re.search(r"50%\s+([\d.]+)(us|ms|s)", text)),
        "p99_us": _microseconds(re.search(r"99%\s+([\d.]+)(us|ms|s)", text)),
        "failures": sum(map(int, socket_errors.groups())) if socket_errors else 0,
        "bad_replies": int(bad_replies[1]) if bad_replies else 0,
    }


def iperf3(lab, server, address, seconds, reverse=False, rate=None, pin=()):
    """One stream through the edge; bits per second as its receiver counted them."""
    command = [*pin, "iperf3", "-J", "-c", address, "-t", str(seconds)]
    command += ["-R"] if reverse else []
    command += ["-b", str(rate)] if rate else []
    text = lab.spawn("client", *command).expect_success(seconds + 30)
    if not server.running():
        raise AssertionError(f"the iperf3 server ended: {server.errors()}")
    return json.loads(text)["end"]["sum_received"]


def _microseconds(match):
    return float(match[1]) * {"us": 1, "ms": 1_000, "s": 1_000_000}[match[2]]
