"""What the DPDK backend costs above bare DPDK: our RX to TX without TCP beside testpmd.

The same device, burst, number of mbufs and core for both, one after the other in each round.
`net_null` makes packets of nothing; `net_pcap` copies a capture into mbufs for ever.
"""

import re
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

FORWARD = Path("target/release/examples/forward")
TESTPMD = "dpdk-testpmd"

# testpmd wants a core to wait on beside the one that forwards.
MAIN_CORE, FORWARDING_CORE = 0, 1
BURST, FRAMES = 64, 8192

PACKETS, PACKET_OCTETS = 64, 64


def devices(folder):
    """Name, DPDK's words for it, and how packets are forwarded."""
    capture = write_capture(folder)
    replay = f"net_pcap0,rx_pcap={capture},infinite_rx=1"
    return [
        ("net_null, io", "net_null0", "io"),
        ("net_null, macswap", "net_null0,copy=1", "macswap"),
        ("net_pcap, io", replay, "io"),
        ("net_pcap, macswap", replay, "macswap"),
    ]


def write_capture(folder):
    """A capture of minimal Ethernet frames."""
    path = Path(folder) / "minimal.pcap"
    frame = bytes.fromhex("020000000002 020000000001 88b5").ljust(PACKET_OCTETS, b"\0")
    record = struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    path.write_bytes(header + record * PACKETS)
    return path


def ours(device, mode, seconds):
    """Packets per second through the engine's port."""
    pin = ("taskset", "-c", str(FORWARDING_CORE))
    return float(_run(*pin, str(FORWARD), device, mode, str(seconds), str(FRAMES)))


def testpmd(device, mode, seconds):
    """Packets per second through testpmd, by its own account: the median of its seconds."""
    command = [
        *(TESTPMD, "--no-huge", "-m", "128", "--no-pci", "--no-shconf", "--no-telemetry"),
        *(f"--vdev={device}", "-l", f"{MAIN_CORE},{FORWARDING_CORE}", "--"),
        *(f"--burst={BURST}", f"--total-num-mbufs={FRAMES}", f"--forward-mode={mode}"),
        *("--port-topology=loop", "--auto-start", "--stats-period=1"),
    ]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, text=True, **quiet)
    rates = []
    until = time.monotonic() + seconds + STARTING_SECONDS
    try:
        for line in process.stdout:
            if found := re.search(r"Tx-pps:\s+(\d+)", line):
                rates.append(int(found[1]))
            # The first is counted from before it forwards.
            if len(rates) > seconds + 1 or time.monotonic() > until:
                break
    finally:
        process.terminate()
        process.communicate()
    if len(rates) < 3:
        raise RuntimeError(f"{TESTPMD} says nothing of its rate on {device}")
    return statistics.median(rates[2:])


CONTENDERS = {"testpmd": testpmd, "ringroad": ours}
STARTING_SECONDS = 5


def measure(rounds, seconds):
    """Samples [packets/s] by measure and contender; none where DPDK is missing."""
    if not FORWARD.exists() or not shutil.which(TESTPMD):
        print(f"the backend is left out: {FORWARD} or {TESTPMD} is not there")
        return {}
    samples = {}
    with tempfile.TemporaryDirectory(prefix="ringroad-bench-") as folder:
        for _ in range(rounds):
            for name, device, mode in devices(folder):
                for contender, take in CONTENDERS.items():
                    rate = take(device, mode, seconds)
                    samples.setdefault(name, {}).setdefault(contender, []).append(rate)
                    print(f"  {name:18} {contender:10} {rate / 1e6:.1f} Mpps", flush=True)
    return samples


def table(samples):
    """A row for each measure: medians, and our ratio to testpmd's."""
    rows = [f"{'DPDK, one core, bursts of 64 [Mpps]':36}{'testpmd':>10}{'ringroad':>10}{'ratio':>8}"]
    for name, of in samples.items():
        base, mine = (statistics.median(of[each]) for each in ("testpmd", "ringroad"))
        rows.append(f"{name:36}{base / 1e6:10.1f}{mine / 1e6:10.1f}{mine / base:8.2f}")
    return "\n".join(rows)


def _run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
