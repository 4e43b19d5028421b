// The installer page's flasher under node: a serial port for it over a TCP connection to a board.
// node installer.mjs HOST PORT FOLDER, FOLDER holding manifest.json and the parts.

import { readFile } from "node:fs/promises";
import { connect } from "node:net";

const STATIC = new URL("../../../host/gateways/web/static/", import.meta.url);
const tools = await import(new URL("vendor/esptool-js.min.js", STATIC));
const { install } = await import(new URL("js/installer_flash.js", STATIC));
const [host, tcp, folder] = process.argv.slice(2);

class Port {
  #writable = null;
  async open() {
    if (!this.socket) {
      this.socket = connect(Number(tcp), host);
      await new Promise((done) => this.socket.once("connect", done));
    }
    this.readable = new ReadableStream({
      start: (into) => {
        this.heard = (data) => into.enqueue(new Uint8Array(data));
        this.socket.on("data", this.heard);
      },
      cancel: () => this.socket.off("data", this.heard),
    });
  }
  get writable() {
    // As in a browser: after close() there is a fresh stream.
    if (!this.#writable) {
      this.#writable = new WritableStream({
        write: (data) => new Promise((done) => this.socket.write(data, done)),
        close: () => { this.#writable = null; },
      });
    }
    return this.#writable;
  }
  async close() {}
  async setSignals() {}
  getInfo() { return {}; }
}

const told = { states: [], progress: [] };
const port = new Port();
try {
  told.written = await install({
    tools, port, reset: false,
    manifest: JSON.parse(await readFile(`${folder}/manifest.json`)),
    part: async (path) => new Uint8Array(await readFile(`${folder}/${path}`)),
    say() {},
    state: (text) => told.states.push(text),
    progress: (done, total) => told.progress.push([done, total]),
  });
} catch (error) {
  told.error = `${error.name}: ${error.message}`;
}
process.stdout.write(JSON.stringify(told), () => process.exit(0));
