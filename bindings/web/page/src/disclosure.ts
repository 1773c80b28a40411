// Full disclosure: all of a lead, line below line, as printed of a Holter. Only the lines in sight are drawn.
import type { Beats } from "./beats";
import { badge, clock, sized, theme } from "./draw";
import type { Ends, Lead } from "./signal";
import type { ClassName } from "./types";

const LEFT = 64;
const ROW = 46;

export interface DisclosureHost {
  beats: Beats | null;
  leads: Lead[];
  shown: Set<number>;
  duration: number;
  filter: Set<ClassName>;
  window(): { time: number; span: number };
  goTo(time: number): void;
}

export class Disclosure {
  /** Seconds of a line. */
  line = 60;
  private top = 0;
  private frame = 0;
  private from: number | null = null;
  private dragged = 0;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private host: DisclosureHost,
  ) {
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.scroll(event.deltaY * (event.deltaMode === 1 ? ROW : 1));
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      this.from = event.clientY;
      this.dragged = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.from === null) return;
      this.dragged += Math.abs(event.clientY - this.from);
      this.scroll(this.from - event.clientY);
      this.from = event.clientY;
    });
    canvas.addEventListener("pointerup", (event) => {
      this.from = null;
      if (this.dragged > 5) return;
      const box = canvas.getBoundingClientRect();
      const row = Math.floor((event.clientY - box.top + this.top) / ROW);
      const part = (event.clientX - box.left - LEFT) / (canvas.clientWidth - LEFT - 8);
      host.goTo((row + Math.min(1, Math.max(0, part))) * this.line);
    });
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  scroll(by: number): void {
    const rows = Math.ceil(this.host.duration / this.line);
    const most = Math.max(0, rows * ROW - this.canvas.clientHeight);
    this.top = Math.min(most, Math.max(0, this.top + by));
    this.redraw();
  }

  /** Has the line in sight that holds a time. */
  show(time: number): void {
    const y = Math.floor(time / this.line) * ROW;
    if (y < this.top || y + ROW > this.top + this.canvas.clientHeight) {
      this.top = 0;
      this.scroll(y - this.canvas.clientHeight / 2);
    }
    this.redraw();
  }

  redraw(): void {
    if (this.frame !== 0 || this.canvas.hidden) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.canvas.hidden) this.draw();
    });
  }

  private draw(): void {
    const { context, width, height } = sized(this.canvas);
    const colours = theme();
    const { beats, duration, filter } = this.host;
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, width, height);
    const lead = this.host.leads.find((lead) => this.host.shown.has(lead.index)) ?? this.host.leads[0];
    const columns = Math.max(1, Math.floor(width - LEFT - 8));
    const window = this.host.window();
    const first = Math.floor(this.top / ROW);
    const last = Math.min(Math.ceil(duration / this.line) - 1, Math.floor((this.top + height) / ROW));
    const gain = 17;
    for (let row = first; row <= last; row++) {
      const y = row * ROW - this.top;
      const begin = row * this.line;
      context.fillStyle = colours.minor;
      context.fillRect(LEFT, y + ROW - 1, columns, 1);
      context.fillStyle = colours.faint;
      context.font = "11px system-ui, sans-serif";
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillText(clock(begin), LEFT - 8, y + ROW / 2);
      const [from, to] = [(window.time - begin) / this.line, (window.time + window.span - begin) / this.line];
      if (to > 0 && from < 1) {
        const [a, b] = [LEFT + Math.max(0, from) * columns, LEFT + Math.min(1, to) * columns];
        context.fillStyle = colours.accent;
        context.globalAlpha = 0.16;
        context.fillRect(a, y, Math.max(2, b - a), ROW - 1);
        context.globalAlpha = 1;
      }
      if (lead) {
        const ends: Ends = { low: NaN, high: NaN };
        const per = (this.line / columns) * lead.rate;
        const middle = y + ROW / 2 + 6;
        context.fillStyle = colours.trace;
        let before = NaN;
        context.save();
        context.beginPath();
        context.rect(LEFT, y, columns, ROW);
        context.clip();
        for (let x = 0; x < columns; x++) {
          const at = begin * lead.rate + x * per;
          if (at >= lead.length) break;
          lead.ends(at, at + per, ends);
          if (ends.low !== ends.low) {
            before = NaN;
            continue;
          }
          let top = middle - (ends.high - lead.offset) * gain;
          let bottom = middle - (ends.low - lead.offset) * gain;
          const own = (top + bottom) / 2;
          if (before === before) {
            top = Math.min(top, before);
            bottom = Math.max(bottom, before);
          }
          before = own;
          context.fillRect(LEFT + x, top, 1, Math.max(1, bottom - top));
        }
        context.restore();
      }
      if (!beats) continue;
      const end = beats.from((begin + this.line) * beats.rate);
      for (let place = beats.from(begin * beats.rate); place < end; place++) {
        const beat = beats.list[place]!;
        if (beat.cls === "N" || !filter.has(beat.cls)) continue;
        badge(context, beat.cls, LEFT + ((beats.time(beat) - begin) / this.line) * columns, y + 7, 4.5, false);
      }
    }
  }
}
