// The page: which boards there are, a button for each, and what happens then.

import { h, put, text } from "./dom.js";
import { install, WrongBoard } from "./installer_flash.js";

const byId = (id) => document.getElementById(id);
const HINT = "Hold BOOT while you press and let go of EN (or RST), let go of BOOT, then try again. Another cable helps often.";
const UNFINISHED = " The board may have no working firmware now; the same button finishes it.";

function unable() {
  if (!window.isSecureContext) {
    return `Browsers reach boards from secure pages only. On the computer with the bridge open http://localhost:${location.port || 80}/install, or put the bridge behind https.`;
  }
  if (!("serial" in navigator)) {
    return "This browser has no Web Serial. Take Chrome, Edge or Opera on a computer, or run ./run flash --board esp32.";
  }
  return "";
}

function row(board, able) {
  const run = () => start(board).catch((error) => finish("failed", error.message));
  const button = h("button", { type: "button", disabled: !able || !board.version, on: { click: run } }, "Install");
  const said = board.version ? `MicroPython ${board.version}` : board.problem;
  return h("li", { class: "kind", data: { board: board.name, ready: board.version ? 1 : 0 } },
    h("b", {}, board.title), h("p", {}, said), button);
}

function finish(state, message) {
  byId("work").dataset.state = state;
  text(byId("state"), message);
  for (const button of document.querySelectorAll(".kind button")) button.disabled = button.dataset.was === "1";
}

async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error || `${path}: ${answer.status}`);
  return answer;
}

async function start(board) {
  // First of all, while the click still counts: the browser asks which port.
  let port;
  try {
    port = await navigator.serial.requestPort({ filters: board.usb });
  } catch (error) {
    if (error.name === "NotFoundError") return;
    throw error;
  }
  for (const button of document.querySelectorAll(".kind button")) {
    button.dataset.was = button.disabled ? "1" : "0";
    button.disabled = true;
  }
  byId("work").hidden = false;
  byId("work").dataset.state = "running";
  byId("bar").value = 0;
  text(byId("what"), board.title);
  text(byId("log"), "");
  let writing = false;
  try {
    const [tools, manifest] = await Promise.all([
      import("../vendor/esptool-js.min.js"),
      get(`${board.name}/manifest.json`).then((answer) => answer.json()),
    ]);
    const written = await install({
      tools, port, manifest,
      part: async (path) => new Uint8Array(await (await get(`${board.name}/${path}`)).arrayBuffer()),
      say: (line) => byId("log").append(`${line}\n`),
      state(now) {
        writing ||= now.startsWith("Erasing") || now.startsWith("Writing");
        text(byId("state"), now);
      },
      progress(done, total) { byId("bar").value = (100 * done) / total; },
    });
    const what = written ? "written and verified" : "was there already, nothing had to be written";
    finish("done", `MicroPython ${manifest.version} ${what}. The agent itself comes next: ./run deploy on a computer with Fanwise.`);
  } catch (error) {
    const hint = error instanceof WrongBoard ? "" : ` ${HINT}${writing ? UNFINISHED : ""}`;
    finish("failed", `${error.message}${hint}`);
  }
}

const reason = unable();
byId("unable").hidden = !reason;
text(byId("unable"), reason);
try {
  const { boards } = await (await get("boards.json")).json();
  put(byId("kinds"), ...boards.map((board) => row(board, !reason)));
} catch (error) {
  byId("unable").hidden = false;
  text(byId("unable"), `The bridge does not answer: ${error.message}`);
}
