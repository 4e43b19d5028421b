// All boards at a glance, once there are more than fit; a click shows one alone (#its-name).

import { h, put, text } from "./dom.js";
import { byName, celsius } from "./format.js";

const FROM = 4;

export class Fleet {
  constructor(node, onFocus) {
    this.node = node;
    this.tiles = new Map();
    this.onFocus = onFocus;
    this.all = h("a", { class: "tile-all", href: "#" }, "All boards");
    window.addEventListener("hashchange", () => this.focus());
  }

  get focused() {
    const name = decodeURIComponent(location.hash.slice(1));
    return this.tiles.has(name) ? name : "";
  }

  update(view) {
    if (!this.tiles.has(view.device)) {
      const temp = h("b", {}, "");
      const node = h("a", { class: "fleet-tile", href: `#${encodeURIComponent(view.device)}`, data: { device: view.device } },
        h("span", {}, view.device), temp);
      this.tiles.set(view.device, { node, temp });
      put(this.node, ...[...this.tiles.keys()].sort(byName).map((name) => this.tiles.get(name).node), this.all);
      this.focus();
    }
    const { node } = this.tiles.get(view.device);
    node.dataset.status = view.status;
    node.dataset.alarm = view.alarms.length ? 1 : 0;
    node.title = view.alarms.length ? view.alarms[0].why : `${view.status}: ${view.reason || "no decision yet"}`;
    this.reading(view.device, view.tel, view.limit_mc);
  }

  reading(device, tel, limitMc) {
    const tile = this.tiles.get(device);
    if (!tile) return;
    if (typeof limitMc === "number") tile.limit = limitMc;
    text(tile.temp, `${celsius(tel.case_mc)} °C`);
    tile.node.dataset.fan = tel.fan ? 1 : 0;
    tile.node.dataset.over = tel.case_mc > tile.limit ? 1 : 0;
  }

  focus() {
    const name = this.focused;
    this.node.hidden = this.tiles.size < FROM && !name;
    this.all.hidden = !name;
    for (const [device, { node }] of this.tiles) node.toggleAttribute("aria-current", device === name);
    this.onFocus(name);
  }
}
