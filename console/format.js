// SPDX-License-Identifier: Apache-2.0
// Numbers and states as people read them.

export function seconds(v) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (v === 0) return "0 ms";
  if (v < 0.001) return `${Math.round(v * 1e6)} µs`;
  if (v < 0.01) return `${(v * 1e3).toFixed(2)} ms`;
  if (v < 0.1) return `${(v * 1e3).toFixed(1)} ms`;
  if (v < 1) return `${Math.round(v * 1e3)} ms`;
  return v < 100 ? `${v.toFixed(v < 10 ? 2 : 1)} s` : `${Math.round(v)} s`;
}

export function number(v) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (v === 0) return "0";
  if (v < 10 && !Number.isInteger(v)) return v < 0.1 ? v.toFixed(2) : v.toFixed(1);
  return v < 10000 ? String(Math.round(v)) : `${(v / 1000).toFixed(v < 1e5 ? 1 : 0)} k`;
}

export const rate = (v) => (v === null || v === undefined ? "–" : `${number(v)}/s`);

export function bytes(v) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; v >= 1024 && i < units.length - 1; i++) v /= 1024;
  return `${i && v < 10 ? v.toFixed(1) : Math.round(v)} ${units[i]}`;
}

export const percent = (v) =>
  v === null || v === undefined || !Number.isFinite(v) ? "–" : `${Math.round(v * 100)} %`;

export function duration(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** What a version is like: [kind, text]. */
export function stateOf(v) {
  if (v.failed > 0) return ["bad", `${v.failed} of ${v.min} given up`];
  if (v.failure && !v.ready) return ["bad", "Does not load"];
  if (v.failure) return ["warn", `${v.ready} of ${v.min} ready`];
  if (v.ready >= v.min) return v.ready ? ["good", "Ready"] : ["idle", "No workers"];
  return v.ready ? ["warn", `${v.ready} of ${v.min} ready`] : ["warn", "Loading"];
}

/** A word for a POSIX shell. */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
