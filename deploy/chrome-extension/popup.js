// The popup: a card per board, what a board says as text only.

import { boards, refresh, settings } from "./status.js";

const EVERY_MS = 3000;
const list = document.getElementById("boards");

function make(tag, name, content) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.textContent = content;
  return node;
}

function card(status) {
  const node = document.createElement("article");
  node.dataset.device = status.device;
  node.dataset.fan = status.fan || "";
  node.dataset.state = status.alarms.length ? "alarm" : status.status === "online" ? "ok" : "gone";
  const temp = typeof status.case_c === "number" ? `${status.case_c.toFixed(1)} °C` : "– °C";
  const head = make("header", "", "");
  head.append(make("b", "", status.device), make("span", "", status.status));
  const now = make("div", "now", "");
  now.append(make("span", "temp", temp), make("span", "", status.fan ? `fan ${status.fan.toLowerCase()}` : "fan unknown"));
  node.append(head, now, make("p", "why", status.reason || "no decision yet"));
  for (const alarm of status.alarms) node.append(make("p", "alarm", alarm.why));
  return node;
}

async function show() {
  const set = await settings();
  document.getElementById("page").href = set.bridge;
  try {
    const found = await boards(set);
    list.replaceChildren(...(found.length ? found.map(card) : [make("p", "note", "No board has reported yet.")]));
  } catch (error) {
    list.replaceChildren(make("p", "note", `${error.message[0].toUpperCase()}${error.message.slice(1)}.`));
  }
  refresh();
}

document.getElementById("options").addEventListener("click", () => chrome.runtime.openOptionsPage());
show();
setInterval(show, EVERY_MS);
