// SPDX-License-Identifier: Apache-2.0
// Calls of the server, with the keys that its user gave. Keys live in sessionStorage, as long as
// the tab does, and go nowhere but into the Authorization header.

// Behind a proxy the console may have a prefix: everything is named relative to this file.
const ROOT = new URL("../../", import.meta.url);

export const KINDS = ["management", "inference"];
const place = (kind) => `sconce.key.${kind}`;

export const keyOfKind = (kind) => sessionStorage.getItem(place(kind)) || "";

export function setKey(kind, key) {
  if (key) sessionStorage.setItem(place(kind), key);
  else sessionStorage.removeItem(place(kind));
}

export class CallError extends Error {
  constructor(status, type, message) {
    super(message);
    this.status = status;
    this.type = type;
  }

  /** The server wants a key, or another one. */
  get needsKey() {
    return this.type === "InvalidKeyException" || this.status === 401;
  }
}

export const segment = (text) => encodeURIComponent(text);

function address(path, query) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url;
}

/** The answer as it comes; only a call that reaches nobody throws. */
export async function send(
  method,
  path,
  { query, body, kind = "management", headers = {}, signal } = {},
) {
  const key = keyOfKind(kind);
  const all = new Headers(headers);
  if (key) all.set("Authorization", `Bearer ${key}`);
  try {
    return await fetch(address(path, query), {
      method,
      body,
      headers: all,
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new CallError(0, "Unreachable", "The server does not answer.");
  }
}

/** What is wrong, by TorchServe's document, or as far as the status says it. */
export async function failure(response) {
  const text = await response.text();
  try {
    const { type, message } = JSON.parse(text);
    return new CallError(response.status, String(type), String(message));
  } catch {
    const cause = text.slice(0, 300) || response.statusText;
    return new CallError(response.status, "", `${response.status}: ${cause}`);
  }
}

/** A JSON document, or a CallError. */
export async function call(method, path, options) {
  const response = await send(method, path, options);
  if (!response.ok) throw await failure(response);
  return response.json();
}
