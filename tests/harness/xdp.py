"""XDP programs that are neither ringroad's nor in its way: what other hosts and other people run."""

import platform
import tempfile
from pathlib import Path

# Does nothing; stands for what another program has attached.
PASS_ALL = """
__attribute__((section("xdp"), used)) int pass_all(void *context) { return 2; }
char _license[] __attribute__((section("license"), used)) = "GPL";
"""


def attach(lab, host, interface, text):
    """Compiles a program and attaches it to an interface; returns what takes it off again."""
    with tempfile.TemporaryDirectory(prefix="ringroad-xdp-") as folder:
        source, program = Path(folder, "program.c"), Path(folder, "program.o")
        source.write_text(text)
        # Debian keeps `asm/types.h` apart for each architecture, where clang for BPF does not look.
        headers = f"/usr/include/{platform.machine()}-linux-gnu"
        compile_ = ("clang", "-O2", "-g", "-target", "bpf", "-idirafter", headers)
        lab.run(host, *compile_, "-c", str(source), "-o", str(program))
        # `ip` mounts a BPF file system for this; on a host of the lab it goes with the command.
        link = ("ip", "link", "set", "dev", interface, "xdp")
        lab.run(host, *link, "obj", str(program), "sec", "xdp")
    return lambda: lab.run(host, *link, "off")
