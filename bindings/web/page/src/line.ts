// The line to a device behind the command, `heartlens device --serve`, as a serial port: what is said goes up with a request, what
// the device has said comes down with its answer.
import { Fatal, Lost, type SerialLike, type SerialPortLike } from "./live";

/** How often it is asked for what the device said in between, in ms. */
const POLL = 100;
const SILENT = "The command no longer answers";

async function post(address: string, bytes?: Uint8Array): Promise<Response> {
  try {
    return await fetch(address, { method: "POST", body: bytes as BodyInit | undefined });
  } catch {
    throw new Lost(SILENT, "once it does, it goes on from there; where it has ended, start `heartlens device --serve` again");
  }
}

class CommandPort implements SerialPortLike {
  readable: ReadableStream<Uint8Array> | null = null;
  writable: WritableStream<Uint8Array> | null = null;
  private over: (() => void) | null = null;

  constructor(private address: string) {}

  async open(): Promise<void> {
    const taken = await post(this.address);
    const words = await taken.text();
    if (!taken.ok) throw new Fatal(`The device cannot be reached: ${words}`);
    const turn = `${this.address}/${words}`;
    let controller: ReadableStreamDefaultController<Uint8Array>;
    let open = true;
    // One request at a time, so that bytes keep their order.
    let queue = Promise.resolve();
    const exchange = (bytes: Uint8Array) => (queue = queue.then(async () => {
      if (!open) return;
      const answer = await post(turn, bytes);
      if (answer.status === 409) throw new Fatal("Another page has taken the line to the device");
      if (!answer.ok) throw new Lost("The device is gone");
      const said = new Uint8Array(await answer.arrayBuffer());
      if (open && said.length > 0) controller.enqueue(said);
    }));
    this.over = () => (open = false);
    this.readable = new ReadableStream({ start: (given) => void (controller = given), cancel: () => void (open = false) });
    this.writable = new WritableStream({ write: exchange });
    const poll = async () => {
      while (open) {
        await new Promise((done) => setTimeout(done, POLL));
        await exchange(new Uint8Array());
      }
    };
    poll().catch((error) => {
      if (open) controller.error(error);
      open = false;
    });
  }

  async close(): Promise<void> {
    this.over?.();
    this.readable = this.writable = null;
  }
}

/** The one port behind this address. */
export function command(address: string): SerialLike {
  const port = new CommandPort(address);
  return Object.assign(new EventTarget(), { requestPort: async () => port, getPorts: async () => [port] });
}
