// Settings of the extension, and how the boards are.

export const DEFAULTS = { bridge: "http://127.0.0.1:8080", token: "", board: "" };
const TIMEOUT_MS = 8000;

export const settings = () => chrome.storage.local.get(DEFAULTS);

// The boards' states, the one in the settings only, if there is one. Throws an Error that people can read.
export async function boards({ bridge, token, board }) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(new URL("/api/status", bridge), {
      headers, cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Error(`${bridge} cannot be reached`);
  }
  if (response.status === 401) throw new Error("the bridge asks for a token: set one in the options");
  if (!response.ok) throw new Error(`the bridge answers ${response.status}`);
  const all = (await response.json()).boards;
  const shown = board ? all.filter((each) => each.device === board) : all;
  if (board && !shown.length) throw new Error(`the bridge knows no board "${board}"`);
  return shown;
}

const COLOURS = { alarm: "#c62828", on: "#1d6fc4", off: "#18794e", gone: "#6b7280" };

// What the badge shows: the warmest board, unless one has an alarm or none is there.
export function badge(shown) {
  const alarms = shown.filter((each) => each.alarms.length);
  if (alarms.length) return { text: "!", colour: COLOURS.alarm, title: alarms.map((each) => `${each.device}: ${each.alarms[0].why}`).join("\n") };
  const live = shown.filter((each) => each.status === "online" && typeof each.case_c === "number");
  if (!live.length) return { text: "?", colour: COLOURS.gone, title: "no board is online" };
  const warmest = live.reduce((a, b) => (b.case_c > a.case_c ? b : a));
  return {
    text: `${Math.round(warmest.case_c)}°`,
    colour: warmest.fan === "ON" ? COLOURS.on : COLOURS.off,
    title: `${warmest.device}: ${warmest.case_c.toFixed(1)} °C, fan ${(warmest.fan || "unknown").toLowerCase()}`,
  };
}

export async function refresh() {
  let shown;
  try {
    shown = badge(await boards(await settings()));
  } catch (error) {
    shown = { text: "?", colour: COLOURS.gone, title: error.message };
  }
  await chrome.action.setBadgeText({ text: shown.text });
  await chrome.action.setBadgeBackgroundColor({ color: shown.colour });
  await chrome.action.setTitle({ title: `Fanwise\n${shown.title}` });
  return shown;
}
