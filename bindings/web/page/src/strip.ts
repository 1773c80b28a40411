// The strip: all leads on ECG paper, beats above them. It scrolls, zooms, measures, and is where beats are corrected.
import type { Beats } from "./beats";
import { badge, clock, sized, theme, timeStep } from "./draw";
import { type Ends, type Lead } from "./signal";
import type { ClassName, Episode } from "./types";

/** CSS pixels of a millimetre. Paper runs at 25 mm/s, and 10 mm are 1 mV. */
const MM = 96 / 25.4;
export const PAPER_SPEED = 25 * MM;
export const PAPER_GAIN = 10 * MM;
const LANE = 40;
const AXIS = 18;
const FASTEST = 40 * PAPER_SPEED;
/** Samples that may fall on a pixel where each is drawn; of more, only the lowest and the highest. */
const MOST_IN_PIXEL = 6;

export interface Caliper {
  from: number;
  to: number;
  /** In mV; NaN: the signal's own level there. */
  fromMv: number;
  toMv: number;
}

export interface StripHost {
  beats: Beats | null;
  leads: Lead[];
  shown: Set<number>;
  duration: number;
  filter: Set<ClassName>;
  episodes: Episode[];
  selected: number;
  select(place: number, scroll?: boolean): void;
  moved(): void;
  changed(): void;
}

export class Strip {
  /** The time at the left, in s; pixels a second; pixels a mV. */
  time = 0;
  speed = PAPER_SPEED;
  gain = PAPER_GAIN;
  /** Where a beat would be added, in s. */
  cursor = NaN;
  caliper: Caliper | null = null;
  measuring = false;
  /** The stretch that is being marked begins here. */
  markFrom = NaN;
  /** Milliseconds that the last drawing took, for the test of speed. */
  drawn = 0;
  private frame = 0;
  private velocity = 0;
  private target: { time: number; speed: number } | null = null;
  private last = 0;
  private pointers = new Map<number, { x: number; y: number }>();
  private dragging: "pan" | "caliper" | "beat" | null = null;
  private travelled = 0;
  private dragTo = NaN;
  private grid: HTMLCanvasElement | null = null;
  private gridKey = "";
  readonly still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private host: StripHost,
  ) {
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.up(event));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  get width(): number {
    return this.canvas.clientWidth;
  }

  get span(): number {
    return this.width / this.speed;
  }

  x(time: number): number {
    return (time - this.time) * this.speed;
  }

  at(x: number): number {
    return this.time + x / this.speed;
  }

  /** Goes to a time at the left, at once or smoothly. */
  go(time: number, speed = this.speed, smooth = true): void {
    speed = Math.min(FASTEST, Math.max(this.slowest, speed));
    time = this.within(time, speed);
    this.velocity = 0;
    const far = Math.abs(time - this.time) * this.speed > 6 * this.width;
    if (!smooth || this.still || far) {
      this.target = null;
      this.time = time;
      this.speed = speed;
      this.host.moved();
    } else {
      this.target = { time, speed };
    }
    this.redraw();
  }

  /** Where it is going, or is. */
  get goal(): { time: number; speed: number } {
    return this.target ?? { time: this.time, speed: this.speed };
  }

  centre(time: number, smooth = true): void {
    this.go(time - this.width / this.goal.speed / 2, this.goal.speed, smooth);
  }

  zoom(factor: number, at = this.width / 2): void {
    const { time, speed } = this.goal;
    const next = Math.min(FASTEST, Math.max(this.slowest, speed * factor));
    this.go(time + at / speed - at / next, next);
  }

  private get slowest(): number {
    return Math.min(PAPER_SPEED / 4, this.width / Math.max(1, this.host.duration));
  }

  private within(time: number, speed: number): number {
    const last = Math.max(0, this.host.duration - this.width / speed);
    return Math.min(last, Math.max(0, time));
  }

  redraw(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame((now) => this.step(now));
  }

  private step(now: number): void {
    this.frame = 0;
    const passed = Math.min(0.05, Math.max(0.001, (now - this.last) / 1000));
    this.last = now;
    let again = false;
    if (this.target) {
      const { time, speed } = this.target;
      const part = 1 - Math.exp(-passed * 14);
      this.speed *= (speed / this.speed) ** part;
      this.time += (time - this.time) * part;
      if (Math.abs(time - this.time) * speed < 0.5 && Math.abs(this.speed / speed - 1) < 0.002) {
        this.time = time;
        this.speed = speed;
        this.target = null;
      } else again = true;
      this.host.moved();
    } else if (this.velocity !== 0) {
      const before = this.time;
      this.time = this.within(this.time - (this.velocity * passed) / this.speed, this.speed);
      this.velocity *= Math.exp(-passed * 4);
      if (Math.abs(this.velocity) < 15 || before === this.time) this.velocity = 0;
      else again = true;
      this.host.moved();
    }
    const begun = performance.now();
    this.draw();
    this.drawn = performance.now() - begun;
    if (again) this.redraw();
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  /** The leads that are shown, and the height of each. */
  private lanes(height: number): { leads: Lead[]; each: number } {
    const leads = this.host.leads.filter((lead) => this.host.shown.has(lead.index));
    return { leads, each: (height - LANE - AXIS) / Math.max(1, leads.length) };
  }

  private draw(): void {
    const { context, width, height } = sized(this.canvas);
    const colours = theme();
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, width, height);
    if (this.host.duration <= 0) return;
    this.drawGrid(context, width, height);
    this.drawEpisodes(context, width, height);
    this.drawMarks(context, width, height);
    const { leads, each } = this.lanes(height);
    leads.forEach((lead, row) => {
      const top = LANE + row * each;
      context.save();
      context.beginPath();
      context.rect(0, top, width, each);
      context.clip();
      this.trace(context, lead, width, top + each / 2);
      context.restore();
      context.fillStyle = colours.ink;
      context.font = "600 12px system-ui, sans-serif";
      context.textAlign = "left";
      context.textBaseline = "top";
      const text = lead.name;
      const wide = context.measureText(text).width;
      context.fillStyle = colours.paper;
      context.globalAlpha = 0.8;
      context.fillRect(4, top + 4, wide + 8, 18);
      context.globalAlpha = 1;
      context.fillStyle = colours.ink;
      context.fillText(text, 8, top + 7);
    });
    if (leads.length === 0) {
      context.fillStyle = colours.ink;
      context.font = "14px system-ui, sans-serif";
      context.textAlign = "center";
      const words = this.host.leads.length === 0 ? "A list of beats: there is no signal to show." : "No lead is shown: choose one under Leads.";
      context.fillText(words, width / 2, height / 2);
    }
    this.drawBeats(context, width, height);
    this.drawCursor(context, height);
    this.drawCaliper(context, width, height);
  }

  private drawGrid(context: CanvasRenderingContext2D, width: number, height: number): void {
    const colours = theme();
    const paper = this.speed * 0.04 >= 2.6;
    const minor = paper ? 0.04 : timeStep(8 / this.speed);
    const major = paper ? 0.2 : timeStep(40 / this.speed);
    const verticals = (step: number, colour: string) => {
      context.strokeStyle = colour;
      context.beginPath();
      const first = Math.ceil(this.time / step);
      const last = Math.floor((this.time + width / this.speed) / step);
      for (let i = first; i <= last; i++) {
        const x = Math.round(this.x(i * step)) + 0.5;
        context.moveTo(x, LANE);
        context.lineTo(x, height - AXIS);
      }
      context.stroke();
    };
    context.lineWidth = 1;
    // Lines of voltage stay where they are while the strip scrolls: drawn once.
    const key = `${width} ${height} ${this.gain} ${paper} ${window.devicePixelRatio} ${colours.paper} ${this.host.shown.size}`;
    if (this.gridKey !== key) {
      this.gridKey = key;
      this.grid = document.createElement("canvas");
      const scale = window.devicePixelRatio || 1;
      this.grid.width = Math.max(1, Math.round(width * scale));
      this.grid.height = Math.max(1, Math.round(height * scale));
      const grid = this.grid.getContext("2d")!;
      grid.scale(scale, scale);
      grid.lineWidth = 1;
      const { leads, each } = this.lanes(height);
      const rows = Math.max(1, leads.length);
      for (const [step, colour] of [[0.1, colours.minor], [0.5, colours.major]] as const) {
        if (step * this.gain < 2.6) continue;
        grid.strokeStyle = colour;
        grid.beginPath();
        for (let row = 0; row < rows; row++) {
          const middle = LANE + row * each + each / 2;
          const most = Math.floor(each / 2 / (step * this.gain));
          for (let i = -most; i <= most; i++) {
            const y = Math.round(middle + i * step * this.gain) + 0.5;
            grid.moveTo(0, y);
            grid.lineTo(width, y);
          }
        }
        grid.stroke();
      }
    }
    verticals(minor, colours.minor);
    context.drawImage(this.grid!, 0, 0, width, height);
    verticals(major, colours.major);
    // Times below.
    const step = timeStep(90 / this.speed);
    context.fillStyle = colours.ink;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (let i = Math.ceil(this.time / step); i * step <= this.time + width / this.speed; i++) {
      const x = this.x(i * step);
      const text = clock(i * step, step < 1 ? 1 : 0);
      context.fillRect(Math.round(x), height - AXIS, 1, 5);
      if (x + 3 + context.measureText(text).width < width) context.fillText(text, x + 3, height - AXIS / 2);
    }
  }

  private drawEpisodes(context: CanvasRenderingContext2D, width: number, height: number): void {
    const colours = theme();
    const y = height - AXIS - 16;
    let drawn = -Infinity;
    for (const episode of this.host.episodes) {
      if (episode.from_s > this.time + this.span || episode.to_s < this.time) continue;
      const [from, to] = [Math.max(-2, this.x(episode.from_s)), Math.min(width + 2, this.x(episode.to_s))];
      if (to - from < 6) {
        // Of a whole day, many fall on one pixel.
        if (Math.abs(from - drawn) < 1) continue;
        drawn = from;
        context.fillStyle = colours.accent;
        context.globalAlpha = 0.6;
        context.fillRect(from, y, Math.max(2, to - from), 16);
        context.globalAlpha = 1;
        continue;
      }
      context.fillStyle = colours.band;
      context.fillRect(from, y, to - from, 16);
      // Hatched, for whoever sees no colour.
      context.save();
      context.beginPath();
      context.rect(from, y, to - from, 16);
      context.clip();
      context.strokeStyle = colours.accent;
      context.globalAlpha = 0.45;
      context.lineWidth = 1;
      context.beginPath();
      const slant = episode.kind === "AF" ? 16 : -16;
      const shift = ((this.time * this.speed) % 8) + 8;
      for (let x = from - 24 - (shift % 8); x < to + 24; x += 8) {
        context.moveTo(x, y + 16);
        context.lineTo(x + slant, y);
      }
      context.stroke();
      context.restore();
      context.font = "600 11px system-ui, sans-serif";
      const name = episode.kind;
      const wide = context.measureText(name).width;
      if (to - from > wide + 8) {
        const x = Math.max(4, from + 4);
        context.fillStyle = colours.paper;
        context.fillRect(x - 2, y + 1, wide + 4, 14);
        context.fillStyle = colours.ink;
        context.textAlign = "left";
        context.textBaseline = "middle";
        context.fillText(name, x, y + 8);
      }
    }
  }

  private drawMarks(context: CanvasRenderingContext2D, width: number, height: number): void {
    const beats = this.host.beats;
    if (!beats) return;
    const colours = theme();
    const open = Number.isNaN(this.markFrom) || Number.isNaN(this.cursor);
    const all = beats.marks.map((mark) => [mark.from / beats.rate, mark.to / beats.rate, mark.text] as const);
    if (!open) all.push([Math.min(this.markFrom, this.cursor), Math.max(this.markFrom, this.cursor), "marking …"]);
    for (const [from, to, text] of all) {
      if (from > this.time + this.span || to < this.time) continue;
      const [a, b] = [Math.max(-2, this.x(from)), Math.min(width + 2, this.x(to))];
      context.fillStyle = colours.selected;
      context.globalAlpha = 0.16;
      context.fillRect(a, LANE, Math.max(2, b - a), height - LANE - AXIS);
      context.globalAlpha = 1;
      context.strokeStyle = colours.selected;
      context.lineWidth = 1.5;
      context.setLineDash([6, 3]);
      context.strokeRect(a, LANE + 1, Math.max(2, b - a), height - LANE - AXIS - 2);
      context.setLineDash([]);
      context.fillStyle = colours.ink;
      context.font = "11px system-ui, sans-serif";
      context.textAlign = "left";
      context.textBaseline = "top";
      context.fillText(text, Math.max(70, a + 5), LANE + 6);
    }
  }

  private trace(context: CanvasRenderingContext2D, lead: Lead, width: number, middle: number): void {
    const perPixel = lead.rate / this.speed;
    const y = (mv: number) => middle - (mv - lead.offset) * this.gain;
    context.strokeStyle = theme().trace;
    context.lineJoin = "round";
    // Where it is drawn without a GPU, a line of one pixel takes an eighth of the time of any other.
    context.lineWidth = window.devicePixelRatio > 1 ? 1.3 : 1;
    context.beginPath();
    const first = Math.max(0, Math.floor(this.time * lead.rate) - 1);
    const last = Math.min(lead.length, Math.ceil((this.time + this.span) * lead.rate) + 2);
    const at = perPixel < lead.bucket ? lead.samples(first, last - 1) : null;
    if (at && perPixel <= MOST_IN_PIXEL) {
      let pen = false;
      for (let sample = first; sample < last; sample++) {
        const mv = at(sample);
        if (mv !== mv) {
          pen = false;
          continue;
        }
        const x = (sample / lead.rate - this.time) * this.speed;
        if (pen) context.lineTo(x, y(mv));
        else context.moveTo(x, y(mv));
        pen = true;
      }
    } else {
      // A column of pixels at a time, from the lowest to the highest of its samples.
      const ends: Ends = { low: NaN, high: NaN };
      const scale = window.devicePixelRatio > 1 ? 0.5 : 1;
      let before = NaN;
      for (let x = 0; x < width; x += scale) {
        const from = (this.time + x / this.speed) * lead.rate;
        const to = from + scale * perPixel;
        if (at) {
          ends.low = NaN;
          ends.high = NaN;
          const stop = Math.min(lead.length, Math.ceil(to));
          for (let sample = Math.max(0, Math.floor(from)); sample < stop; sample++) {
            const mv = at(sample);
            if (mv === mv) {
              if (!(mv >= ends.low)) ends.low = mv;
              if (!(mv <= ends.high)) ends.high = mv;
            }
          }
        } else if (from < lead.length) lead.ends(from, to, ends);
        else ends.low = NaN;
        if (ends.low !== ends.low) {
          before = NaN;
          continue;
        }
        const [top, bottom] = [y(ends.high), y(ends.low)];
        if (before === before) context.lineTo(x, Math.abs(before - top) < Math.abs(before - bottom) ? top : bottom);
        else context.moveTo(x, top);
        context.lineTo(x, top);
        context.lineTo(x, Math.max(bottom, top + 0.8));
        before = bottom;
      }
    }
    context.stroke();
  }

  private drawBeats(context: CanvasRenderingContext2D, width: number, height: number): void {
    const { beats, filter, selected } = this.host;
    const colours = theme();
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, width, LANE);
    context.fillStyle = colours.major;
    context.fillRect(0, LANE - 1, width, 1);
    if (!beats) return;
    const first = beats.from(this.time * beats.rate) - 1;
    const end = beats.from((this.time + this.span) * beats.rate) + 1;
    const room = width / Math.max(1, end - first);
    const chosen = beats.list[selected];
    // Where each class was marked last: of a whole day, thousands would fall on one another.
    const marked: Partial<Record<ClassName, number>> = {};
    for (let place = Math.max(0, first); place < Math.min(end, beats.list.length); place++) {
      const beat = beats.list[place]!;
      const time = Number.isNaN(this.dragTo) || beat !== chosen ? beats.time(beat) : this.dragTo;
      const x = this.x(time);
      const dim = !filter.has(beat.cls);
      if (room < 9 && place !== selected) {
        if (beat.cls === "N" || dim || x - (marked[beat.cls] ?? -Infinity) < 3) continue;
        marked[beat.cls] = x;
      }
      context.globalAlpha = dim ? 0.3 : 1;
      if (place === selected) {
        context.strokeStyle = colours.selected;
        context.lineWidth = 1.5;
        context.beginPath();
        context.moveTo(x, LANE);
        context.lineTo(x, height - AXIS);
        context.stroke();
        context.globalAlpha = 1;
        context.fillStyle = colours.selected;
        context.globalAlpha = 0.28;
        context.beginPath();
        context.arc(x, 16, 15, 0, 2 * Math.PI);
        context.fill();
        context.globalAlpha = 1;
      } else if (room >= 9 && beat.cls !== "N") {
        context.strokeStyle = colours.classes[beat.cls];
        context.lineWidth = 1;
        context.setLineDash([2, 3]);
        context.beginPath();
        context.moveTo(x, LANE);
        context.lineTo(x, LANE + 14);
        context.stroke();
        context.setLineDash([]);
      }
      badge(context, beat.cls, x, 16, room > 20 ? 8.5 : room > 12 ? 6 : 4.5, room > 14);
      if (beat.edited) {
        context.fillStyle = colours.selected;
        context.fillRect(x - 7, 29, 14, 2);
      }
      if (room > 46 && !Number.isNaN(beat.rr)) {
        const before = beats.list[place - 1];
        if (before) {
          context.fillStyle = colours.faint;
          context.font = "11px system-ui, sans-serif";
          context.textAlign = "center";
          context.textBaseline = "middle";
          context.fillText(beat.rr.toFixed(0), (x + this.x(beats.time(before))) / 2, 17);
        }
      }
      context.globalAlpha = 1;
    }
  }

  private drawCursor(context: CanvasRenderingContext2D, height: number): void {
    if (Number.isNaN(this.cursor)) return;
    const x = Math.round(this.x(this.cursor)) + 0.5;
    context.strokeStyle = theme().accent;
    context.lineWidth = 1;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(x, LANE);
    context.lineTo(x, height - AXIS);
    context.stroke();
    context.setLineDash([]);
  }

  private drawCaliper(context: CanvasRenderingContext2D, width: number, height: number): void {
    const { caliper } = this;
    if (!caliper || !this.measuring) return;
    const colours = theme();
    const { leads, each } = this.lanes(height);
    const lead = leads[0];
    const middle = LANE + each / 2;
    const [fromMv, toMv] = this.levels();
    const y = (mv: number) => middle - (mv - (lead?.offset ?? 0)) * this.gain;
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const time of [caliper.from, caliper.to]) {
      context.moveTo(this.x(time), LANE);
      context.lineTo(this.x(time), height - AXIS);
    }
    for (const mv of [fromMv, toMv]) {
      if (Number.isNaN(mv)) continue;
      context.moveTo(this.x(Math.min(caliper.from, caliper.to)) - 14, y(mv));
      context.lineTo(this.x(Math.max(caliper.from, caliper.to)) + 14, y(mv));
    }
    context.stroke();
    const text = this.measured();
    context.font = "600 13px system-ui, sans-serif";
    const wide = context.measureText(text).width + 16;
    const x = Math.min(width - wide - 4, Math.max(4, this.x((caliper.from + caliper.to) / 2) - wide / 2));
    context.fillStyle = colours.accent;
    context.fillRect(x, LANE + 26, wide, 24);
    context.fillStyle = colours.paper;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(text, x + 8, LANE + 38);
  }

  /** The levels of the calipers' lines, in mV. */
  private levels(): [number, number] {
    const { caliper } = this;
    if (!caliper) return [NaN, NaN];
    const lead = this.host.leads.find((lead) => this.host.shown.has(lead.index));
    const level = (time: number, mv: number) => {
      if (!Number.isNaN(mv) || !lead) return mv;
      const sample = Math.round(time * lead.rate);
      return lead.samples(sample, sample)?.(sample) ?? NaN;
    };
    return [level(caliper.from, caliper.fromMv), level(caliper.to, caliper.toMv)];
  }

  /** What the calipers say. */
  measured(): string {
    const { caliper } = this;
    if (!caliper) return "";
    const ms = Math.abs(caliper.to - caliper.from) * 1000;
    const [from, to] = this.levels();
    const mv = to - from;
    const bpm = ms > 0 ? `${(60000 / ms).toFixed(0)} bpm` : "– bpm";
    return `${ms.toFixed(0)} ms   ${Number.isNaN(mv) ? "–" : mv.toFixed(2)} mV   ${bpm}`;
  }

  // --- pointer -------------------------------------------------------------------------------------------------------

  private point(event: PointerEvent | WheelEvent): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private mvAt(y: number): number {
    const { leads, each } = this.lanes(this.canvas.clientHeight);
    const row = Math.min(leads.length - 1, Math.max(0, Math.floor((y - LANE) / each)));
    const middle = LANE + row * each + each / 2;
    return (leads[row]?.offset ?? 0) - (y - middle) / this.gain;
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    const { x, y } = this.point(event);
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x, y });
    this.velocity = 0;
    this.target = null;
    this.travelled = 0;
    const { beats, selected } = this.host;
    const chosen = beats?.list[selected];
    if (this.pointers.size > 1) this.dragging = "pan";
    else if (y < LANE && beats && chosen && Math.abs(this.x(beats.time(chosen)) - x) < 14) this.dragging = "beat";
    else if (this.measuring && y > LANE) {
      this.dragging = "caliper";
      const time = this.at(x);
      const mv = this.mvAt(y);
      this.caliper = { from: time, to: time, fromMv: mv, toMv: mv };
    } else this.dragging = "pan";
    this.redraw();
  }

  private move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.point(event);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, now);
    this.travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (others.length === 1) {
      // Two fingers: what lies between them is drawn apart.
      const other = others[0]![1];
      const factor = Math.abs(now.x - other.x) / Math.max(1, Math.abs(before.x - other.x));
      const middle = (now.x + other.x) / 2;
      const speed = Math.min(FASTEST, Math.max(this.slowest, this.speed * factor));
      const time = this.at((before.x + other.x) / 2) - middle / speed;
      this.go(time, speed, false);
      return;
    }
    switch (this.dragging) {
      case "pan":
        this.time = this.within(this.time - (now.x - before.x) / this.speed, this.speed);
        this.velocity = 0.6 * this.velocity + 0.4 * ((now.x - before.x) / Math.max(0.004, (event.timeStamp - this.movedAt) / 1000));
        this.movedAt = event.timeStamp;
        this.host.moved();
        break;
      case "caliper":
        this.caliper = { ...this.caliper!, to: this.at(now.x), toMv: this.mvAt(now.y) };
        this.host.changed();
        break;
      case "beat":
        if (this.travelled > 3) this.dragTo = this.at(now.x);
        break;
    }
    this.redraw();
  }
  private movedAt = 0;

  private up(event: PointerEvent): void {
    const here = this.pointers.get(event.pointerId);
    if (!here) return;
    this.pointers.delete(event.pointerId);
    const { beats, selected } = this.host;
    if (event.timeStamp - this.movedAt > 60 || this.still) this.velocity = 0;
    if (this.dragging === "beat" && beats && !Number.isNaN(this.dragTo)) {
      const sample = Math.round(this.dragTo * beats.rate);
      this.dragTo = NaN;
      if (beats.move(selected, sample)) this.host.select(beats.near(sample, 0));
    } else if (this.travelled < 5 && event.type === "pointerup" && this.dragging !== "caliper") {
      this.velocity = 0;
      const time = this.at(here.x);
      this.cursor = time;
      const near = beats?.near(time * beats.rate, Math.max(14 / this.speed, 0.08) * (here.y < LANE ? 1 : 2) * beats.rate) ?? -1;
      this.host.select(near, false);
      this.canvas.focus({ preventScroll: true });
    }
    this.dragTo = NaN;
    if (this.pointers.size === 0) this.dragging = null;
    this.redraw();
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 30 : 1;
    if (event.ctrlKey || event.metaKey) {
      this.zoom(Math.exp(-event.deltaY * unit * 0.004), this.point(event).x);
      return;
    }
    const delta = (Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.deltaY) * unit;
    const { time, speed } = this.goal;
    this.go(time + delta / speed, speed);
  }
}
