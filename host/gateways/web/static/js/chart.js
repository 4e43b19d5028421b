// One small live chart: case, forecast with the fan off, limit, and when the fan ran.
// Ambient stays off it: it would flatten the few kelvin around the limit that matter.

import { clock } from "./format.js";

const WINDOW_S = 600;
const MS = 7;
const LEAST_S = 240;
const MAX_POINTS = 900;
const HORIZON_S = 60;
const COLOURS = ["case", "warm", "limit", "running", "muted", "line"];

const palette = () => {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
};

export class Chart {
  constructor(node) {
    this.node = node;
    this.points = [];
    this.limit = null;
    this.plot = null;
    this.drawn = false;
    new ResizeObserver(() => this.draw()).observe(node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
  }

  set(points) {
    this.points = points.slice(-MAX_POINTS);
    this.draw();
  }

  add(point) {
    const last = this.points[this.points.length - 1];
    if (last && point[0] <= last[0]) return;
    this.points.push(point);
    if (this.points.length > MAX_POINTS) this.points.shift();
    this.draw();
  }

  draw() {
    if (this.drawn) return;
    this.drawn = true;
    requestAnimationFrame(() => {
      this.drawn = false;
      const { clientWidth: width, clientHeight: height } = this.node;
      if (width < 40) return;
      if (!this.plot) this.build(width, height);
      if (this.plot.width !== width || this.plot.height !== height) this.plot.setSize({ width, height });
      this.plot.setData(this.data());
    });
  }

  rebuild() {
    if (this.plot) this.plot.destroy();
    this.plot = null;
    this.draw();
  }

  // The forecast belongs one horizon to the right of when it was made, so it gets columns of its own.
  data() {
    const newest = this.points.length ? this.points[this.points.length - 1][0] : Date.now() / 1000;
    const points = this.points.filter((point) => point[0] > newest - WINDOW_S);
    const ahead = HORIZON_S / pace(this.points);
    const celsius = (mc) => (typeof mc === "number" ? mc / 1000 : null);
    const rows = new Map();
    const row = (at) => {
      const key = Math.round(at);
      if (!rows.has(key)) rows.set(key, [key, null, null, null, null]);
      return rows.get(key);
    };
    for (const [at, caseMc, , offMc, , fan] of points) {
      const now = row(at);
      now[1] = celsius(caseMc);
      now[4] = fan;
      row(at + ahead)[2] = celsius(offMc);
    }
    row(newest + ahead - LEAST_S);
    const sorted = [...rows.values()].sort((a, b) => a[0] - b[0]);
    for (const each of sorted) each[3] = celsius(this.limit);
    return [0, 1, 2, 3, 4].map((column) => sorted.map((each) => each[column]));
  }

  build(width, height) {
    const colour = palette();
    const axis = { stroke: colour.muted, grid: { stroke: colour.line, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const series = (stroke, extra) => ({ stroke, width: 2, points: { show: false }, spanGaps: true, ...extra });
    this.plot = new uPlot({
      width,
      height,
      legend: { show: false },
      padding: [null, 26, null, null],
      cursor: { show: false },
      scales: { x: { time: true }, y: { range: (_, low, high) => (low === null ? [20, 50] : [Math.floor(low - 0.5), Math.ceil(high + 0.5)]) }, fan: { range: [0, 1] } },
      axes: [
        { ...axis, size: 32, space: 80, values: (_, ticks, axis, space, step) => ticks.map((at) => clock(at, step < 60 ? "second" : "minute")) },
        { ...axis, size: 46, space: 34, values: (_, ticks) => ticks.map((tick) => `${tick}°`) },
      ],
      series: [
        {},
        series(colour.case, { width: 3 }),
        series(colour.warm, { width: 2, dash: [2, 4] }),
        series(colour.limit, { width: 1.5, dash: [7, 5] }),
        { scale: "fan", show: false },
      ],
      hooks: { drawClear: [(plot) => shadeFan(plot, colour.running)] },
    }, this.data(), this.node);
  }
}

// Board seconds per second of ours, from its uptime: 1 on hardware, more in a hurried simulation.
function pace(points) {
  const last = points.length - 1;
  let first = last;
  while (first > 0 && last - first < 60 && points[first - 1][MS] < points[first][MS]) first -= 1;
  const seconds = last < 0 ? 0 : points[last][0] - points[first][0];
  if (seconds < 3) return 1;
  const ratio = (points[last][MS] - points[first][MS]) / 1000 / seconds;
  return ratio > 1.25 || ratio < 0.8 ? Math.max(0.1, Math.min(100, ratio)) : 1;
}

function shadeFan(plot, colour) {
  const [times, fan] = [plot.data[0], plot.data[4]];
  const { left, top, width, height } = plot.bbox;
  plot.ctx.save();
  plot.ctx.beginPath();
  plot.ctx.rect(left, top, width, height);
  plot.ctx.clip();
  plot.ctx.fillStyle = colour;
  plot.ctx.globalAlpha = 0.13;
  let from = null;
  const fill = (until) => {
    const x = plot.valToPos(from, "x", true);
    plot.ctx.fillRect(x, top, Math.max(1, plot.valToPos(until, "x", true) - x), height);
    from = null;
  };
  let last = null;
  times.forEach((at, i) => {
    if (fan[i] === null || fan[i] === undefined) return;
    if (fan[i] === 1 && from === null) from = at;
    if (fan[i] === 0 && from !== null) fill(at);
    last = at;
  });
  if (from !== null && last !== null) fill(last);
  plot.ctx.restore();
}
