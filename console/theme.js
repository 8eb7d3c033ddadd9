// SPDX-License-Identifier: Apache-2.0
// Light, dark, or as the system has it.

import { say } from "./dom.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const NAMES = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" };
const PLACE = "sconce.theme";

function apply(button, theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  say(button, NAMES[theme]);
  button.setAttribute("aria-label", `${NAMES[theme]}. Change to ${NEXT[theme]}`);
}

export function startTheme(button) {
  let theme = localStorage.getItem(PLACE);
  if (!(theme in NEXT)) theme = "auto";
  apply(button, theme);
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    localStorage.setItem(PLACE, theme);
    apply(button, theme);
  });
}
