# SPDX-License-Identifier: Apache-2.0
"""How far a run is: a bar on a terminal, a line a step elsewhere."""

import shutil
import sys

BAR = 24


class Progress:
    def __init__(self, out=sys.stderr):
        self.out, self.live = out, out.isatty()
        self.done, self.total = 0, 1

    def expect(self, steps):
        self.total = max(self.done + steps, 1)

    def step(self, what):
        """What is done now; what was done before is complete."""
        if self.live:
            full = BAR * self.done // self.total
            text = "[%s%s] %3d %%  %s" % ("#" * full, "." * (BAR - full),
                                          100 * self.done // self.total, what)
            self.out.write("\r\033[K" + text[:shutil.get_terminal_size().columns - 1])
        else:
            self.out.write("%s\n" % what)
        self.out.flush()
        self.done = min(self.done + 1, self.total)

    def say(self, line):
        """A line that stays."""
        self.out.write(("\r\033[K" if self.live else "") + line + "\n")
        self.out.flush()

    def end(self):
        if self.live:
            self.out.write("\r\033[K")
            self.out.flush()
