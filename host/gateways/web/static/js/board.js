// One card per board. Built once, then only what changed is written.

import { command, read } from "./api.js";
import { Chart } from "./chart.js";
import { h, put, text } from "./dom.js";
import { DASH, celsius, duration, milli, number } from "./format.js";
import { forecastMeter, scoreMeter } from "./meters.js";
import { may } from "./session.js";

const OVERRIDE_S = 600;
const STATUS = {
  online: "online",
  sleeping: "sleeping",
  lost: "silent",
  disconnected: "disconnected",
  offline: "bridge stopped",
};

export class BoardCard {
  constructor(device) {
    this.device = device;
    this.view = { tel: {}, alarms: [] };
    this.build();
    this.chart = new Chart(this.chartNode);
    this.history();
  }

  async history() {
    try {
      this.chart.set((await read(`/api/history/${this.device}`)).points);
    } catch {
      // A board known only from the store has no chart yet.
    }
  }

  build() {
    const tile = (key, name, unit) => {
      this[key] = h("span", {}, DASH);
      return h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, this[key], h("small", {}, unit)));
    };
    const legend = (line, name) => h("span", {}, h("i", { data: { line } }), name);
    this.status = h("span", { class: "status" });
    this.about = h("span", { class: "about" });
    this.alarms = h("div", { class: "alarms" });
    this.tempValue = h("span", {}, DASH);
    this.temp = h("div", { class: "temp" }, this.tempValue, h("small", {}, "°C"));
    this.below = h("p", { class: "below" });
    this.fanText = h("span", {}, DASH);
    this.fan = h("div", { class: "fan" }, blades(), this.fanText);
    this.why = h("p", { class: "why" });
    this.chartNode = h("div", { class: "chart" });
    this.score = h("div", {});
    this.forecast = h("div", {});
    this.answer = h("output", {});
    this.buttons = [
      this.button("Fan on, 10 min", "override", { fan: 1, for_s: OVERRIDE_S }),
      this.button("Fan off, 10 min", "override", { fan: 0, for_s: OVERRIDE_S }),
      this.button("Automatic", "auto", {}),
    ];
    this.node = h("article", { class: "board", data: { device: this.device } },
      h("div", { class: "board-head" }, h("h2", {}, this.device), this.status, this.about),
      this.alarms,
      h("div", { class: "body" },
        h("div", {}, h("div", { class: "now" }, h("div", {}, this.temp, this.below), this.fan), this.why),
        h("div", { class: "plot" },
          this.chartNode,
          h("div", { class: "legend" }, legend("case", "case"), legend("forecast", "forecast, fan off"), legend("limit", "limit"), legend("fan", "fan ran")))),
      h("dl", { class: "tiles" }, tile("ambient", "Ambient", "°C"), tile("power", "Power", "W"), tile("rpm", "Fan speed", "rpm"), tile("supply", "Supply", "V")),
      h("div", { class: "meters" }, this.forecast, this.score),
      (this.actions = h("div", { class: "actions" }, ...this.buttons, this.answer)));
  }

  button(label, name, args) {
    return h("button", { type: "button", data: { command: name }, on: { click: () => this.send(label, name, args) } }, label);
  }

  async send(label, name, args) {
    this.busy = true;
    this.enable();
    delete this.answer.dataset.ok;
    text(this.answer, `${label}: asking the board`);
    let result;
    try {
      result = await command(this.device, name, args);
    } catch {
      result = { ok: false, msg: "the bridge does not answer" };
    }
    this.busy = false;
    this.enable();
    this.answer.dataset.ok = result.ok ? 1 : 0;
    text(this.answer, result.ok ? `${label}: done` : `${label}: ${result.msg}`);
  }

  enable() {
    for (const button of this.buttons) {
      button.disabled = this.busy || this.view.status !== "online";
      button.hidden = !may(button.dataset.command);
    }
    this.actions.hidden = this.buttons.every((button) => button.hidden);
  }

  update(view) {
    this.view = view;
    this.status.dataset.status = view.status;
    this.status.dataset.safe = view.safe ? 1 : 0;
    text(this.status, view.safe ? `${STATUS[view.status] || view.status}, safe mode` : STATUS[view.status] || view.status);
    text(this.about, [view.board, view.fw && `firmware ${view.fw}`, ...Object.values(view.models)].filter(Boolean).join(" · "));
    this.node.dataset.live = view.status === "online" ? 1 : 0;
    this.node.dataset.alarm = view.alarms.length ? 1 : 0;
    put(this.alarms, ...view.alarms.map((alarm) => h("p", { class: "alarm", role: "alert" }, alarm.why)));
    this.setReason(view.reason);
    this.enable();
    this.reading(view.tel);
  }

  decided(record) {
    if (typeof record.limit_mc === "number") this.view.limit_mc = record.limit_mc;
    this.setReason(record.why);
  }

  setReason(reason) {
    put(this.why, h("span", {}, "Why"), reason || "No decision received yet.");
  }

  reading(tel, point) {
    this.view.tel = tel;
    const limit = this.view.limit_mc;
    const room = typeof limit === "number" && typeof tel.case_mc === "number" ? milli(limit - tel.case_mc) : null;
    text(this.tempValue, celsius(tel.case_mc));
    this.temp.dataset.over = room !== null && room < 0 ? 1 : 0;
    text(this.below, room === null ? "case temperature" : `case, ${number(Math.abs(room))} K ${room < 0 ? "above" : "below"} the limit of ${celsius(limit)} °C`);
    this.fan.dataset.on = tel.fan ? 1 : 0;
    const state = tel.fan === 1 ? "Fan on" : tel.fan === 0 ? "Fan off" : "Fan unknown";
    text(this.fanText, tel.ov ? `${state}, override ${duration(tel.ov)}` : state);
    this.buttons[0].setAttribute("aria-pressed", tel.ov > 0 && tel.fan === 1);
    this.buttons[1].setAttribute("aria-pressed", tel.ov > 0 && tel.fan === 0);
    text(this.ambient, celsius(tel.ambient_mc));
    text(this.power, number(milli(tel.power_mw), 2));
    text(this.rpm, number(tel.fan_rpm, 0));
    text(this.supply, number(milli(tel.supply_mv), 2));
    scoreMeter(this.score, tel);
    forecastMeter(this.forecast, tel, limit);
    this.chart && (this.chart.limit = limit);
    if (point) this.chart.add(point);
  }
}

function blades() {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("aria-hidden", "true");
  for (const angle of [0, 120, 240]) {
    const path = document.createElementNS(ns, "path");
    path.setAttribute("d", "M16 14.2c-1.6-3.2-1.2-8.6 2.2-10.6 3.1-1.8 6.6.3 6.3 3.4-.3 3.3-4.4 4.4-6.6 7.6z");
    path.setAttribute("transform", `rotate(${angle} 16 16)`);
    svg.append(path);
  }
  const hub = document.createElementNS(ns, "circle");
  for (const [key, value] of [["cx", 16], ["cy", 16], ["r", 2.6]]) hub.setAttribute(key, value);
  svg.append(hub);
  return svg;
}
