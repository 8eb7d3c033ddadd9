// SPDX-License-Identifier: Apache-2.0
// What is asked for in a dialog: keys, an archive to register, whether to go on.

import { KINDS, keyOfKind, setKey } from "./api.js";
import { field, h, say, show, toast } from "./dom.js";

/** Opens it; `go` may be asynchronous, and what it throws is shown. Resolves to what closed it. */
function ask(title, { body, confirm, danger, go }) {
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const yes = h("button", { type: "submit", class: danger ? "danger" : "primary" }, confirm);
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, title),
    ...body,
    error,
    h(
      "div",
      { class: "buttons" },
      h(
        "button",
        { type: "button", class: "plain", on: { click: () => dialog.close() } },
        "Cancel",
      ),
      yes,
    ),
  );
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  let result = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    yes.disabled = true;
    show(error, false);
    try {
      result = await go();
      dialog.close();
    } catch (e) {
      say(error, e.message);
      show(error, true);
    }
    yes.disabled = false;
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
  });
}

const HINTS = {
  management: "Shows and changes models.",
  inference: "Only for trying a model out.",
};

/** Asks for keys, the wanted kind first; true when they were given. */
export function askForKeys(wanted, why) {
  const inputs = Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      h("input", {
        type: "password",
        autocomplete: "off",
        spellcheck: "false",
        value: keyOfKind(kind),
        autofocus: kind === wanted,
      }),
    ]),
  );
  const forget = h(
    "button",
    {
      type: "button",
      class: "plain",
      on: {
        click: () => {
          for (const kind of KINDS) inputs[kind].value = "";
        },
      },
    },
    "Forget both",
  );
  return ask("Keys", {
    confirm: "Use",
    body: [
      h(
        "p",
        {},
        why || "They are in the server's key_file.json. This tab keeps them until it is closed.",
      ),
      ...KINDS.map((kind) =>
        field(
          kind === "management" ? "Management key" : "Inference key",
          inputs[kind],
          HINTS[kind],
        ),
      ),
      forget,
    ],
    go: () => {
      for (const kind of KINDS) setKey(kind, inputs[kind].value.trim());
      return true;
    },
  });
}

function registerFields() {
  const of = (attributes) =>
    h("input", { autocomplete: "off", spellcheck: "false", ...attributes });
  const integer = (value) => of({ type: "number", min: 0, step: 1, value });
  return {
    url: of({ required: true, placeholder: "densenet161.mar" }),
    model_name: of({}),
    initial_workers: integer(1),
    batch_size: integer(""),
    max_batch_delay: integer(""),
    response_timeout: integer(""),
  };
}

export async function register(app) {
  const f = registerFields();
  const done = await ask("Register a model", {
    confirm: "Register",
    body: [
      field("Archive", f.url, "A file of the model store, or a URL that allowed_urls permits."),
      field("Workers", f.initial_workers),
      h(
        "details",
        {},
        h("summary", {}, "More"),
        field("Name", f.model_name, "Empty: as the archive has it."),
        field("Batch size", f.batch_size),
        field("Longest wait for a batch, ms", f.max_batch_delay),
        field("Response timeout, s", f.response_timeout),
      ),
      h("p", { class: "dim" }, "This waits until the workers are ready, or says why they are not."),
    ],
    go: async () => {
      const query = Object.fromEntries(
        Object.entries(f).map(([k, input]) => [k, input.value.trim()]),
      );
      return app.call("POST", "models", { query: { ...query, synchronous: "true" } });
    },
  });
  if (done) toast(String(done.status));
  app.poll();
}

/** A change that cannot be taken back. */
export async function unregister(app, v) {
  const done = await ask(`Unregister ${v.name} ${v.version}?`, {
    confirm: "Unregister",
    danger: true,
    body: [h("p", {}, "New requests for it are refused at once; those it has are answered first.")],
    go: () =>
      app.call("DELETE", `models/${encodeURIComponent(v.name)}/${encodeURIComponent(v.version)}`),
  });
  if (done) toast(String(done.status));
  return Boolean(done);
}
