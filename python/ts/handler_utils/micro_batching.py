# SPDX-License-Identifier: Apache-2.0
"""A batch cut into small ones that overlap: one is preprocessed while another is in the model.

A handler says `self.handle = MicroBatching(self, size)` in initialize(). Every step has threads of
its own; a job goes through the steps' queues and ends in the queue of the call that it belongs to.
"""

import os
import queue
import threading
import time

PROFILER_AVAILABLE = True
HANDLER_METHODS = ["preprocess", "inference", "postprocess"]


class _Job:
    __slots__ = ("index", "data", "error", "done")

    def __init__(self, index, data, done):
        self.index = index
        self.data = data
        self.error = None
        self.done = done


class MicroBatching:
    def __init__(self, parent_handler, micro_batch_size=1, parallelism=None):
        """`parallelism`: threads of each step, by its name; 1 where none is given."""
        self.handler = parent_handler
        self.micro_batch_size = micro_batch_size
        self._local = threading.local()
        self._queues = {step: queue.SimpleQueue() for step in HANDLER_METHODS}
        self._ended = queue.SimpleQueue()
        self.thread_groups = {step: [] for step in HANDLER_METHODS}
        self._parallelism = {step: 0 for step in HANDLER_METHODS}
        self.parallelism = {**dict.fromkeys(HANDLER_METHODS, 1), **(parallelism or {})}

    @property
    def parallelism(self):
        return dict(self._parallelism)

    @parallelism.setter
    def parallelism(self, parallelism):
        for step, threads in parallelism.items():
            if step not in HANDLER_METHODS or threads < 1:
                raise ValueError("parallelism gives %s at least one thread each, not %r"
                                 % (", ".join(HANDLER_METHODS), parallelism))
        for step, threads in parallelism.items():
            self._resize(step, threads)

    def _resize(self, step, threads):
        group = self.thread_groups[step]
        for _ in range(threads - self._parallelism[step]):
            thread = threading.Thread(target=self._work, args=(step,), daemon=True)
            thread.start()
            group.append(thread)
        surplus = max(self._parallelism[step] - threads, 0)
        for _ in range(surplus):
            self._queues[step].put(None)   # whichever thread takes it ends
        for _ in range(surplus):
            thread = self._ended.get()
            thread.join()
            group.remove(thread)
        self._parallelism[step] = threads

    def shutdown(self):
        """Ends all threads, after the jobs that are already in."""
        for step in HANDLER_METHODS:
            self._resize(step, 0)

    def _work(self, step):
        """The life of a thread."""
        jobs = self._queues[step]
        position = HANDLER_METHODS.index(step) + 1
        last = position == len(HANDLER_METHODS)
        following = None if last else self._queues[HANDLER_METHODS[position]]
        for job in iter(jobs.get, None):
            self._local.micro_batch_idx = job.index
            try:
                job.data = getattr(self.handler, step)(job.data)
            except BaseException as e:
                job.error = e
            (job.done if last or job.error else following).put(job)
        self._ended.put(threading.current_thread())

    def get_micro_batch_idx(self):
        """Which part of the batch the calling thread has; None in other threads."""
        return getattr(self._local, "micro_batch_idx", None)

    def handle(self, data):
        """The steps for all of `data`; raises what a step raised first."""
        done = queue.SimpleQueue()
        size = self.micro_batch_size
        parts = [data[i:i + size] for i in range(0, len(data), size)]
        for index, part in enumerate(parts):
            self._queues[HANDLER_METHODS[0]].put(_Job(index, part, done))
        jobs = [done.get() for _ in parts]
        for job in jobs:
            if job.error is not None:
                raise job.error
        return [item for job in sorted(jobs, key=lambda job: job.index) for item in job.data]

    def __call__(self, data, context):
        """What BaseHandler.handle() does, with the steps overlapping."""
        handler = self.handler
        handler.context = context
        began = time.perf_counter()
        if os.environ.get("ENABLE_TORCH_PROFILER"):
            output, _ = handler._infer_with_profiler(data=data)
        elif handler._is_describe():
            output = [handler.describe_handle()]
        elif handler._is_explain():
            output = handler.explain_handle(handler.preprocess(data), data)
        else:
            output = self.handle(data)
        context.metrics.add_time("HandlerTime", round(1000 * (time.perf_counter() - began), 2))
        return output
