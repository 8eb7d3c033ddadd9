# SPDX-License-Identifier: Apache-2.0
"""What the system knows of a server's processes: who belongs to it, their memory, their CPU."""

import itertools
import os
import socket
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def candidates():
    """Ports below those the system gives to clients, each once before any comes again."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(10000, max(low, 20000))
    skip = os.getpid() * 7919 % len(ports)   # far from those of who starts at the same time
    return itertools.cycle([*ports[skip:], *ports[:skip]])


CANDIDATES = candidates()


def free_ports(n):
    """Ports that nobody listens on, and that no earlier call gave."""
    ports = []
    while len(ports) < n:
        port = next(CANDIDATES)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    return ports


def stat_fields(pid):
    """Fields of /proc/<pid>/stat from the third (state) on; None when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def tree(root):
    """A process and all below it."""
    children = {}
    for entry in os.listdir("/proc"):
        fields = stat_fields(entry) if entry.isdigit() else None
        if fields and fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, left = [], [root]
    while left:
        pid = left.pop()
        found.append(pid)
        left += children.get(pid, [])
    return found


def pss_mib(pids):
    """Memory, what is shared divided among those who share it."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines()
                     if line.startswith("Pss:"))
    return total / 1024


def cpu_seconds(pids):
    """User and system time, with that of children that have ended."""
    total = 0
    for pid in pids:
        fields = stat_fields(pid)
        if fields:
            total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(
            "utf-8", "replace").strip()
    except OSError:
        return ""
