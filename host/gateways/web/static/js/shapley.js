// Shapley values as bars left and right of zero, with base value, sum and additivity error.

import { h } from "./dom.js";
import { feature, number, signed } from "./format.js";

const OF = {
  fc_off: "What moved the forecast with the fan off",
  fc_on: "What moved the forecast with the fan on",
  score: "What moved the anomaly score",
};

export function shapley(view, readings) {
  const kelvin = view.unit === "mK" || view.unit === "m°C";
  const scale = kelvin ? 1e-3 : 1;
  const unit = kelvin ? "K" : "";
  const show = (value, digits = kelvin ? 2 : 1) => `${signed(value * scale, digits)} ${unit}`.trim();
  const values = view.values.map((each) => each.value);
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  const span = high - low || 1;
  const zero = -low / span;

  const rows = view.values.map(({ name, value }) => {
    const { label, reading } = feature(name, readings && readings[name]);
    const from = value < 0 ? (value - low) / span : zero;
    return h("div", { class: "phi", data: { feature: name } },
      h("span", { class: "phi-name", title: `${label} ${reading}` }, label, " ", h("small", {}, reading)),
      h("span", { class: "phi-axis", vars: { "--zero": zero } },
        h("span", { class: "phi-bar", data: { sign: value < 0 ? "-" : "+" }, vars: { "--from": from, "--size": Math.abs(value) / span } })),
      h("span", { class: "phi-value" }, show(value)));
  });

  const exact = view.err === 0;
  return h("div", { class: "shapley" },
    h("p", { class: "shapley-title" }, OF[view.of] || view.of),
    ...rows,
    h("p", { class: "phi-sum" },
      h("span", {}, "base ", h("b", {}, show(view.base))),
      h("span", {}, "sum ", h("b", {}, show(view.sum))),
      h("span", {}, kelvin ? "forecast change " : "score ", h("b", {}, show(view.total))),
      h("span", { class: "phi-error", data: { exact: exact ? 1 : 0 } }, exact ? "adds up exactly (error 0)" : `additivity error ${number(view.err * scale, 3)} ${unit}`)));
}
