// Numbers and names in the words people use. A missing reading is a dash, never a zero.

export const DASH = "–";
const MINUS = "−";

export function number(value, digits = 1) {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const rounded = value.toFixed(digits);
  return Number(rounded) === 0 ? (0).toFixed(digits) : rounded.replace("-", MINUS);
}

export function signed(value, digits = 2) {
  const shown = number(value, digits);
  return value > 0 && Number(shown) !== 0 ? "+" + shown : shown;
}

export const milli = (value) => (value === null || value === undefined ? null : value / 1000);
export const celsius = (value, digits = 1) => number(milli(value), digits);

// What the reader's wall shows, and with the offset where the wall shows the same time twice.
export function clock(seconds, finest = "second") {
  const date = new Date(seconds * 1000);
  const parts = { hour: "2-digit", minute: "2-digit", ...(finest === "second" && { second: "2-digit" }) };
  const time = date.toLocaleTimeString([], { ...parts, hourCycle: "h23" });
  return comesTwice(date) ? `${time} ${offset(date)}` : time;
}

const DAYLIGHT_HOURS = 3; // no place moves its clocks by more

function comesTwice(date) {
  return [-DAYLIGHT_HOURS, DAYLIGHT_HOURS].some((hours) => {
    const near = new Date(+date + hours * 3600e3).getTimezoneOffset();
    const other = new Date(+date + (near - date.getTimezoneOffset()) * 60e3);
    return +other !== +date && other.getTimezoneOffset() === near;
  });
}

function offset(date) {
  const east = -date.getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(east) / 60), Math.abs(east) % 60];
  return `UTC${east < 0 ? MINUS : "+"}${hours}${minutes ? ":" + String(minutes).padStart(2, "0") : ""}`;
}

export function day(seconds) {
  const date = new Date(seconds * 1000);
  return date.toDateString() === new Date().toDateString() ? "" : date.toLocaleDateString([], { day: "numeric", month: "short" });
}

const FEATURES = {
  case_mc: ["case", 1e-3, "°C", 1],
  ambient_mc: ["ambient", 1e-3, "°C", 1],
  rise_mk: ["rise over ambient", 1e-3, "K", 1],
  power_mw: ["power", 1e-3, "W", 1],
  power_avg_mw: ["mean power", 1e-3, "W", 1],
  trend_mk: ["trend", 1e-3, "K", 1],
  fan_rpm: ["fan speed", 1, "rpm", 0],
  fan_pm: ["fan duty", 0.1, "%", 0],
  residual_mk: ["forecast residual", 1e-3, "K", 2],
};

export function feature(name, reading) {
  const [label, scale, unit, digits] = FEATURES[name] || [name, 1, "", 0];
  return { label, reading: typeof reading === "number" ? `${number(reading * scale, digits)} ${unit}`.trim() : "" };
}

export const RULES = {
  sensor_loss: "sensor lost",
  overtemp: "over temperature",
  override: "override",
  forecast: "forecast",
  thermostat: "thermostat",
  boot: "start",
};

export const HELD = {
  min_on: "held on: minimum run",
  min_off: "held off: minimum pause",
  max_run: "held off: longest run",
};

export function duration(seconds) {
  return seconds >= 90 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds)} s`;
}

// Names in the order people count: box-2 before box-10.
export const byName = new Intl.Collator("en", { numeric: true }).compare;
