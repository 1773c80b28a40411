// The beats, the program's and a person's: every change can be undone, and is kept as what was taken away and what was put there.
import { CLASSES, type Analysed, type ClassName, type Columns } from "./types";

export interface Beat {
  /** At the record's own rate. */
  sample: number;
  cls: ClassName;
  /** 1, 0, or -1: not known. */
  fibrillation: number;
  rr: number;
  quality: number;
  /** N, S, V, F; empty where a person put the beat there. */
  scores: number[];
  /** Whether a person has had a hand in it. */
  edited: boolean;
}

export interface Mark {
  from: number;
  to: number;
  text: string;
}

export interface Change {
  what: string;
  removed: Beat[];
  added: Beat[];
  marksRemoved: Mark[];
  marksAdded: Mark[];
}

/** A line of the diff against the program's word. */
export interface Difference {
  change: "class" | "moved" | "added" | "deleted";
  sample: number;
  from_sample?: number;
  from?: ClassName;
  to?: ClassName;
}

/** Whether the two likeliest classes are close, as the command has it; null of Q, and where a person has decided. */
export function unsure(beat: Beat): boolean | null {
  if (beat.cls === "Q" || beat.edited || beat.scores.length !== 4) return null;
  const [first, second] = [...beat.scores].sort((a, b) => b - a);
  const margin = Math.fround(first! - second!);
  return Number.isNaN(margin) ? null : margin < 0.5;
}

export class Beats {
  list: Beat[] = [];
  marks: Mark[] = [];
  /** What the program said. */
  private program: Beat[] = [];
  private changes: Change[] = [];
  /** Changes that are in force; those behind can be redone. */
  private done = 0;
  onchange: (change: Change) => void = () => undefined;

  constructor(readonly rate: number) {}

  take(analysed: Analysed): void {
    const { samples, classes, fibrillation, rr_ms, quality, scores } = analysed;
    this.list = Array.from(samples, (sample, i) => ({
      sample,
      cls: CLASSES[classes[i]!]!,
      fibrillation: fibrillation[i]!,
      rr: rr_ms[i]!,
      quality: quality[i]!,
      scores: Array.from(scores.subarray(4 * i, 4 * i + 4)),
      edited: false,
    }));
    this.program = this.list.slice();
    this.changes = [];
    this.done = 0;
    this.marks = [];
  }

  /** How many are unsure. */
  unsure(): number {
    return this.list.filter((beat) => unsure(beat) === true).length;
  }

  /** The place of the first beat at or after a sample. */
  from(sample: number): number {
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.list[middle]!.sample < sample) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The place of the beat nearest to a sample, or -1. */
  near(sample: number, within = Infinity): number {
    const after = this.from(sample);
    let best = -1;
    for (const place of [after - 1, after]) {
      const beat = this.list[place];
      if (!beat || Math.abs(beat.sample - sample) > within) continue;
      if (best < 0 || Math.abs(beat.sample - sample) < Math.abs(this.list[best]!.sample - sample)) best = place;
    }
    return best;
  }

  time(beat: Beat): number {
    return beat.sample / this.rate;
  }

  // --- changes -------------------------------------------------------------------------------------------------------

  setClass(place: number, cls: ClassName): void {
    const beat = this.list[place];
    if (!beat || beat.cls === cls) return;
    this.change(`class ${beat.cls} to ${cls}`, [beat], [{ ...beat, cls, edited: true }]);
  }

  move(place: number, sample: number): boolean {
    const beat = this.list[place];
    if (!beat || beat.sample === sample || sample < 0) return false;
    const taken = this.near(sample, 0);
    if (taken >= 0) return false;
    this.change("move", [beat], [{ ...beat, sample, edited: true }]);
    return true;
  }

  add(sample: number, cls: ClassName): boolean {
    if (this.near(sample, 0) >= 0) return false;
    const near = this.list[this.near(sample)];
    const fibrillation = near?.fibrillation ?? -1;
    const beat: Beat = { sample, cls, fibrillation, rr: NaN, quality: NaN, scores: [], edited: true };
    this.change("add", [], [beat]);
    return true;
  }

  remove(place: number): void {
    const beat = this.list[place];
    if (beat) this.change("delete", [beat], []);
  }

  mark(mark: Mark): void {
    this.change("mark", [], [], [], [mark]);
  }

  unmark(mark: Mark): void {
    this.change("remove mark", [], [], [mark], []);
  }

  /** Each beat of a stretch becomes of a class. */
  setClasses(from: number, to: number, cls: ClassName): void {
    const beats = this.list.slice(this.from(from), this.from(to)).filter((beat) => beat.cls !== cls);
    if (beats.length === 0) return;
    this.change(`${beats.length} beats to ${cls}`, beats, beats.map((beat) => ({ ...beat, cls, edited: true })));
  }

  private change(what: string, removed: Beat[], added: Beat[], marksRemoved: Mark[] = [], marksAdded: Mark[] = []): void {
    this.changes.length = this.done;
    const change = { what, removed, added, marksRemoved, marksAdded };
    this.changes.push(change);
    this.done++;
    this.apply(change.removed, change.added, change.marksRemoved, change.marksAdded);
    this.onchange(change);
  }

  undo(): Change | undefined {
    const change = this.changes[this.done - 1];
    if (!change) return undefined;
    this.done--;
    this.apply(change.added, change.removed, change.marksAdded, change.marksRemoved);
    this.onchange(change);
    return change;
  }

  redo(): Change | undefined {
    const change = this.changes[this.done];
    if (!change) return undefined;
    this.done++;
    this.apply(change.removed, change.added, change.marksRemoved, change.marksAdded);
    this.onchange(change);
    return change;
  }

  get canUndo(): boolean {
    return this.done > 0;
  }

  get canRedo(): boolean {
    return this.done < this.changes.length;
  }

  private apply(removed: Beat[], added: Beat[], marksRemoved: Mark[], marksAdded: Mark[]): void {
    const gone = new Set(removed.map((beat) => beat.sample));
    if (removed.length > 0) this.list = this.list.filter((beat) => !gone.has(beat.sample));
    if (added.length === 1) {
      this.list.splice(this.from(added[0]!.sample), 0, { ...added[0]! });
    } else if (added.length > 1) {
      this.list.push(...added.map((beat) => ({ ...beat })));
      this.list.sort((a, b) => a.sample - b.sample);
    }
    const same = (a: Mark) => marksRemoved.some((b) => a.from === b.from && a.to === b.to && a.text === b.text);
    this.marks = this.marks.filter((mark) => !same(mark)).concat(marksAdded);
    this.marks.sort((a, b) => a.from - b.from);
    this.mendIntervals([...removed, ...added]);
  }

  /** Intervals around what has changed. Those that the program measured stay where both their beats stand as it found them. */
  private mendIntervals(touched: Beat[]): void {
    const places = new Set<number>();
    for (const beat of touched) {
      const at = this.from(beat.sample);
      places.add(at);
      places.add(at + 1);
    }
    for (const place of places) {
      const beat = this.list[place];
      if (!beat) continue;
      const before = this.list[place - 1];
      this.list[place] = { ...beat, rr: before ? this.interval(before, beat) : NaN };
    }
  }

  private interval(before: Beat, beat: Beat): number {
    const own = this.programAt(beat.sample);
    if (own > 0 && this.program[own - 1]!.sample === before.sample) return this.program[own]!.rr;
    return ((beat.sample - before.sample) / this.rate) * 1000;
  }

  private programAt(sample: number): number {
    let low = 0;
    let high = this.program.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.program[middle]!.sample < sample) low = middle + 1;
      else high = middle;
    }
    return this.program[low]?.sample === sample ? low : -1;
  }

  // --- what is kept and saved ----------------------------------------------------------------------------------------

  get isEdited(): boolean {
    return this.done > 0;
  }

  /** What a person changed, against what the program said. */
  differences(): Difference[] {
    const now = new Map(this.list.map((beat) => [beat.sample, beat]));
    const before = new Map(this.program.map((beat) => [beat.sample, beat]));
    const result: Difference[] = [];
    // Of all moves in force, from where each beat came.
    const origin = new Map<number, number>();
    for (const change of this.changes.slice(0, this.done)) {
      const [from, to] = [change.removed[0], change.added[0]];
      if (change.removed.length !== 1 || change.added.length !== 1 || !from || !to) continue;
      if (from.sample === to.sample) continue;
      origin.set(to.sample, origin.get(from.sample) ?? from.sample);
      origin.delete(from.sample);
    }
    const moved = new Set<number>();
    for (const beat of this.list) {
      const same = before.get(beat.sample);
      if (same) {
        if (same.cls !== beat.cls) result.push({ change: "class", sample: beat.sample, from: same.cls, to: beat.cls });
        continue;
      }
      const came = origin.get(beat.sample);
      const was = came === undefined ? undefined : before.get(came);
      if (was && !now.has(was.sample)) {
        moved.add(was.sample);
        const difference: Difference = { change: "moved", sample: beat.sample, from_sample: was.sample };
        if (was.cls !== beat.cls) Object.assign(difference, { from: was.cls, to: beat.cls });
        result.push(difference);
      } else {
        result.push({ change: "added", sample: beat.sample, to: beat.cls });
      }
    }
    for (const beat of this.program) {
      if (!now.has(beat.sample) && !moved.has(beat.sample)) {
        result.push({ change: "deleted", sample: beat.sample, from: beat.cls });
      }
    }
    return result.sort((a, b) => a.sample - b.sample);
  }

  columns(): Columns {
    const { list } = this;
    return {
      samples: Float64Array.from(list, (beat) => beat.sample),
      classes: Uint8Array.from(list, (beat) => CLASSES.indexOf(beat.cls)),
      fibrillation: Int8Array.from(list, (beat) => beat.fibrillation),
      rr_ms: Float64Array.from(list, (beat) => beat.rr),
    };
  }

  /** What survives a reload. */
  work(): { changes: Change[]; done: number } {
    return { changes: this.changes, done: this.done };
  }

  /** Takes up work from before. False where it does not fit these beats. */
  resume(work: { changes: Change[]; done: number }): boolean {
    const here = new Set(this.list.map((beat) => beat.sample));
    for (const change of work.changes.slice(0, work.done)) {
      if (!change.removed.every((beat) => here.has(beat.sample))) return false;
      for (const beat of change.removed) here.delete(beat.sample);
      for (const beat of change.added) here.add(beat.sample);
    }
    this.changes = work.changes;
    this.done = 0;
    while (this.done < work.done) {
      const change = this.changes[this.done++]!;
      this.apply(change.removed, change.added, change.marksRemoved, change.marksAdded);
    }
    return true;
  }
}
