# SPDX-License-Identifier: Apache-2.0
"""The memory of processes."""

import os


def get_cpu_usage(pid):
    """Bytes of memory that the process has resident (the name is TorchServe's); 0, and an error in
    the log, where there is no such process."""
    try:
        with open("/proc/%d/statm" % int(pid)) as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import logging

        logging.error("Failed get process for pid: %s", pid, exc_info=True)
        return 0


def check_process_mem_usage(stdin):
    """Reads a line of process numbers, separated by commas; logs `number:bytes` for each."""
    import logging

    for pid in stdin.readline().strip().split(","):
        if pid:
            logging.info("%s:%d", pid, get_cpu_usage(pid))
