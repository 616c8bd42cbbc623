"""Capacity planning: a load that `ringroad plan` drives itself, through a lab of its own or at a target."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from harness.case import EdgeCase
from harness.edge import RINGROAD
from harness.lab import ORIGIN_V4

# The least that can be asked for, so that a drive takes seconds.
SHORT = ("--steps", "4", "--step-time", "2s", "--connections", "16", "--octets", "8192")
# Of such a drive, with the lab it makes and takes down [seconds].
DRIVE_WITHIN = 40
# How long a drive that is told to end may take to take its lab down [seconds].
DOWN_WITHIN = 10


def labs():
    """What drives have made and not taken down."""
    names = Path("/run/netns")
    return {each.name for each in names.iterdir() if each.name.startswith("rr-plan")}


class Plan(EdgeCase):
    drivers = ("af_xdp",)

    def plan(self, *arguments, **environment):
        """`ringroad plan`, not in the lab of this test."""
        command = [str(RINGROAD), "plan", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=os.environ | environment, **pipes)
        self.addCleanup(process.kill)
        return process

    def test_a_drive_says_what_work_costs_and_leaves_nothing_behind(self):
        before = labs()
        kept = Path(self.folder) / "recording"
        output, errors = self.plan("--drive", "--json", "--record", str(kept), *SHORT).communicate(
            timeout=DRIVE_WITHIN
        )
        self.assertEqual(labs(), before)
        answers = json.loads(output or self.fail(errors))
        self.assertEqual(answers["recorded"]["restarts"], 0)
        (costs,) = answers["costs"]
        self.assertEqual((costs["role"], costs["cores"]), ("lane", 1))
        # A packet has to be received, worked on and sent again.
        stages = {each["name"]: each["ns_per_packet"] for each in costs["stages"]}
        self.assertLessEqual({"rx", "worker", "tx"}, stages.keys())
        alone = costs["turn"]["ns"] + costs["packet"]["ns"] + 8192 * costs["octet"]["ns"]
        self.assertGreater(alone, stages["worker"])

        # What was driven is kept beside what was recorded, and both together are planned from again.
        steps = json.loads((kept / "drive.json").read_text())["steps"]
        self.assertEqual([s["kind"] for s in steps[:2]], ["new_connections", "other_replies"])
        loads = [each for each in steps if each["kind"] == "load"]
        self.assertEqual(sum(each["failed"] for each in steps), 0)
        self.assertLess(loads[0]["answered"], loads[-1]["answered"])
        again, errors = self.plan("--in", str(kept), "--json").communicate(timeout=DRIVE_WITHIN)
        self.assertEqual(json.loads(again or self.fail(errors)), answers)

    def test_a_drive_that_is_ended_takes_its_lab_down(self):
        before = labs()
        temporary = Path(self.folder)
        process = self.plan("--drive", *SHORT, TMPDIR=self.folder)
        until = time.monotonic() + DRIVE_WITHIN
        for line in process.stderr:
            # The load goes through.
            if "requests/s" in line or time.monotonic() > until:
                break
        self.assertGreater(len(labs()), len(before))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=DOWN_WITHIN)
        self.assertEqual(process.returncode, 1)
        self.assertIn("ringroad: ended by SIGTERM", errors)
        self.assertEqual(labs(), before)
        self.assertEqual(list(temporary.iterdir()), [])

    def test_of_a_target_the_client_knows_what_it_sees(self):
        """A slow origin of which nothing else is known; it is asked as often as it answers."""
        origin = self.spawn("origin", str(RINGROAD), "origin", "--listen", f"{ORIGIN_V4}:80")
        origin.wait_for(lambda: "listening" in origin.errors(), "listening")
        url = f"http://{ORIGIN_V4}/delay/5"
        arguments = ("--steps", "4", "--step-time", "2s", "--connections", "8", "--json")
        drive = self.spawn("client", str(RINGROAD), "plan", "--drive", "--target", url, *arguments)
        drive.wait(DRIVE_WITHIN)
        said = json.loads(drive.output() or self.fail(drive.errors()))
        self.assertEqual(said["target"], url)
        loads = [each for each in said["steps"] if each["kind"] == "load"]
        for each in loads:
            self.assertGreaterEqual(each["p50_us"], 5_000)
        # Eight connections of 5 ms each get through 1,600 a second at most, and when as many come by
        # chance, requests wait.
        self.assertLess(loads[-1]["answered"], 1_600)
        self.assertGreater(loads[-1]["p99_us"], 2 * loads[0]["p99_us"])

    def test_a_target_that_does_not_answer_is_said_at_once(self):
        began = time.monotonic()
        drive = self.spawn(
            "client", str(RINGROAD), "plan", "--drive", "--target", f"http://{ORIGIN_V4}:9/"
        )
        self.assertEqual(drive.wait(10), 1)
        (said,) = drive.errors().splitlines()
        self.assertIn(f"http://{ORIGIN_V4}:9/ does not answer", said)
        self.assertLess(time.monotonic() - began, 5)
