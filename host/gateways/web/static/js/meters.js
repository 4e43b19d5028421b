// The anomaly score against its threshold, and both forecasts against the limit.

import { h, put } from "./dom.js";
import { DASH, celsius, milli, number } from "./format.js";

const clamp = (value) => Math.max(0, Math.min(1, value));

export function scoreMeter(node, tel) {
  const { score, thr } = tel;
  if (typeof score !== "number") {
    put(node, h("p", { class: "meter-title" }, "Anomaly score"), h("p", { class: "meter-note" }, "no score now"));
    return;
  }
  const full = Math.max((thr || 0) * 2, score || 0, 1);
  put(node,
    h("p", { class: "meter-title" }, "Anomaly score", h("b", {}, `${number(score, 0)} of ${number(thr, 0)}`)),
    h("div", { class: "track" },
      h("span", { class: "fill", data: { over: score > thr ? 1 : 0 }, vars: { "--part": clamp((score || 0) / full) } }),
      typeof thr === "number" ? h("span", { class: "mark", vars: { "--part": clamp(thr / full) } }) : null),
    h("p", { class: "meter-note" }, tel.anom ? "alarm raised" : score > thr ? "above the threshold" : "nothing unusual"));
}

export function forecastMeter(node, tel, limitMc) {
  if (typeof tel.fc_off_mc !== "number" && typeof tel.fc_on_mc !== "number") {
    put(node, h("p", { class: "meter-title" }, "Forecast in 60 s"), h("p", { class: "meter-note" }, "no forecast now: the thermostat decides"));
    return;
  }
  const values = [tel.fc_off_mc, tel.fc_on_mc, limitMc, tel.case_mc].filter((v) => typeof v === "number").map(milli);
  const low = Math.min(...values) - 1;
  const high = Math.max(...values) + 1;
  const part = (mc) => clamp((milli(mc) - low) / (high - low));
  // From the temperature now to the forecast: the length is the change, the end is where it leads.
  const change = (kind, mc) => {
    const [from, to] = [part(tel.case_mc ?? mc), part(mc)];
    return h("span", { class: "change", data: { kind, to: to < from ? "left" : "right" }, vars: { "--from": Math.min(from, to), "--size": Math.abs(to - from) } });
  };
  const row = (name, kind, mc) => h("div", { class: "meter-row" },
    h("span", {}, name),
    h("div", { class: "track" },
      typeof mc === "number" ? change(kind, mc) : null,
      typeof limitMc === "number" ? h("span", { class: "mark", data: { kind: "limit" }, vars: { "--part": part(limitMc) } }) : null),
    h("output", {}, typeof mc === "number" ? `${celsius(mc)} °C` : DASH));
  put(node,
    h("p", { class: "meter-title" }, "Forecast in 60 s", typeof limitMc === "number" ? h("b", {}, `limit ${celsius(limitMc)} °C`) : null),
    row("fan off", "off", tel.fc_off_mc),
    row("fan on", "on", tel.fc_on_mc));
}
