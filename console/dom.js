// SPDX-License-Identifier: Apache-2.0
// Elements from data. Text only ever becomes text: nothing here reads markup from a string.

const SVG = "http://www.w3.org/2000/svg";

function decorate(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value))
        element.addEventListener(event, listener);
    } else if (name === "value" || name === "checked") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const h = (tag, attributes = {}, ...children) =>
  decorate(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  decorate(document.createElementNS(SVG, tag), attributes, children);

/** Sets the text where it is another, so that a selection and a screen reader are left alone. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/** A labelled field of a form. */
export function field(label, input, hint) {
  input.id = input.id || `f${field.next++}`;
  const note = hint ? h("small", { id: `${input.id}-hint` }, hint) : null;
  if (note) input.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, note);
}
field.next = 1;

/** Keeps one child for each key, in the given order; `make` makes it, `update` fills it in. */
export function keyed(parent, items, key, make, update) {
  const kept = parent.kept || (parent.kept = new Map());
  const seen = new Set();
  items.forEach((item, i) => {
    const name = key(item);
    seen.add(name);
    if (!kept.has(name)) kept.set(name, make(item));
    const child = kept.get(name);
    update(child, item);
    if (parent.children[i] !== child.element) {
      parent.insertBefore(child.element, parent.children[i] || null);
    }
  });
  for (const [name, child] of kept) {
    if (!seen.has(name)) {
      child.element.remove();
      kept.delete(name);
    }
  }
}

export function toast(text, kind = "good") {
  const element = h("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), kind === "bad" ? 12000 : 5000);
}
