// The whole recording in one glance: heart rate, where which class is, atrial fibrillation, and the part that the strip shows.
import type { Beats } from "./beats";
import { shape, clock, sized, theme, timeStep } from "./draw";
import type { ClassName, Episode } from "./types";

const LEFT = 34;
const RATE = 56;
const ROW = 11;
const LANES: ClassName[] = ["S", "V", "F", "Q"];

export interface OverviewHost {
  beats: Beats | null;
  episodes: Episode[];
  duration: number;
  window(): { time: number; span: number };
  goTo(time: number): void;
}

export class Overview {
  private picture: HTMLCanvasElement | null = null;
  private key = "";
  private version = 0;
  private frame = 0;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private host: OverviewHost,
  ) {
    let held = false;
    const go = (event: PointerEvent) => {
      const x = event.clientX - canvas.getBoundingClientRect().left;
      host.goTo(((x - LEFT) / (canvas.clientWidth - LEFT)) * host.duration);
    };
    canvas.addEventListener("pointerdown", (event) => {
      held = true;
      canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    canvas.addEventListener("pointermove", (event) => held && go(event));
    canvas.addEventListener("pointerup", () => (held = false));
    canvas.addEventListener("pointercancel", () => (held = false));
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  /** Beats or theme have changed. */
  renew(): void {
    this.version++;
    this.redraw();
  }

  redraw(): void {
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }
  }

  private draw(): void {
    const { context, width, height } = sized(this.canvas);
    const colours = theme();
    const key = `${width} ${height} ${this.version} ${window.devicePixelRatio}`;
    if (key !== this.key || !this.picture) {
      this.key = key;
      this.picture = this.paint(width, height);
    }
    context.drawImage(this.picture, 0, 0, width, height);
    const { time, span } = this.host.window();
    const duration = this.host.duration;
    if (duration <= 0) return;
    const scale = (width - LEFT) / duration;
    const x = LEFT + time * scale;
    const wide = Math.max(3, Math.min(span, duration) * scale);
    context.fillStyle = colours.accent;
    context.globalAlpha = 0.18;
    context.fillRect(x, 0, wide, height);
    context.globalAlpha = 1;
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.strokeRect(x, 1, wide, height - 2);
  }

  private paint(width: number, height: number): HTMLCanvasElement {
    const picture = document.createElement("canvas");
    const scale = window.devicePixelRatio || 1;
    picture.width = Math.max(1, Math.round(width * scale));
    picture.height = Math.max(1, Math.round(height * scale));
    const context = picture.getContext("2d", { alpha: false })!;
    context.scale(scale, scale);
    const colours = theme();
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, width, height);
    const { beats, duration, episodes } = this.host;
    if (duration <= 0) return picture;
    const columns = Math.max(1, Math.floor(width - LEFT));
    const perColumn = duration / columns;
    const low = new Float32Array(columns).fill(NaN);
    const high = new Float32Array(columns).fill(NaN);
    const counts = new Map(LANES.map((cls) => [cls, new Uint32Array(columns)]));
    const all = new Uint32Array(columns);
    // The rate of eight beats, as the command states its extremes.
    const recent: number[] = [];
    for (const beat of beats?.list ?? []) {
      const column = Math.min(columns - 1, Math.floor(beat.sample / beats!.rate / perColumn));
      all[column]!++;
      const lane = counts.get(beat.cls);
      if (lane) lane[column]!++;
      if (!(beat.rr > 0 && beat.rr < 30000)) continue;
      recent.push(beat.rr);
      if (recent.length > 8) recent.shift();
      const bpm = (60000 * recent.length) / recent.reduce((sum, rr) => sum + rr, 0);
      if (!(bpm >= low[column]!)) low[column] = bpm;
      if (!(bpm <= high[column]!)) high[column] = bpm;
    }
    let most = 0;
    for (const bpm of high) if (bpm > most) most = bpm;
    const top = Math.max(120, Math.ceil((most + 5) / 20) * 20);
    const y = (bpm: number) => RATE - 2 - (bpm / top) * (RATE - 8);
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let bpm = 0; bpm <= top; bpm += top > 200 ? 100 : 60) {
      context.fillStyle = colours.minor;
      context.fillRect(LEFT, Math.round(y(bpm)), columns, 1);
      context.fillStyle = colours.faint;
      if (bpm > 0) context.fillText(String(bpm), LEFT - 4, y(bpm));
    }
    context.fillStyle = colours.trace;
    // From column to column, but over no gap of more than ten seconds.
    let [before, at] = [NaN, 0];
    const near = Math.max(2, 10 / perColumn);
    for (let x = 0; x < columns; x++) {
      if (Number.isNaN(low[x]!)) continue;
      let [a, b] = [y(high[x]!), y(low[x]!)];
      if (!Number.isNaN(before) && x - at <= near) {
        if (x - at > 1) context.fillRect(LEFT + at + 1, before - 0.6, x - at - 1, 1.2);
        [a, b] = [Math.min(a, before), Math.max(b, before)];
      }
      context.fillRect(LEFT + x, a - 0.6, 1, Math.max(1.2, b - a));
      [before, at] = [y((low[x]! + high[x]!) / 2), x];
    }
    LANES.forEach((cls, row) => {
      const at = RATE + 3 + row * ROW;
      context.fillStyle = colours.classes[cls];
      context.strokeStyle = colours.classes[cls];
      shape(context, cls, 9, at + 4, 3);
      if (cls === "Q") context.stroke();
      else context.fill();
      context.textAlign = "left";
      context.fillText(cls, 18, at + 4);
      context.fillStyle = colours.minor;
      context.fillRect(LEFT, at + ROW - 1, columns, 1);
      const lane = counts.get(cls)!;
      context.fillStyle = colours.classes[cls];
      for (let x = 0; x < columns; x++) {
        if (lane[x]! === 0) continue;
        // As high as their share, and never so low that one is not seen.
        const share = lane[x]! / all[x]!;
        const tall = 3 + 6 * Math.min(1, 2 * share);
        context.fillRect(LEFT + x, at + ROW - 1 - tall, perColumn > 5 ? 1 : 1.6, tall);
      }
    });
    const band = RATE + 5 + LANES.length * ROW;
    context.textAlign = "left";
    context.fillStyle = colours.faint;
    context.fillText("AF", 18, band + 5);
    for (const { kind, from_s, to_s } of episodes) {
      if (kind !== "AF") continue;
      const [from, to] = [LEFT + from_s / perColumn, LEFT + to_s / perColumn];
      context.fillStyle = colours.accent;
      context.fillRect(from, band + 1, Math.max(2, to - from), 8);
      context.fillStyle = colours.paper;
      for (let x = from + 2; x < to - 1; x += 5) context.fillRect(x, band + 1, 1, 8);
    }
    const step = timeStep((80 / columns) * duration);
    context.fillStyle = colours.faint;
    for (let i = 0; i * step < duration; i++) {
      const x = LEFT + (i * step) / perColumn;
      context.fillRect(Math.round(x), height - 14, 1, 4);
      if (x < width - 40) context.fillText(clock(i * step), x + 3, height - 7);
    }
    return picture;
  }
}
