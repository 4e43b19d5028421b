// Server-sent events, reconnecting for ever; silence counts as a lost connection.

const SILENT_MS = 8000;
const EVENTS = ["snapshot", "board", "reading", "record"];

export function connect(handlers, onState) {
  let source = null;
  let heard = 0;

  function open() {
    if (source) source.close();
    heard = Date.now();
    source = new EventSource("/events");
    source.onopen = () => { heard = Date.now(); onState("live"); };
    source.onerror = () => {
      onState("gone");
      // The browser gives up after an HTTP error; after a lost connection it tries by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 1500 + Math.random() * 1500);
    };
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        heard = Date.now();
        handlers[name](JSON.parse(event.data));
      });
    }
  }

  open();
  // A connection can die without a word (a laptop that slept).
  setInterval(() => {
    if (source.readyState === EventSource.OPEN && Date.now() - heard > SILENT_MS * 4) open();
  }, SILENT_MS);
}
