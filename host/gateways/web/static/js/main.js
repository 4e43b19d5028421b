// The page: one event stream in, cards and the list of decisions out.

import { BoardCard } from "./board.js";
import { Decisions } from "./decisions.js";
import { h, put, text } from "./dom.js";
import { Fleet } from "./fleet.js";
import { byName } from "./format.js";
import { show } from "./session.js";
import { connect } from "./stream.js";

const byId = (id) => document.getElementById(id);
const cards = new Map();
const decisions = new Decisions(byId("decisions"), byId("more"), byId("filter"), byId("kind"));
const fleet = new Fleet(byId("fleet"), (name) => {
  for (const each of cards.values()) visible(each);
  decisions.only(name);
});

// The board asked for; else all, or of a crowd those with an alarm: the others are tiles.
function visible(each) {
  const name = fleet.focused;
  const crowd = cards.size > CROWD && !each.view.alarms.length;
  each.node.hidden = name ? each.device !== name : crowd;
}
const CROWD = 12;
const STREAM = { live: "live", gone: "bridge not reachable, trying again" };
let connected = false;

function card(device) {
  if (!cards.has(device)) {
    const made = new BoardCard(device);
    cards.set(device, made);
    const after = [...cards.keys()].sort(byName).find((name) => byName(name, device) > 0 && cards.get(name).node.isConnected);
    byId("boards").insertBefore(made.node, after ? cards.get(after).node : null);
    decisions.devices([device]);
  }
  return cards.get(device);
}

function links(snapshot) {
  const say = { waiting: "waiting for it", connecting: "open, waiting for the board to say who it is" };
  put(byId("links"), ...snapshot.links.map((link) =>
    h("p", { class: "link", data: { state: link.state } }, h("b", {}, link.port), ` ${[say[link.state] || link.state, link.detail].filter(Boolean).join(": ")}`)));
}

const handlers = {
  snapshot(snapshot) {
    text(byId("site"), snapshot.site);
    byId("trouble").hidden = !snapshot.store_problem;
    text(byId("trouble"), `The store takes no records now (${snapshot.store_problem}). Boards keep theirs and repeat them.`);
    links(snapshot);
    for (const view of snapshot.boards) {
      card(view.device).update(view);
      fleet.update(view);
    }
    cards.forEach(visible);
    // After a restart of the bridge somebody else may be logged in, or nobody.
    show(byId("user")).then(() => cards.forEach((each) => each.enable())).catch(() => {});
    byId("boards").querySelector(".empty")?.remove();
    if (!cards.size) byId("boards").append(h("p", { class: "empty" }, "No board has reported yet."));
    // A snapshot follows every gap, so what the gap held is read again.
    decisions.reload().catch(() => {});
    if (connected) for (const each of cards.values()) each.history();
    connected = true;
  },
  board(view) {
    card(view.device).update(view);
    fleet.update(view);
    visible(card(view.device));
  },
  reading({ device, tel, point }) {
    card(device).reading(tel, point);
    fleet.reading(device, tel);
  },
  record(record) {
    decisions.add(record);
    if (record.t === "dec") card(record.dev).decided(record);
  },
};

connect(handlers, (state) => {
  byId("stream").dataset.state = state;
  text(byId("stream"), STREAM[state]);
});
