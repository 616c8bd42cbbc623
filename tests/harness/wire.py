"""A client whose network loses, delays or reorders: a program that carries packets between two cables."""

import unittest
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path("target/release/examples")


class BehindWire:
    """Comes in front of an `EdgeCase`: between its client's end of the network, `c0`, and the edge's, `e0`,
    is nothing but the example that `carrier` names, with its arguments.
    """

    wire = True
    carrier = ()

    @classmethod
    def setUpClass(cls):
        program = EXAMPLES / cls.carrier[0]
        if not program.exists():
            raise unittest.SkipTest(f"{program} is not built")
        super().setUpClass()

    @contextmanager
    def doomed_edge(self, *services, **engine):
        """The edge, and the wire to it as long as both its ends are there."""
        program, *arguments = self.carrier
        with super().doomed_edge(*services, **engine) as edge:
            wire = self.spawn("wire", str(EXAMPLES / program), *arguments)
            wire.wait_for(lambda: "ready" in wire.errors(), "ready")
            yield edge
            wire.kill()
