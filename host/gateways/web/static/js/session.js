// Who is logged in, and what that user may ask of boards.

import { read } from "./api.js";
import { text } from "./dom.js";

let session = null;

export async function show(node) {
  session = await read("/api/session");
  const open = session.user === "local";
  node.hidden = open;
  text(node.querySelector("span"), open ? "" : `${session.user}, ${session.role}`);
}

// Until it is known, the buttons are there: the bridge decides in any case.
export const may = (name) => session === null || session.commands.includes(name);
