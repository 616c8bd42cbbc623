"""How a test reads that looks at a start from outside: a configuration, and what is said of it."""

import json
import shutil
from pathlib import Path

from .arrangement import RUN_TO_COMPLETION
from .case import EdgeCase
from .edge import RINGROAD, configuration, expect_traces, service, traces

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


class RefusalCase(EdgeCase):
    """A test whose engine is not to start, and is to leave everything as it was."""

    # It is over before anything is laid out.
    arrangements = (RUN_TO_COMPLETION.name,)

    def setUp(self):
        super().setUp()
        self.needs("configuration")
        self.socket = Path(self.folder, "ringroad.sock")

    def config(self, *services, ports=None, **how):
        """A configuration of these services, with nothing wrong in it yet."""
        ports = ports or self.lab.driver.ports()
        return configuration(services or (service(80),), self.socket, ports, **how)

    def write(self, config):
        """A configuration as a file."""
        path = Path(self.folder, "edge.yaml")
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2))
        return path

    def refused(self, config, *words, codes=(1, 2), prefix=(), binary=RINGROAD, arguments=None):
        """`run` ends by itself, with one line on standard error that has all of `words` in it."""
        arguments = self.lab.driver.arguments if arguments is None else arguments
        command = (*prefix, str(binary), "run", "--config", str(self.write(config)), *arguments)
        before = traces(self.lab)
        process = self.spawn("edge", *command)
        self.assertIn(process.wait(10), codes, process.errors())
        complaint = process.errors()
        self.assertEqual(len(complaint.splitlines()), 1, complaint)
        self.assertEqual(process.output(), "")
        for word in words:
            self.assertIn(word, complaint)
        self.assertNotIn("panicked", complaint)
        expect_traces(self.lab, before)
        self.assertFalse(self.socket.exists(), "the admin socket stayed")
        return complaint

    def binary_for_nobody(self):
        """The command where a user without rights may run it."""
        binary = Path(self.folder, "ringroad")
        shutil.copy(RINGROAD, binary)
        Path(self.folder).chmod(0o755)
        return binary
