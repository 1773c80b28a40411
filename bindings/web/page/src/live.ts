// Live: a recording at the speed at which it was taken, watched here or by a device: a board on a serial port, or one behind the command.
import { badge, clock, sized, theme } from "./draw";
import type { Engine } from "./engine";
import type { Lead } from "./signal";
import type { ClassName, LineMessage, LiveEvent } from "./types";

const BAUD = 115200;
const DEVICE_HZ = 128;
const SECONDS = 8;
export interface SerialPortLike {
  readable: ReadableStream<Uint8Array> | null;
  writable: WritableStream<Uint8Array> | null;
  open(options: { baudRate: number }): Promise<void>;
  close(): Promise<void>;
}
export interface SerialLike extends EventTarget {
  requestPort(): Promise<SerialPortLike>;
  getPorts(): Promise<SerialPortLike[]>;
}

export const serial = (): SerialLike | undefined => (navigator as unknown as { serial?: SerialLike }).serial;

interface Told {
  time: number;
  cls: ClassName;
}

const wait = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

export class Live {
  private running = 0;
  private position = 0;
  private trace: { time: number; mv: number }[] = [];
  private beats: Told[] = [];
  private frame = 0;
  private started = 0;
  private base = 0;
  speed = 1;
  /** How long a board may stay silent, in ms. */
  patience = 3000;
  private port: SerialPortLike | null = null;
  private writer: WritableStreamDefaultWriter<Uint8Array> | null = null;
  private messages: LineMessage[] = [];
  private wake: (() => void) | null = null;
  private lost: Error | null = null;
  private closing = false;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private list: HTMLElement,
    private rate: HTMLElement,
    private say: (words: string, kind: "idle" | "running" | "trouble") => void,
    private stopped: () => void,
  ) {
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  get isRunning(): boolean {
    return this.running !== 0;
  }

  private begin(): number {
    this.running = ++this.runs;
    this.trace = [];
    this.beats = [];
    this.fibrillating = false;
    this.list.replaceChildren();
    this.rate.textContent = "–";
    return this.running;
  }
  private runs = 0;

  /** Watches a recording as a wearable would. */
  async replay(engine: Engine, lead: Lead, from: number): Promise<void> {
    const run = this.begin();
    this.position = Math.floor(from * lead.rate);
    this.base = this.position;
    try {
      await engine.ask("replay", [lead.rate]);
      this.say(`Replay of ${lead.name}, ${this.speed} times as fast as it was recorded`, "running");
      this.started = performance.now();
      this.loop();
      while (this.running === run && this.position < lead.length) {
        const due = this.base + Math.floor(((performance.now() - this.started) / 1000) * lead.rate * this.speed);
        const end = Math.min(lead.length, due, this.position + Math.ceil(10 * lead.rate));
        if (end > this.position) {
          const samples = await lead.read(this.position, end);
          samples.forEach((mv, i) => this.sample((this.position + i) / lead.rate, mv, lead.rate));
          this.position = end;
          const { events, rate } = await engine.ask<{ events: LiveEvent[]; rate: number | null }>("replayed", [samples]);
          for (const event of events) this.hear(event, this.base / lead.rate);
          this.rate.textContent = rate === null ? "–" : rate.toFixed(0);
        }
        await wait(40);
      }
      if (this.running === run) this.say("The recording has ended", "idle");
    } catch (error) {
      if (this.running === run) this.say((error as Error).message, "trouble");
    } finally {
      if (this.running === run) this.stop();
    }
  }

  stop(): void {
    if (this.running === 0) return;
    this.running = 0;
    void this.close();
    this.wake?.();
    this.stopped();
  }

  // --- a board -------------------------------------------------------------------------------------------------------

  /** Sends a lead to a board at one of these ports, at the speed at which it was taken, and shows what the board says of it. */
  async board(ports: SerialLike | undefined, engine: Engine, lead: Lead, from: number): Promise<void> {
    if (!ports) {
      this.say("This browser has no Web Serial: Chrome and Edge on a computer have it, over https, from this machine or from a file", "trouble");
      this.stopped();
      return;
    }
    const run = this.begin();
    let port: SerialPortLike;
    try {
      port = await ports.requestPort();
    } catch {
      this.say("No board was chosen", "idle");
      this.stop();
      return;
    }
    try {
      const counts = await engine.ask<Int16Array>("deviceCounts", [lead.index]);
      const window = await engine.ask<number>("line", ["window"]);
      let position = Math.floor(from * DEVICE_HZ);
      this.acknowledged = position;
      while (this.running === run && position < counts.length) {
        try {
          await this.open(engine, port);
          const hello = await this.expect(engine, "hello", "hello");
          if (!hello.same_features) throw new Fatal("The board computes other features than this page; flash a firmware of this version");
          this.say(`${hello.board}, model ${hello.model}`, "running");
          await this.expect(engine, "start", "status");
          position = await this.stream(engine, run, counts, position, window, lead);
        } catch (error) {
          if (this.running !== run) break;
          if (error instanceof Fatal) throw error;
          position = this.acknowledged;
          const { message, remedy } = error instanceof Lost ? error : new Lost("The board is gone");
          this.say(`${message} at ${clock(position / DEVICE_HZ)}; ${remedy}`, "trouble");
          this.note("connection lost", position / DEVICE_HZ);
          await this.close();
          port = await this.again(ports, port, run);
        }
      }
      if (this.running === run) this.say("The recording has ended", "idle");
    } catch (error) {
      if (this.running === run) this.say((error as Error).message, "trouble");
    } finally {
      if (this.running === run) this.stop();
    }
  }
  private acknowledged = 0;

  /** The port once it is back. */
  private async again(ports: SerialLike, port: SerialPortLike, run: number): Promise<SerialPortLike> {
    while (this.running === run) {
      await wait(500);
      const there = await ports.getPorts();
      for (const candidate of [port, ...there]) {
        if (!there.includes(candidate)) continue;
        try {
          await candidate.open({ baudRate: BAUD });
          await candidate.close();
          return candidate;
        } catch {
          // Not yet.
        }
      }
    }
    return port;
  }

  private async open(engine: Engine, port: SerialPortLike): Promise<void> {
    this.lost = null;
    this.closing = false;
    this.messages = [];
    try {
      await port.open({ baudRate: BAUD });
    } catch (error) {
      if (error instanceof Fatal || error instanceof Lost) throw error;
      throw new Fatal("The port cannot be opened; is it in use by another program?");
    }
    this.port = port;
    this.writer = port.writable!.getWriter();
    void this.listen(engine, port);
  }

  private reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  private async listen(engine: Engine, port: SerialPortLike): Promise<void> {
    try {
      this.reader = port.readable!.getReader();
      for (;;) {
        const { value, done } = await this.reader.read();
        if (done) break;
        const messages = await engine.ask<LineMessage[]>("received", [value]);
        this.messages.push(...messages);
        this.wake?.();
      }
      this.lost ??= new Error("the line has ended");
    } catch (error) {
      this.lost ??= error as Error;
    }
    this.wake?.();
  }

  private async close(): Promise<void> {
    if (this.closing || !this.port) return;
    this.closing = true;
    const port = this.port;
    this.port = null;
    try {
      await this.reader?.cancel();
      this.reader?.releaseLock();
      this.writer?.releaseLock();
      await port.close();
    } catch {
      // It is gone already.
    }
  }

  /** The next message, or none after a while. */
  private async next(ms: number): Promise<LineMessage | null> {
    const until = performance.now() + ms;
    for (;;) {
      const message = this.messages.shift();
      if (message) return message;
      if (this.lost || this.running === 0) throw this.lost ?? new Error("stopped");
      const left = until - performance.now();
      if (left <= 0) return null;
      await new Promise<void>((done) => {
        const timer = setTimeout(done, left);
        this.wake = () => {
          clearTimeout(timer);
          done();
        };
      });
      this.wake = null;
    }
  }

  private async send(bytes: Uint8Array): Promise<void> {
    await this.writer!.write(bytes);
  }

  /** Asks until there is the answer. */
  private async expect(engine: Engine, question: string, answer: LineMessage["kind"]): Promise<LineMessage> {
    let corrupted = 0;
    for (let attempt = 0; attempt < 3; attempt++) {
      await this.send(await engine.ask<Uint8Array>("line", [question]));
      const until = performance.now() + this.patience;
      while (performance.now() < until) {
        const message = await this.next(until - performance.now());
        if (!message) break;
        if (message.kind === answer) return message;
        if (message.kind === "refused") throw new Fatal(`The board refuses: ${message.reason}`);
        if (message.kind === "corrupted") {
          corrupted++;
          break;
        }
      }
    }
    throw new Fatal(
      corrupted === 3
        ? "The board answers in packets of another version of the link; flash a firmware of this version"
        : "The board does not answer; is the firmware `serial` of this version running on it?",
    );
  }

  private async stream(engine: Engine, run: number, counts: Int16Array, from: number, window: number, lead: Lead): Promise<number> {
    let sent = from;
    this.acknowledged = from;
    this.base = from;
    this.started = performance.now();
    this.loop();
    let silent = 0;
    while (this.running === run && (sent < counts.length || this.acknowledged < sent)) {
      const due = Math.min(counts.length, from + Math.floor(((performance.now() - this.started) / 1000) * DEVICE_HZ * this.speed));
      while (sent < due && sent - this.acknowledged < window) {
        const end = Math.min(due, sent + 64);
        const part = counts.slice(sent, end);
        // The board counts from where this recording began for it.
        await this.send(await engine.ask<Uint8Array>("line", ["samples", sent - from, part]));
        part.forEach((count, i) => this.sample((sent + i) / DEVICE_HZ, count === -32768 ? NaN : count / 1000, DEVICE_HZ));
        sent = end;
      }
      const message = await this.next(40);
      if (!message) {
        if (sent - this.acknowledged >= window || (sent === counts.length && this.acknowledged < sent)) {
          silent += 40;
          if (silent > this.patience) throw new Error("silent");
          if (silent % 800 === 0) await this.send(await engine.ask<Uint8Array>("line", ["query"]));
        }
        continue;
      }
      silent = 0;
      if (message.kind === "status") this.acknowledged = Math.min(sent, from + (message.next_sample ?? 0));
      else if (message.kind === "beat") {
        this.reported(message, from);
        if (message.rr_ms) this.rate.textContent = (60000 / message.rr_ms).toFixed(0);
      } else if (message.kind === "gap") this.note(`gap of ${message.found! - message.expected!} samples`, (from + message.expected!) / DEVICE_HZ);
      else if (message.kind === "refused") throw new Fatal(`The board refuses: ${message.reason}`);
    }
    if (this.running === run) {
      await this.send(await engine.ask<Uint8Array>("line", ["finish", sent - from]));
      const until = performance.now() + this.patience;
      for (;;) {
        const message = await this.next(until - performance.now());
        if (!message || message.kind === "finished") break;
        if (message.kind === "beat") this.reported(message, from);
      }
      this.note(`end of the recording, on ${lead.name}`, sent / DEVICE_HZ);
    }
    return sent;
  }

  /** A beat of a device, which says with each whether it lies in atrial fibrillation. */
  private reported(message: LineMessage, from: number): void {
    const time = (from + message.sample!) / DEVICE_HZ;
    this.beat(time, message.class ?? "Q");
    const fibrillating = message.fibrillation === true;
    if (fibrillating !== this.fibrillating) this.note(`atrial fibrillation ${fibrillating ? "begins" : "ends"}`, time);
    this.fibrillating = fibrillating;
  }
  private fibrillating = false;

  // --- what is shown -------------------------------------------------------------------------------------------------

  private sample(time: number, mv: number, rate: number): void {
    const keep = Math.ceil((SECONDS + 2) * rate);
    this.trace.push({ time, mv });
    if (this.trace.length > 2 * keep) this.trace.splice(0, this.trace.length - keep);
  }

  private beat(time: number, cls: ClassName): void {
    this.beats.push({ time, cls });
    if (this.beats.length > 400) this.beats.splice(0, 200);
    if (cls === "S" || cls === "V" || cls === "F") this.note(`beat of class ${cls}`, time);
  }

  private hear(event: LiveEvent, base: number): void {
    const time = base + event.at_ms / 1000;
    switch (event.kind) {
      case "beat":
        this.beat(time, event.class!);
        break;
      case "signal":
        this.note(event.text!, time);
        break;
      case "pause":
        this.note(event.flat ? "pause: the line is flat" : "pause: no beat for 3 s", time);
        break;
      case "fibrillation":
        this.note(event.until_ms == null ? "atrial fibrillation begins" : `atrial fibrillation ended at ${clock(base + event.until_ms / 1000)}`, time);
        break;
      case "run":
        this.note(`run of ${event.beats} ${event.class} at ${event.rate_bpm!.toFixed(0)} bpm${event.over ? ", over" : ""}`, time);
        break;
      case "restarted":
        this.note("a new recording begins", time);
        break;
    }
  }

  private note(words: string, time: number): void {
    const item = document.createElement("li");
    item.innerHTML = "<time></time> <span></span>";
    item.querySelector("time")!.textContent = clock(time, 1);
    item.querySelector("span")!.textContent = words;
    this.list.prepend(item);
    while (this.list.childElementCount > 200) this.list.lastElementChild!.remove();
  }

  private loop(): void {
    if (this.frame !== 0) return;
    const step = () => {
      this.frame = 0;
      this.draw();
      if (this.isRunning) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  draw(): void {
    if (this.canvas.clientWidth === 0) return;
    const { context, width, height } = sized(this.canvas);
    const colours = theme();
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, width, height);
    const speed = width / SECONDS;
    const newest = this.trace[this.trace.length - 1]?.time ?? 0;
    const left = newest - SECONDS;
    const gain = Math.min(120, height / 5);
    for (const [step, colour] of [[0.2, colours.minor], [1, colours.major]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = 1;
      context.beginPath();
      for (let i = Math.ceil(left / step); i * step <= newest; i++) {
        const x = Math.round((i * step - left) * speed) + 0.5;
        context.moveTo(x, 0);
        context.lineTo(x, height);
      }
      for (let y = height / 2; y > 0; y -= step * 2.5 * gain) {
        context.moveTo(0, Math.round(y) + 0.5);
        context.lineTo(width, Math.round(y) + 0.5);
        context.moveTo(0, Math.round(height - y) + 0.5);
        context.lineTo(width, Math.round(height - y) + 0.5);
      }
      context.stroke();
    }
    let sum = 0;
    let count = 0;
    for (const { mv } of this.trace) {
      if (mv === mv) {
        sum += mv;
        count++;
      }
    }
    const level = count > 0 ? sum / count : 0;
    context.strokeStyle = colours.trace;
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    context.beginPath();
    let pen = false;
    for (const { time, mv } of this.trace) {
      if (time < left || mv !== mv) {
        pen = false;
        continue;
      }
      const [x, y] = [(time - left) * speed, 0.58 * height - (mv - level) * gain];
      if (pen) context.lineTo(x, y);
      else context.moveTo(x, y);
      pen = true;
    }
    context.stroke();
    context.fillStyle = colours.faint;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    context.textBaseline = "bottom";
    for (let second = Math.max(0, Math.ceil(left)); second <= newest; second++) {
      const x = (second - left) * speed;
      if (x < width - 40) context.fillText(clock(second), x + 3, height - 3);
    }
    for (const { time, cls } of this.beats) {
      if (time >= left) badge(context, cls, (time - left) * speed, 20, 9);
    }
  }
}

/** Something that trying again does not mend. */
export class Fatal extends Error {}

/** A line that may come back. */
export class Lost extends Error {
  constructor(
    words: string,
    readonly remedy = "connect it again, and it goes on from there",
  ) {
    super(words);
  }
}
