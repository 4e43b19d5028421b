// The list of decisions and alarms, newest first.

import { read } from "./api.js";
import { h, put } from "./dom.js";
import { HELD, RULES, celsius, clock, day } from "./format.js";
import { shapley } from "./shapley.js";

const SHOWN = 60;
const PAGE = 20;

export class Decisions {
  constructor(list, more, filter, kind) {
    this.list = list;
    this.more = more;
    this.filter = filter;
    this.kind = kind;
    this.limit = SHOWN;
    // Records that come while the list is being read: they may not be among what is read.
    this.came = null;
    more.addEventListener("click", () => this.earlier());
    for (const select of [filter, kind]) select.addEventListener("change", () => this.reload());
  }

  query(kind, limit, before) {
    const query = new URLSearchParams({ limit });
    if (this.filter.value) query.set("device", this.filter.value);
    if (before) query.set("before", before);
    return read(`/api/${kind}?${query}`).then((body) => body[kind]);
  }

  async reload() {
    const came = (this.came = []);
    let late = false;
    const { records, more } = await this.page().finally(() => {
      late = came !== this.came;
      if (!late) this.came = null;
    });
    if (late) return; // asked for something else since
    this.limit = SHOWN;
    this.more.hidden = !more;
    put(this.list, ...records.map(entry));
    if (!records.length) put(this.list, h("li", { class: "empty" }, this.kind.value === "alarms" ? "No fault is stored." : "No decision is stored yet."));
    came.forEach((record) => this.add(record));
  }

  // One page, newest first: of one kind, or of both as far back as both were read.
  async page(before) {
    const kinds = this.kind.value ? [this.kind.value] : ["decisions", "alarms"];
    const lists = await Promise.all(kinds.map((kind) => this.query(kind, PAGE, before)));
    const full = lists.filter((list) => list.length === PAGE);
    const oldest = Math.max(0, ...full.map((list) => list[PAGE - 1].id));
    const records = lists.flat().filter((record) => record.id >= oldest);
    records.sort((a, b) => b.id - a.id);
    return { records, more: full.length > 0 };
  }

  // Of one board, or of all with "".
  only(device) {
    if (this.filter.value === device) return;
    this.devices(device ? [device] : []);
    this.filter.value = device;
    this.reload().catch(() => {});
  }

  async earlier() {
    const last = this.list.lastElementChild;
    const { records, more } = await this.page(last && last.dataset.id);
    this.limit += records.length;
    this.list.append(...records.map(entry));
    this.more.hidden = !more;
  }

  add(record) {
    this.came?.push(record);
    if (this.filter.value && this.filter.value !== record.dev) return;
    if (this.kind.value && (this.kind.value === "alarms") !== (record.t === "alarm")) return;
    if (this.list.querySelector(`[data-id="${record.id}"]`)) return;
    const empty = this.list.querySelector(".empty");
    if (empty) empty.remove();
    const older = [...this.list.children].find((each) => each.dataset.id < record.id);
    this.list.insertBefore(entry(record), older || null);
    // What came before midnight is not of today any more.
    for (const each of this.list.querySelectorAll(".day")) each.textContent = day(Number(each.dataset.at));
    while (this.list.children.length > this.limit) {
      this.list.lastElementChild.remove();
      this.more.hidden = false;
    }
  }

  devices(names) {
    const known = [...this.filter.options].slice(1).map((option) => option.value);
    for (const name of names) {
      if (!known.includes(name)) this.filter.append(h("option", { value: name }, name));
    }
  }
}

function entry(record) {
  const alarm = record.t === "alarm";
  const active = alarm ? record.on : record.set;
  const at = new Date(record.at * 1000);
  return h("li", { class: "decision", data: { id: record.id, kind: alarm ? "alarm" : "decision", set: active, device: record.dev, boot: record.boot, seq: record.seq } },
    h("div", { class: "when" },
      h("time", { datetime: at.toISOString(), title: at.toString() }, clock(record.at)),
      h("div", { class: "who" }, h("span", { class: "day", data: { at: record.at } }, day(record.at)), record.dev)),
    h("div", {},
      h("div", { class: "verdict" }, ...(alarm ? alarmChips(record) : chips(record))),
      h("p", { class: "reason" }, record.why),
      alarm ? null : h("p", { class: "facts" }, facts(record))),
    record.shapley
      ? shapley(record.shapley, record.in || (record.val && typeof record.val === "object" ? record.val : null))
      : h("p", { class: "no-model" }, alarm ? "" : "Decided by a rule, without a model: nothing to attribute."));
}

function chips(record) {
  const list = [
    h("span", { class: "chip", data: { tone: record.set ? "on" : "off" } }, record.set ? "fan on" : "fan off"),
    h("span", { class: "chip" }, RULES[record.rule] || record.rule),
  ];
  if (record.held) list.push(h("span", { class: "chip", data: { tone: "held" } }, HELD[record.held] || record.held));
  if (record.anom) list.push(h("span", { class: "chip", data: { tone: "bad" } }, "anomaly"));
  return list;
}

function alarmChips(record) {
  return [
    h("span", { class: "chip", data: { tone: record.on ? "bad" : "off" } }, record.on ? "alarm" : "cleared"),
    h("span", { class: "chip" }, record.kind),
  ];
}

function facts(record) {
  const parts = [`limit ${celsius(record.limit_mc)} °C`];
  if (record.fc_off_mc !== null) parts.push(`forecast off ${celsius(record.fc_off_mc)} °C, on ${celsius(record.fc_on_mc)} °C`);
  if (record.model) parts.push(record.model);
  parts.push(`record ${record.boot}/${record.seq}`);
  return parts.join(" · ");
}
