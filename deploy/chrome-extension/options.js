// Saves the settings, asks for the one permission they need, and tries them.

import { boards, settings } from "./status.js";

const field = (id) => document.getElementById(id);
const said = field("said");
const KEYS = ["bridge", "token", "board"];

settings().then((set) => {
  KEYS.forEach((key) => (field(key).value = set[key]));
  document.querySelector("button").disabled = false;
});

field("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const set = Object.fromEntries(KEYS.map((key) => [key, field(key).value.trim()]));
  set.bridge = new URL(set.bridge).origin;
  // Asked for first: Chrome wants it straight from the click.
  const allowed = await chrome.permissions.request({ origins: [`${set.bridge}/*`] });
  if (!allowed) {
    said.textContent = "Without that permission the extension cannot ask the bridge.";
    return;
  }
  await chrome.storage.local.set(set);
  try {
    const found = await boards(set);
    said.textContent = `Saved. The bridge knows ${found.length} board${found.length === 1 ? "" : "s"}.`;
  } catch (error) {
    said.textContent = `Saved, but ${error.message}.`;
  }
});
