// SPDX-License-Identifier: Apache-2.0
// Asks a model with a file or a text, and shows its answer, where the time went, and the command
// that asks the same. The call is made at the management address, so that a browser need not be
// allowed to reach the other one from here; it runs the same way, and needs the inference key.

import { CallError, failure, keyOfKind, segment, send } from "./api.js";
import { askForKeys } from "./dialogs.js";
import { field, h, say, show, toast } from "./dom.js";
import { bytes, count, quoted, seconds } from "./format.js";

const SHOWN = 256 * 1024; // bytes of an answer
const BINARY = /^(image|audio|video)\//;
const ENDINGS = {
  "application/json": ".json",
  "audio/wav": ".wav",
  "image/jpeg": ".jpg",
  "image/png": ".png",
  "text/plain": ".txt",
};
const LONG = 400; // of a text in the command

/** "queue;dur=1.5, batch;dur=3;desc=\"4\"" as an object of numbers; `requests`: of the batch. */
export function timings(header) {
  const found = {};
  for (const part of (header || "").split(",")) {
    const match = /^\s*(\w+);dur=([\d.]+)(?:;desc="(\d+)")?/.exec(part);
    if (match) found[match[1]] = Number(match[2]);
    if (match?.[3]) found.requests = Number(match[3]);
  }
  return found;
}

/** Where clients reach the models, as this browser would. */
export function inferenceRoot(look) {
  if (look.sameAddress) return location.origin;
  const match = /^http:\/\/(\[[^\]]*\]|[^:/]*)(?::(\d+))?$/.exec(look.inference);
  if (!match) return look.inference;
  const own = /^(127\.|0\.0\.0\.0|localhost|\[::1?\])/.test(match[1]);
  return `http://${own ? location.hostname : match[1]}:${match[2] || 80}`;
}

/** The same call for a shell. */
export function command(look, version, input) {
  const root = inferenceRoot(look);
  const path = `/predictions/${segment(version.name)}/${segment(version.version)}`;
  const words = ["curl"];
  if (look.authorization) words.push('-H "Authorization: Bearer $KEY"');
  words.push(`-H ${quoted(`Content-Type: ${input.type}`)}`);
  if (input.name !== null) words.push(`--data-binary ${quoted(`@${input.name}`)}`);
  else if (input.body.length <= LONG) words.push(`--data-binary ${quoted(input.body)}`);
  else words.push("--data-binary @request");
  const socket = /^unix:(?:\/\/)?(.*)$/.exec(root);
  words.push(
    socket
      ? `--unix-socket ${quoted(socket[1])} ${quoted(`http://localhost${path}`)}`
      : quoted(root + path),
  );
  return words.join(" ");
}

/** What bytes without a type are, where they are a picture. */
export function pictureType(piece) {
  const begins = (at, ...wanted) => wanted.every((byte, i) => piece[at + i] === byte);
  if (begins(0, 0x89, 0x50, 0x4e, 0x47)) return "image/png";
  if (begins(0, 0xff, 0xd8, 0xff)) return "image/jpeg";
  if (begins(0, 0x47, 0x49, 0x46, 0x38)) return "image/gif";
  return begins(0, 0x52, 0x49, 0x46, 0x46) && begins(8, 0x57, 0x45, 0x42, 0x50) ? "image/webp" : "";
}

function pretty(text, type) {
  if (!/json/.test(type) && !/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export class Try {
  constructor(app, version) {
    Object.assign(this, { app, version, file: null, urls: [] });
    this.makeInputs();
    this.makeAnswer();
    this.send = h("button", { type: "submit", class: "primary" }, "Send");
    this.stop = h(
      "button",
      { type: "button", class: "plain", hidden: true, on: { click: () => this.abort.abort() } },
      "Stop",
    );
    this.form = h(
      "form",
      {
        class: "try",
        on: {
          submit: (e) => {
            e.preventDefault();
            this.run();
          },
        },
      },
      this.drop,
      h("p", { class: "or" }, "or"),
      field("Text", this.text),
      this.wrong,
      field("Content type", this.type),
      h("div", { class: "buttons start" }, this.send, this.stop),
    );
    this.element = h("section", { class: "card" }, h("h2", {}, "Try it"), this.form, this.answer);
    this.update();
  }

  makeInputs() {
    this.chooser = h("input", {
      type: "file",
      class: "unseen",
      id: "file",
      on: { change: () => this.take(this.chooser.files[0]) },
    });
    this.picture = h("img", { alt: "", hidden: true });
    this.label = h("span");
    this.clear = h(
      "button",
      { type: "button", class: "plain", hidden: true, on: { click: () => this.take(null) } },
      "Remove",
    );
    this.drop = h(
      "div",
      { class: "drop" },
      this.chooser,
      h("label", { for: "file" }, this.picture, this.label),
      this.clear,
    );
    this.drop.addEventListener("dragover", (e) => {
      e.preventDefault();
      this.drop.classList.add("over");
    });
    this.drop.addEventListener("dragleave", () => this.drop.classList.remove("over"));
    this.drop.addEventListener("drop", (e) => {
      e.preventDefault();
      this.drop.classList.remove("over");
      this.take(e.dataTransfer.files[0] || null);
    });
    this.text = h("textarea", {
      rows: 4,
      spellcheck: "false",
      placeholder: '{"data": [1, 2, 3]}',
      on: { input: () => this.update() },
    });
    this.wrong = h("p", { class: "warning", role: "status", hidden: true });
    this.type = h("input", {
      value: "application/json",
      list: "types",
      autocomplete: "off",
      on: { input: () => this.update() },
    });
    this.drop.append(
      h(
        "datalist",
        { id: "types" },
        ...[
          "application/json",
          "text/plain",
          "image/jpeg",
          "image/png",
          "application/octet-stream",
        ].map((value) => h("option", { value })),
      ),
    );
  }

  makeAnswer() {
    this.status = h("p", { class: "status", role: "status" });
    this.bar = h("div", { class: "timebar", role: "img", hidden: true });
    this.parts = h("ul", { class: "legend" });
    this.output = h("pre", { tabindex: 0, "aria-label": "Answer" });
    this.image = h("img", { alt: "The model's answer", class: "output", hidden: true });
    this.save = h("a", { class: "button", hidden: true }, "Save the answer");
    this.curl = h("code");
    this.copy = h(
      "button",
      { type: "button", class: "plain", on: { click: () => this.copyCommand() } },
      "Copy",
    );
    this.result = h(
      "div",
      { class: "result", hidden: true },
      this.status,
      this.bar,
      this.parts,
      this.output,
      this.image,
      this.save,
    );
    this.answer = h(
      "div",
      {},
      this.result,
      h("h3", {}, "The same from a command line"),
      h("div", { class: "command" }, this.curl, this.copy),
    );
  }

  take(file) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
    this.file = file || null;
    this.chooser.value = "";
    if (this.file) this.type.value = this.file.type || "application/octet-stream";
    else this.type.value = "application/json";
    if (this.file && this.file.type.startsWith("image/")) {
      this.url = URL.createObjectURL(this.file);
      this.picture.src = this.url;
    }
    show(this.picture, Boolean(this.url));
    this.update();
    if (this.file) this.send.focus();
  }

  get input() {
    const body = this.file || this.text.value;
    return {
      body,
      type: this.type.value.trim() || "application/octet-stream",
      name: this.file ? this.file.name : null,
    };
  }

  update() {
    const input = this.input;
    say(
      this.label,
      this.file
        ? `${this.file.name}, ${bytes(this.file.size)}`
        : "Drop a photograph or any file here, or choose one",
    );
    show(this.clear, Boolean(this.file));
    this.text.disabled = Boolean(this.file);
    let wrong = "";
    if (!this.file && input.body && /json/.test(input.type)) {
      try {
        JSON.parse(input.body);
      } catch (e) {
        wrong = `This is not JSON yet: ${e.message}`;
      }
    }
    say(this.wrong, wrong);
    show(this.wrong, Boolean(wrong));
    const { now } = this.app.history;
    if (now) say(this.curl, command(now, this.version, input));
  }

  async run() {
    const { name, version } = this.version;
    const { body, type } = this.input;
    this.abort = new AbortController();
    this.send.disabled = true;
    show(this.stop, true);
    try {
      const ask = () =>
        send("POST", `console/api/try/${segment(name)}/${segment(version)}`, {
          body,
          kind: "inference",
          signal: this.abort.signal,
          headers: { "Content-Type": type, "X-Sconce-Timing": "1" },
        });
      this.began = performance.now();
      let response = await ask();
      if (response.status === 400 || response.status === 401)
        response = await this.withKey(response, ask);
      await this.draw(response);
    } catch (e) {
      this.fail(e.name === "AbortError" ? "Stopped." : e.message);
    }
    this.send.disabled = false;
    show(this.stop, false);
    this.app.poll();
  }

  /** Asks for the key where that is what is wrong; the answer that counts. */
  async withKey(response, ask) {
    const wrong = await failure(response.clone());
    if (!wrong.needsKey) return response;
    const given = await askForKeys(
      "inference",
      keyOfKind("inference")
        ? wrong.message
        : "Asking a model needs the inference key of the server's key_file.json.",
    );
    if (!given) throw new CallError(response.status, wrong.type, wrong.message);
    this.began = performance.now();
    return ask();
  }

  fail(message) {
    show(this.result, true);
    say(this.status, message);
    this.status.className = "status bad";
    for (const part of [this.bar, this.parts, this.output, this.image, this.save])
      show(part, false);
  }

  async draw(response) {
    const type = response.headers.get("content-type") || "";
    const head = `${response.status} ${response.statusText}`.trim();
    show(this.result, true);
    show(this.image, false);
    show(this.save, false);
    show(this.output, true);
    say(this.output, "");
    this.status.className = `status ${response.ok ? "good" : "bad"}`;
    say(this.status, head);
    this.drawTimes(timings(response.headers.get("server-timing")));
    const { blob, text } = await this.read(response, type);
    const took = (performance.now() - this.began) / 1000;
    say(
      this.status,
      `${head} in ${seconds(took)}, ${bytes(blob.size)}, ${type || "no content type"}`,
    );
    this.drawBody(blob, text, blob.type);
  }

  /** Reads it to its end, showing what is text as it comes. */
  async read(response, type) {
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const pieces = [];
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!type && !pieces.length) type = pictureType(value);
      pieces.push(value);
      if (text.length < SHOWN && !BINARY.test(type)) {
        text += decoder.decode(value, { stream: true });
        say(this.output, text.slice(0, SHOWN));
      }
    }
    return { blob: new Blob(pieces, { type }), text };
  }

  drawBody(blob, text, type) {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
    const urlOf = (content) => this.urls[this.urls.push(URL.createObjectURL(content)) - 1];
    // What is saved is bytes: opened by mistake, it must be no page of this origin.
    this.save.href = urlOf(blob.slice(0, blob.size, "application/octet-stream"));
    this.save.download = `${this.version.name}-answer${ENDINGS[type.split(";")[0]] || ""}`;
    const picture = /^image\//.test(type);
    if (picture) this.image.src = urlOf(blob);
    show(this.image, picture);
    const strange = BINARY.test(type) || /[\u0000\ufffd]/.test(text);
    const cut = blob.size > SHOWN;
    show(this.save, strange || cut);
    show(this.output, !picture);
    if (strange && !picture) say(this.output, `${bytes(blob.size)} that are no text.`);
    else if (!picture)
      say(this.output, cut ? `${text.slice(0, SHOWN)}\n… cut` : pretty(text, type));
  }

  drawTimes(times) {
    const known = times.total !== undefined;
    const rest = known ? Math.max(times.total - times.read - times.queue - times.batch, 0) : 0;
    const parts = [
      ["read", times.read],
      ["queue", times.queue],
      ["batch", Math.max(times.batch - (times.handler || 0), 0)],
      ["handler", times.handler],
      ["rest", rest],
    ].filter(([name, ms]) => ms !== undefined && (name !== "rest" || ms > 0.05));
    show(this.bar, known);
    show(this.parts, known);
    if (!known) return;
    this.bar.replaceChildren(
      ...parts.map(([, ms], i) => {
        const part = h("span", { class: `s${i}` });
        part.style.flexGrow = String(Math.max(ms / times.total, 0.004));
        return part;
      }),
    );
    const said = parts.map(([name, ms]) => `${name} ${seconds(ms / 1000)}`);
    this.bar.setAttribute("aria-label", said.join(", "));
    this.parts.replaceChildren(
      ...parts.map(([name, ms], i) =>
        h("li", { class: `s${i}` }, `${name} `, h("b", {}, seconds(ms / 1000))),
      ),
      h("li", {}, "batch of ", h("b", {}, count(times.requests || 1, "request"))),
    );
  }

  async copyCommand() {
    try {
      await navigator.clipboard.writeText(this.curl.textContent);
      toast("Copied.");
    } catch {
      getSelection().selectAllChildren(this.curl);
      toast("Selected: copy it with your keyboard.");
    }
  }
}
