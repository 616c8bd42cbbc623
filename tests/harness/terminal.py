"""A terminal for a program that draws on one: what it shows can be read, and keys can be pressed."""

import fcntl
import os
import re
import select
import signal
import struct
import termios
import threading
import time

# What programs send beside text: CSI with its parameters, a charset, one of the other sequences.
_SEQUENCE = re.compile(r"\x1b(?:\[([?>=]?)([\d;]*)([@-~])|[()][A-Z0-9]|[=>78])")


class Terminal:
    """A terminal of so many columns and rows, as far as full-screen programs use one.

    Give `end` to a program as its standard input and output.
    """

    def __init__(self, columns=80, rows=24):
        self._ours, self.end = os.openpty()
        self._settings = termios.tcgetattr(self.end)
        self._text = ""
        self._modes = set()
        self._lock = threading.Lock()
        self._resize(columns, rows)
        self._closing, self._close = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self):
        os.close(self._close)
        self._thread.join()
        for fd in (self._ours, self.end, self._closing):
            os.close(fd)

    def press(self, keys):
        """Types, also keys that have no letter: as what terminals send for them."""
        os.write(self._ours, keys.encode())

    def resize(self, columns, rows, pid):
        """Changes the size, of which the program is told."""
        with self._lock:
            self._resize(columns, rows)
        os.kill(pid, signal.SIGWINCH)

    def rows(self):
        """What stands on the screen."""
        with self._lock:
            return ["".join(row).rstrip() for row in self._cells]

    def wait_for(self, condition, seconds=10.0):
        """Waits until `condition(text)` of all that is shown is true; returns what it said."""
        until = time.monotonic() + seconds
        while not (found := condition(text := "\n".join(self.rows()))):
            if time.monotonic() > until:
                raise AssertionError(f"not shown within {seconds} s; this is:\n{text}")
            time.sleep(0.02)
        return found

    def is_as_before(self):
        """Whether the terminal is as its program has found it: its settings, screen and cursor."""
        with self._lock:
            modes = set(self._modes)
        return termios.tcgetattr(self.end) == self._settings and modes <= {"?25h", "?1049l"}

    def _resize(self, columns, rows):
        self._columns, self._height = columns, rows
        self._cells = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, size)

    def _read(self):
        while True:
            ready, _, _ = select.select([self._ours, self._closing], [], [])
            if self._closing in ready:
                return
            data = os.read(self._ours, 65536)
            with self._lock:
                self._text += data.decode(errors="replace")
                self._take_in()

    def _take_in(self):
        """Carries out all that has come whole."""
        text, at = self._text, 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
            elif found := _SEQUENCE.match(text, at):
                self._obey(*found.groups(""))
                at = found.end()
            elif len(text) - at < 32:
                break  # The rest of it is still to come.
            else:
                raise AssertionError(f"an unknown sequence: {text[at:at + 32]!r}")
        self._text = text[at:]

    def _put(self, character):
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row = min(self._row + 1, self._height - 1)
        elif self._row < self._height and self._column < self._columns:
            self._cells[self._row][self._column] = character
            self._column += 1

    def _obey(self, private, parameters, command):
        numbers = [int(number or 0) for number in parameters.split(";")]
        if command in "hl" and private == "?":
            for number in numbers:
                self._modes -= {f"?{number}h", f"?{number}l"}
                self._modes.add(f"?{number}{command}")
        elif command == "H":
            row, column = (numbers + [1])[:2]
            self._row, self._column = max(row, 1) - 1, max(column, 1) - 1
        elif command == "J":
            self._cells = [[" "] * self._columns for _ in range(self._height)]
        elif command == "K":
            tail = range(self._column, self._columns)
            for column in tail:
                self._cells[self._row][column] = " "
        elif command == "n" and numbers == [6]:
            os.write(self._ours, f"\x1b[{self._row + 1};{self._column + 1}R".encode())
