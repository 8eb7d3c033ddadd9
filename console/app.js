// SPDX-License-Identifier: Apache-2.0
// The console: looks at the server every two seconds, and shows the view that the address names.

import { call, keyOfKind } from "./api.js";
import { askForKeys } from "./dialogs.js";
import { say, show } from "./dom.js";
import { History } from "./figures.js";
import { count, duration } from "./format.js";
import { Model } from "./model.js";
import { Overview } from "./overview.js";
import { startTheme } from "./theme.js";

const LOOK_MS = 2000;
const at = (id) => document.getElementById(id);

class App {
  constructor() {
    this.history = new History();
    this.asking = null;
    startTheme(at("theme"));
    at("keys").addEventListener("click", () => this.ask("management"));
    document.querySelector(".skip").addEventListener("click", (e) => {
      e.preventDefault();
      at("main").focus();
    });
    addEventListener("hashchange", () => this.route(true));
    document.addEventListener("visibilitychange", () => this.poll());
    this.route(false);
    this.poll();
  }

  /** `#/model/NAME/VERSION`, or everything. */
  route(moved) {
    const [, what, name, version] = location.hash.split("/").map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
    this.view =
      what === "model" && name && version ? new Model(this, name, version) : new Overview(this);
    document.title = this.view.title;
    at("main").replaceChildren(this.view.element);
    this.view.update();
    if (moved) {
      scrollTo(0, 0);
      (this.view.heading || at("main")).focus({ preventScroll: true });
    }
  }

  /** One dialog, however many calls need a key at once. */
  ask(kind, why) {
    if (!this.asking) {
      this.asking = askForKeys(kind, why).then((given) => {
        this.asking = null;
        if (given) {
          this.locked = false;
          this.poll();
        }
        return given;
      });
    }
    return this.asking;
  }

  /** A call of the management API; where it wants a key, it is made again with the next one. */
  async call(method, path, options) {
    try {
      return await call(method, path, options);
    } catch (e) {
      if (
        !e.needsKey ||
        document.querySelector("dialog[open]") ||
        !(await this.ask("management", e.message))
      ) {
        throw e;
      }
      return call(method, path, options);
    }
  }

  async poll() {
    clearTimeout(this.timer);
    if (document.hidden || this.polling || this.locked) return;
    this.polling = true;
    try {
      this.history.add(await call("GET", "console/api/figures"));
      this.failed = null;
    } catch (e) {
      this.failed = e;
    }
    this.polling = false;
    this.tell();
    if (this.failed && this.failed.needsKey) this.lock();
    else this.timer = setTimeout(() => this.poll(), LOOK_MS);
  }

  /** Nothing is to be seen without a key. */
  lock() {
    this.locked = true;
    this.ask("management", keyOfKind("management") ? this.failed.message : undefined);
  }

  tell() {
    const { now } = this.history;
    if (!this.failed) this.view.update();
    this.tellHealth(now);
    say(at("about"), now ? `${now.sconce}, up ${duration(now.up)}` : "");
    show(at("keys"), Boolean((this.failed && this.failed.needsKey) || (now && now.authorization)));
    let notice = this.failed ? this.failed.message : "";
    if (this.failed && this.failed.needsKey && !keyOfKind("management")) {
      notice = "This server shows its models to those who have its management key.";
    }
    if (this.failed && this.failed.status === 0) notice += " What you see is as it was last.";
    if (!notice && now.omitted)
      notice = `${count(now.omitted, "more version")} than are shown here.`;
    say(at("notice"), notice);
    show(at("notice"), Boolean(notice));
  }

  tellHealth(now) {
    let [kind, text] = ["bad", "Not reached"];
    if (this.failed && this.failed.needsKey) [kind, text] = ["warn", "Key needed"];
    else if (this.failed && this.failed.status) text = "Refused";
    else if (!this.failed && now.starting) [kind, text] = ["warn", "Starting"];
    else if (!this.failed && now.ready) [kind, text] = ["good", "Ready"];
    else if (!this.failed) text = "Not ready";
    say(at("health"), text);
    at("health").className = `pill ${kind}`;
  }
}

new App();
