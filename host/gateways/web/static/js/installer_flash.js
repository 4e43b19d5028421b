// One installation: chip checked, what differs written and verified. No page here, so that it runs
// wherever there is something with the methods of a Web Serial port.

const TABLE_OFFSET = 0x8000;
const TABLE_SIZE = 0xc00;
const BAUD = 460800;
const FAMILIES = /^ESP32(-[A-Z]\d+)?/;

const terminal = (say) => ({ clean() {}, writeLine: say, write: say });

export class WrongBoard extends Error {}

// tools: { ESPLoader, Transport }. manifest: of one board. part(path): a promise of its bytes.
// say(text): a line for the curious; state(text): what happens; progress(done, total) in bytes.
// reset: whether the port can put the chip into its boot loader. Resolves to the bytes written.
export async function install({ tools, port, manifest, part, say, state, progress, reset = true }) {
  const transport = new tools.Transport(port, false);
  transport.trace = () => {};
  const loader = new tools.ESPLoader({ transport, baudrate: BAUD, terminal: terminal(say) });
  try {
    state("Looking at the chip");
    await loader.main(reset ? "default_reset" : "no_reset");
    const build = requireFit(manifest, loader.chip.CHIP_NAME);
    await requireRoom(manifest, loader);
    const parts = [];
    for (const { path, offset, size, md5 } of build.parts) {
      parts.push({ data: await part(path), address: offset, size, md5 });
    }
    const erase = await mustErase(loader, parts);
    if (erase) {
      state("Erasing the whole flash: it was laid out for other firmware, or empty");
      await loader.eraseFlash();
    }
    const written = await write(loader, parts, { erase, state, progress });
    state("Restarting the board");
    await loader.after(reset ? "hard_reset" : "no_reset_stub");
    return written;
  } finally {
    await transport.disconnect().catch(() => {});
  }
}

function requireFit(manifest, chip) {
  const family = FAMILIES.exec(chip)?.[0];
  const build = manifest.builds.find((each) => each.chipFamily === family);
  if (build) return build;
  const wanted = manifest.builds.map((each) => each.chipFamily).join(" or ");
  throw new WrongBoard(`This board has an ${chip}, the one you chose an ${wanted}. Nothing was changed: choose the other kind.`);
}

async function requireRoom(manifest, loader) {
  const size = await loader.detectFlashSize();
  if (!size || loader.flashSizeBytes(size) >= manifest.flash_bytes) return;
  throw new WrongBoard(`The board's flash has ${size}, this kind needs ${manifest.flash_bytes >> 20}MB. Nothing was changed.`);
}

// The same rule as `./run flash`: files stay where the flash is laid out as the image wants it.
async function mustErase(loader, parts) {
  const table = parts.find((each) => each.address === TABLE_OFFSET).data;
  const there = await loader.readFlash(TABLE_OFFSET, TABLE_SIZE);
  return there.some((byte, i) => byte !== (i < table.length ? table[i] : 0xff));
}

async function write(loader, parts, { erase, state, progress }) {
  const total = parts.reduce((sum, each) => sum + each.size, 0);
  let before = 0;
  let written = 0;
  for (const { data, address, size, md5 } of parts) {
    const same = !erase && (await loader.flashMd5sum(address, size)) === md5;
    if (!same) {
      state("Writing: leave the cable in");
      await loader.writeFlash({
        fileArray: [{ data, address }],
        flashMode: "keep",
        flashFreq: "keep",
        flashSize: "keep",
        eraseAll: false,
        compress: true,
        reportProgress: (_, sent, of) => progress(before + (size * sent) / of, total),
        calculateMD5Hash: () => md5,
      });
      written += size;
    }
    before += size;
    progress(before, total);
  }
  return written;
}
