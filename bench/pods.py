# SPDX-License-Identifier: Apache-2.0
"""Pods of sconce under a load that changes, request by request: each has workers, one queue with a
limit, and batches that take a + c·n. What is measured of them is late, as Prometheus has it."""

import collections
import heapq
from dataclasses import dataclass, field


@dataclass
class Model:
    """What one pod can do. `a_s`, `c_s`: sconce_batch_seconds and sconce_batch_request_seconds."""
    a_s: float
    c_s: float
    batch: int = 1
    workers: int = 2
    queue: int = 100            # job_queue_size
    cpu: float = 1.0            # of a core, while a worker is busy
    start_s: float = 10         # from the decision until it answers

    def rate(self):
        """Requests a second that a pod can answer at most."""
        return self.workers * self.batch / (self.a_s + self.c_s * self.batch)


@dataclass(eq=False)    # two that have done the same are still two
class Pod:
    ready_s: float
    idle: int
    waiting: collections.deque = field(default_factory=collections.deque)
    ends: list = field(default_factory=list)    # of batches that run, sorted
    busy_s: float = 0                           # counted up to `counted_s`
    counted_s: float = 0
    leaving: bool = False


class Fleet:
    """`holds`: what stands in front keeps requests while there is no pod, and refuses none."""

    def __init__(self, model, pods, slo_s, holds=False):
        self.model, self.slo_s, self.holds = model, slo_s, holds
        self.held, self.asked = [], 0
        self.now, self.events, self.turn = 0.0, [], 0
        self.pods = [self._pod(0) for _ in range(pods)]
        self.serving = list(self.pods)
        self.answered = self.late = self.refused = 0
        self.worst_s = 0.0

    def _pod(self, ready_s):
        return Pod(ready_s, self.model.workers)

    # ---- requests ----

    def _count_busy(self, pod):
        pod.busy_s += (self.model.workers - pod.idle) * (self.now - pod.counted_s)
        pod.counted_s = self.now

    def _begin(self, pod):
        """A free worker takes a batch."""
        n = min(self.model.batch, len(pod.waiting))
        took_s = self.model.a_s + self.model.c_s * n
        self._count_busy(pod)
        pod.idle -= 1
        for _ in range(n):
            self._answer(self.now + took_s - pod.waiting.popleft())
        heapq.heappush(pod.ends, self.now + took_s)
        heapq.heappush(self.events, (self.now + took_s, id(pod), pod))

    def _answer(self, took_s):
        self.answered += 1
        self.late += took_s > self.slo_s
        self.worst_s = max(self.worst_s, took_s)

    def arrive(self):
        """A request goes to the next pod in turn."""
        self.asked += 1
        if not self.serving and self.holds:
            self.held.append(self.now)
            return
        if not self.serving:
            self.refused += 1
            return
        self.turn = (self.turn + 1) % len(self.serving)
        pod = self.serving[self.turn]
        if len(pod.waiting) >= self.model.queue:
            self.refused += 1
            return
        pod.waiting.append(self.now)
        if pod.idle:
            self._begin(pod)

    def run_until(self, when_s):
        """Batches end, and others begin."""
        while self.events and self.events[0][0] <= when_s:
            self.now, _, pod = heapq.heappop(self.events)
            self._count_busy(pod)
            heapq.heappop(pod.ends)
            pod.idle += 1
            if pod.waiting:
                self._begin(pod)
        self.now = when_s

    # ---- pods ----

    def count(self):
        return sum(not pod.leaving for pod in self.pods)

    def ready(self):
        return len(self.serving)

    def scale(self, wanted):
        here = [pod for pod in self.pods if not pod.leaving]
        for _ in range(wanted - len(here)):
            self.pods.append(self._pod(self.now + self.model.start_s))
        for pod in sorted(here, key=lambda p: p.ready_s, reverse=True)[:max(len(here) - wanted, 0)]:
            pod.leaving = True      # it answers what it has accepted, and nobody waits for it
        self.look()

    def look(self):
        """Who is ready by now gets requests."""
        for pod in self.pods:
            if not pod.leaving and pod not in self.serving and pod.ready_s <= self.now:
                pod.counted_s = self.now
                self.serving.append(pod)
        self.serving = [pod for pod in self.serving if not pod.leaving]
        if self.serving and self.held:
            self._release()
        self.pods = [pod for pod in self.pods
                     if not pod.leaving or pod.waiting or pod.idle < self.model.workers]

    def _release(self):
        """What was held goes to the first pod that is there, as far as its queue takes it."""
        pod, n = self.serving[0], self.model.queue - len(self.serving[0].waiting)
        pod.waiting.extend(self.held[:n])
        self.refused += len(self.held[n:])
        self.held.clear()
        while pod.idle and pod.waiting:
            self._begin(pod)

    # ---- what a scrape reads ----

    def wait_s(self, pod):
        """sconce_queue_wait_seconds: as core/goal.c predicts it."""
        before = len(pod.waiting) // self.model.batch
        rounds, place = divmod(before, self.model.workers)
        left = [0.0] * pod.idle + [end - self.now for end in sorted(pod.ends)]
        return left[place] + rounds * (self.model.a_s + self.model.c_s * self.model.batch)

    def scrape(self):
        """(busy seconds, ready workers, predicted wait) of each pod that serves."""
        for pod in self.serving:
            self._count_busy(pod)
        return {id(pod): (pod.busy_s, self.model.workers, self.wait_s(pod))
                for pod in self.serving}


class Prometheus:
    """Keeps what was scraped, and has the recording rules of deploy/prometheus."""

    def __init__(self, scrape_s=15, window_s=60):
        self.scrape_s, self.window_s, self.samples = scrape_s, window_s, collections.deque()

    def take(self, now, sample):
        self.samples.append((now, sample))
        while self.samples[0][0] < now - self.window_s:
            self.samples.popleft()

    def _rates(self):
        """Busy workers of each pod, and the ready ones, over the window."""
        pods = {key for _, sample in self.samples for key in sample}
        for key in pods:
            seen = [(t, sample[key]) for t, sample in self.samples if key in sample]
            ready = sum(s[1] for _, s in seen) / len(seen)
            span = seen[-1][0] - seen[0][0]
            yield ((seen[-1][1][0] - seen[0][1][0]) / span if span else 0.0), ready

    def busy(self):
        return sum(busy for busy, _ in self._rates())

    def utilization(self):
        rates = list(self._rates())
        ready = sum(r for _, r in rates)
        return min(sum(b for b, _ in rates) / ready, 1) if ready else 0.0

    def utilizations(self):
        """The sum of what each pod's workers are busy."""
        return sum(busy / ready for busy, ready in self._rates() if ready)

    def wait_s(self):
        means = collections.defaultdict(list)
        for _, sample in self.samples:
            for key, values in sample.items():
                means[key].append(values[2])
        return sum(sum(v) / len(v) for v in means.values()) / len(means) if means else 0.0

    def waits(self):
        """The sum of the last waits."""
        return sum(values[2] for values in self.samples[-1][1].values())
