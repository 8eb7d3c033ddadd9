# SPDX-License-Identifier: Apache-2.0
"""How long a function takes, printed at every call."""

import functools
import time


def timeit(func):
    @functools.wraps(func)
    def timed_call(*args, **kwargs):
        began, began_cpu = time.perf_counter(), time.process_time()
        result = func(*args, **kwargs)
        print("func: %r took a total of %2.4f sec to run and %2.4f sec of CPU time"
              % (func.__name__, time.perf_counter() - began, time.process_time() - began_cpu))
        return result

    return timed_call
