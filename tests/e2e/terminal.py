# SPDX-License-Identifier: Apache-2.0
"""Programs as a person sees them: on a terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import termios

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[>=]")


class Terminal:
    """A pseudo terminal. A program gets `slave`, and we read and type at the other end."""

    def __init__(self, columns=100):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.text = ""

    def read(self):
        """All there has been on it so far."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:     # the other side is closed
                break
            self.text += piece.decode(errors="replace")
        return self.text

    def plain(self):
        """The same without colours, its lines ending as in a file."""
        return ESCAPES.sub("", self.read()).replace("\r\n", "\n")

    def type(self, text):
        os.write(self.master, text.encode())

    def close(self):
        os.close(self.master)
