# SPDX-License-Identifier: Apache-2.0
"""Processes that are not to outlive the run, however it ends."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def dies_with_us():
    """Between fork and exec: killed when whoever started it is."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
