// A serial port for the browser, in the place of Web Serial's: a WebSocket to a board.

(() => {
  class Port {
    #writable = null;
    async open() {
      if (!this.socket) {
        this.socket = new WebSocket(`ws://${location.host}/board`);
        this.socket.binaryType = "arraybuffer";
        await new Promise((done) => { this.socket.onopen = done; });
      }
      this.readable = new ReadableStream({
        start: (into) => { this.socket.onmessage = ({ data }) => into.enqueue(new Uint8Array(data)); },
      });
    }
    get writable() {
      this.#writable ??= new WritableStream({
        write: (data) => this.socket.send(data),
        close: () => { this.#writable = null; },
      });
      return this.#writable;
    }
    async close() {}
    async setSignals() {}
    getInfo() { return {}; }
  }
  const serial = { requestPort: async () => new Port() };
  Object.defineProperty(Navigator.prototype, "serial", { value: serial, configurable: true });
})();
