// <cooling-status board="box-one" src=BRIDGE></cooling-status>
//
// How one board is, on any page. `src`: the bridge, as https://fans.example; left out, where this file came from. `token`: of
// a viewer, if the bridge asks for one: whoever reads the page can read it, so give it no other role.
// The bridge has to allow the page's origin: [web] embed = ["https://wiki.example"].

const EVERY_MS = 5000;
const SLOWEST_MS = 60000;
const HOME = new URL(import.meta.url).origin;

const STYLE = `
  :host { display: inline-block; color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
  article { box-sizing: border-box; min-width: 230px; max-width: 380px; padding: 12px 16px; border: 1px solid #8885; border-left: 5px solid #8888; border-radius: 10px; background: Canvas; color: CanvasText; }
  article[data-fan="ON"] { border-left-color: #2f7fd8; }
  article[data-state="alarm"] { border-color: #c62828; }
  header { display: flex; justify-content: space-between; gap: 12px; font-size: 0.85em; opacity: 0.75; }
  .now { display: flex; align-items: baseline; gap: 14px; font-variant-numeric: tabular-nums; }
  .temp { font-size: 2em; font-weight: 650; }
  article[data-state="gone"] .now { opacity: 0.4; }
  .why { margin: 2px 0 0; }
  .alarm { margin: 6px 0 0; color: #c62828; font-weight: 600; }
  p:empty { display: none; }
`;

class CoolingStatus extends HTMLElement {
  static observedAttributes = ["src", "board", "token"];

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const make = (tag, name, ...children) => {
      const node = document.createElement(tag);
      if (name) node.className = name;
      node.append(...children);
      return node;
    };
    this.parts = {
      name: make("span"), status: make("span"), temp: make("span", "temp"), fan: make("span"),
      why: make("p", "why"), alarm: make("p", "alarm"),
    };
    const { name, status, temp, fan, why, alarm } = this.parts;
    this.card = make("article", "", make("header", "", name, status), make("div", "now", temp, fan), why, alarm);
    this.card.setAttribute("aria-live", "polite");
    root.append(this.card);
  }

  connectedCallback() {
    this.wait = EVERY_MS;
    this.poll();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    this.asked?.abort();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.connectedCallback();
  }

  async poll() {
    this.disconnectedCallback();
    const asked = (this.asked = new AbortController());
    try {
      this.show(await this.read(asked.signal));
      this.wait = EVERY_MS;
    } catch (error) {
      if (asked.signal.aborted) return;
      this.gone(error);
      this.wait = Math.min(this.wait * 1.6, SLOWEST_MS);
    }
    this.timer = setTimeout(() => this.poll(), this.wait * (0.8 + 0.4 * Math.random()));
  }

  async read(signal) {
    const token = this.getAttribute("token");
    const board = this.getAttribute("board") || "";
    const url = new URL(`/api/status/${encodeURIComponent(board)}`, this.getAttribute("src") || HOME);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch(url, { headers, signal, cache: "no-store", credentials: "omit" });
    if (!response.ok) {
      const reasons = { 401: "the bridge asks for a token", 404: `no board "${board}"` };
      throw new Error(reasons[response.status] || `the bridge answers ${response.status}`);
    }
    return response.json();
  }

  show(status) {
    const { name, status: word, temp, fan, why, alarm } = this.parts;
    const degrees = (value) => (typeof value === "number" ? `${value.toFixed(1)} °C` : "– °C");
    this.card.dataset.state = status.alarms.length ? "alarm" : status.status === "online" ? "ok" : "gone";
    this.card.dataset.fan = status.fan || "";
    name.textContent = status.device;
    word.textContent = status.status;
    temp.textContent = degrees(status.case_c);
    fan.textContent = status.fan ? `fan ${status.fan.toLowerCase()}` : "fan unknown";
    why.textContent = status.reason || "";
    alarm.textContent = status.alarms.map((each) => each.why).join(" · ");
  }

  gone(error) {
    this.card.dataset.state = "gone";
    this.parts.name.textContent = this.getAttribute("board") || "";
    this.parts.status.textContent = error instanceof TypeError ? "bridge not reachable" : error.message;
  }
}

customElements.define("cooling-status", CoolingStatus);
