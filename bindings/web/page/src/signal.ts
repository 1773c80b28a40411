// A lead as the page draws it: a pyramid of lowest and highest samples, and tiles of the samples themselves near the view.
import type { Engine } from "./engine";
import type { LeadAbout } from "./types";

const TILE = 8192;
const TILES_KEPT = 192;
const STEP = 4;
/** Buckets of all leads together that the lowest level may have: 64 MB. */
const MOST_BUCKETS = 8e6;

/** A column of the screen. */
export interface Ends {
  low: number;
  high: number;
}

export class Lead {
  readonly rate: number;
  readonly length: number;
  /** Level n has a low and a high for each `bucket * STEP ** n` samples. */
  private levels: Float32Array[] = [];
  /** Buckets of each level that are known. */
  private known: number[] = [];
  private tiles = new Map<number, Float32Array | null>();
  /** The level at which the lead stands, in mV. */
  offset = 0;

  constructor(
    readonly index: number,
    readonly about: LeadAbout,
    readonly bucket: number,
    private engine: Engine,
    private changed: () => void,
  ) {
    this.rate = about.sample_rate_hz;
    this.length = about.samples;
    let buckets = Math.ceil(this.length / bucket);
    for (;;) {
      this.levels.push(new Float32Array(2 * buckets).fill(NaN));
      this.known.push(0);
      if (buckets <= 512) break;
      buckets = Math.ceil(buckets / STEP);
    }
  }

  get name(): string {
    return this.about.name;
  }

  /** Takes the next buckets of the lowest level. */
  take(part: Float32Array): void {
    const base = this.levels[0]!;
    const at = this.known[0]!;
    base.set(part.subarray(0, base.length - 2 * at), 2 * at);
    this.known[0] = at + part.length / 2;
    for (let level = 1; level < this.levels.length; level++) {
      const below = this.levels[level - 1]!;
      const here = this.levels[level]!;
      const all = this.known[level - 1]! * 2 >= below.length;
      const end = all ? here.length / 2 : Math.floor(this.known[level - 1]! / STEP);
      for (let i = this.known[level]!; i < end; i++) {
        let low = NaN;
        let high = NaN;
        const last = Math.min(STEP * (i + 1), below.length / 2);
        for (let j = STEP * i; j < last; j++) {
          const l = below[2 * j]!;
          const h = below[2 * j + 1]!;
          if (!(l >= low)) low = Number.isNaN(l) ? low : l;
          if (!(h <= high)) high = Number.isNaN(h) ? high : h;
        }
        here[2 * i] = low;
        here[2 * i + 1] = high;
      }
      this.known[level] = end;
    }
    this.settle();
  }

  /** Where the lead stands: the middle of its buckets' middles. */
  private settle(): void {
    const level = this.levels.findIndex((l) => l.length <= 8192);
    const top = this.levels[level < 0 ? this.levels.length - 1 : level]!;
    const middles: number[] = [];
    for (let i = 0; i + 1 < top.length; i += 2) {
      const middle = (top[i]! + top[i + 1]!) / 2;
      if (!Number.isNaN(middle)) middles.push(middle);
    }
    if (middles.length === 0) return;
    middles.sort((a, b) => a - b);
    this.offset = middles[middles.length >> 1]!;
  }

  /** The samples of a stretch, where all of them are here; what is not is asked for. */
  samples(from: number, to: number): ((sample: number) => number) | null {
    const first = Math.floor(Math.max(0, from) / TILE);
    const last = Math.floor(Math.min(this.length - 1, to) / TILE);
    let complete = true;
    for (let tile = first - 1; tile <= last + 1; tile++) {
      if (tile < 0 || tile * TILE >= this.length) continue;
      const here = this.tiles.get(tile);
      if (here === undefined) this.fetch(tile);
      else {
        // The most recent last.
        this.tiles.delete(tile);
        this.tiles.set(tile, here);
      }
      if (!here && tile >= first && tile <= last) complete = false;
    }
    if (!complete) return null;
    let at = -1;
    let tile: Float32Array | null | undefined;
    return (sample) => {
      const wanted = Math.floor(sample / TILE);
      if (wanted !== at) {
        at = wanted;
        tile = this.tiles.get(wanted);
      }
      return tile?.[sample - wanted * TILE] ?? NaN;
    };
  }

  /** The samples of a stretch, once they are here. */
  async read(from: number, to: number): Promise<Float32Array> {
    return this.engine.ask<Float32Array>("samples", [this.index, Math.max(0, from), Math.min(this.length, to)]);
  }

  private fetch(tile: number): void {
    this.tiles.set(tile, null);
    if (this.tiles.size > TILES_KEPT) {
      for (const [old, samples] of this.tiles) {
        if (samples && this.tiles.size > TILES_KEPT) this.tiles.delete(old);
      }
    }
    this.read(tile * TILE, (tile + 1) * TILE).then(
      (samples) => {
        this.tiles.set(tile, samples);
        this.changed();
      },
      () => this.tiles.delete(tile),
    );
  }

  /** The lowest and highest of the samples `from` to `to`, from the pyramid; `out` takes them. */
  ends(from: number, to: number, out: Ends): void {
    const span = to - from;
    let level = 0;
    let size = this.bucket;
    while (level + 1 < this.levels.length && size * STEP <= span) {
      size *= STEP;
      level++;
    }
    const ends = this.levels[level]!;
    const known = this.known[level]!;
    let low = NaN;
    let high = NaN;
    const first = Math.max(0, Math.floor(from / size));
    const last = Math.min(known - 1, Math.max(first, Math.ceil(to / size) - 1));
    for (let i = first; i <= last; i++) {
      const l = ends[2 * i]!;
      const h = ends[2 * i + 1]!;
      if (!(l >= low)) low = Number.isNaN(l) ? low : l;
      if (!(h <= high)) high = Number.isNaN(h) ? high : h;
    }
    out.low = low;
    out.high = high;
  }
}

/** Samples in a bucket of the lowest level, for leads of these lengths. */
export function bucketFor(lengths: number[]): number {
  const all = lengths.reduce((sum, length) => sum + length, 0);
  let bucket = 8;
  while (all / bucket > MOST_BUCKETS) bucket *= 2;
  return bucket;
}
