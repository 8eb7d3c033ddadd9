// SPDX-License-Identifier: Apache-2.0
// What the server counts becomes what people ask for: the difference between two looks is rates,
// percentiles and means. Pure, but for the history that it keeps.

export const keyOf = (v) => `${v.name}\u0000${v.version}`;

/** Where the share `q` of what was counted lies; a bucket is taken as evenly filled. */
export function percentile(bounds, counts, q) {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (!total) return null;
  let below = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] && below + counts[i] >= q * total) {
      const low = i ? bounds[i - 1] : 0;
      if (i >= bounds.length) return low; // above the last bound: nobody knows how far
      return low + (bounds[i] - low) * ((q * total - below) / counts[i]);
    }
    below += counts[i];
  }
  return bounds[bounds.length - 1];
}

function histogramSince(now, before) {
  if (!now) return { counts: [], sum: 0 }; // nothing was ever counted
  // A version that was registered again counts from 0.
  const counts = now.counts.map((n, i) => n - (before ? before.counts[i] : 0));
  if (counts.some((n) => n < 0)) return { counts: now.counts.slice(), sum: now.sum };
  return { counts, sum: now.sum - (before ? before.sum : 0) };
}

function addHistogram(into, other) {
  if (!into.counts.length) into.counts = other.counts.map(() => 0);
  other.counts.forEach((n, i) => {
    into.counts[i] += n;
  });
  into.sum += other.sum;
}

const since = (now, before) => (before === undefined || now < before ? now : now - before);
const total = (counts) => counts.reduce((sum, n) => sum + n, 0);

function byKey(look) {
  if (!look.byKey) look.byKey = new Map(look.models.map((v) => [keyOf(v), v]));
  return look.byKey;
}

function versionsOf(look, key) {
  if (key === null) return look.models;
  const version = byKey(look).get(key);
  return version ? [version] : [];
}

/** What happened to the chosen versions (a key, or null: all) between two looks. */
export function change(before, now, key) {
  const c = {
    requests: { counts: [], sum: 0 },
    queue: { counts: [], sum: 0 },
    batch: { counts: [], sum: 0 },
    answers: [0, 0, 0],
    refused: 0,
    restarts: 0,
  };
  for (const v of versionsOf(now, key)) {
    const was = byKey(before).get(keyOf(v));
    for (const part of ["requests", "queue", "batch"]) {
      addHistogram(c[part], histogramSince(v[part], was && was[part]));
    }
    v.answers.forEach((n, i) => {
      c.answers[i] += since(n, was && was.answers[i]);
    });
    c.refused += since(v.refused, was && was.refused);
    c.restarts += since(v.restarts, was && was.restarts);
  }
  c.seconds = Math.max((now.at - before.at) / 1000, 0.001);
  return c;
}

function gauges(look, key) {
  const sum = (name) => versionsOf(look, key).reduce((n, v) => n + v[name], 0);
  return {
    waiting: sum("waiting"),
    running: sum("running"),
    ready: sum("ready"),
    busy: sum("busy"),
    min: sum("min"),
    workerMemory: sum("memory"),
    memory: look.memory.used,
    memoryLimit: look.memory.limit,
  };
}

function cpuBetween(before, now) {
  const spent = now.host.cpuTotal - before.host.cpuTotal;
  return spent > 0 ? (now.host.cpuBusy - before.host.cpuBusy) / spent : null;
}

const LOOKS = 150;
const WINDOW = 5; // looks that a percentile is taken over: of few requests one says little

/** The last looks, and what they say of versions. */
export class History {
  constructor() {
    this.looks = [];
    this.bounds = [];
    this.batchBounds = [];
  }

  add(look) {
    const last = this.looks[this.looks.length - 1];
    if (last && look.up < last.up) this.looks = []; // the server has been started again
    this.bounds = look.bounds || this.bounds;
    this.batchBounds = look.batchBounds || this.batchBounds;
    this.looks.push(look);
    if (this.looks.length > LOOKS) this.looks.shift();
  }

  get now() {
    return this.looks[this.looks.length - 1];
  }

  /** One point for the look at `i`. */
  point(i, key) {
    const now = this.looks[i];
    const last = this.looks[i - 1];
    const wide = change(this.looks[Math.max(0, i - WINDOW)], now, key);
    const c = change(last, now, key);
    const batches = total(wide.batch.counts);
    const [good, theirs, ours] = c.answers.map((n) => n / c.seconds);
    return {
      at: now.at,
      ...gauges(now, key),
      rate: good + theirs + ours,
      good,
      theirs,
      ours,
      errors: theirs + ours,
      refused: c.refused / c.seconds,
      p50: percentile(this.bounds, wide.requests.counts, 0.5),
      p90: percentile(this.bounds, wide.requests.counts, 0.9),
      p99: percentile(this.bounds, wide.requests.counts, 0.99),
      queue: percentile(this.bounds, wide.queue.counts, 0.5),
      batch: batches ? wide.batch.sum / batches : null,
      cpu: cpuBetween(last, now),
      gpus: now.gpus,
    };
  }

  /** Points of all looks but the first, oldest first. They do not change, so each is made once. */
  points(key) {
    const kept = this.kept && this.kept.key === key ? this.kept : { key, points: new Map() };
    this.kept = kept;
    const points = new Map();
    for (let i = 1; i < this.looks.length; i++) {
      const look = this.looks[i];
      points.set(look, kept.points.get(look) || this.point(i, key));
    }
    kept.points = points;
    return [...points.values()];
  }

  /** The newest point of every version, by its key. */
  latest() {
    const i = this.looks.length - 1;
    const found = new Map();
    if (i > 0) for (const v of this.now.models) found.set(keyOf(v), this.point(i, keyOf(v)));
    return found;
  }
}
