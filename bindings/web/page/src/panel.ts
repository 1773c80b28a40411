// The panel beside the strip: summary, episodes, beats.
import type { Beats } from "./beats";
import { badge, clock, percent, sized, theme } from "./draw";
import { CLASSES, MEANING, type ClassName, type Judged } from "./types";

const ROW = 28;

export function chip(canvas: HTMLCanvasElement, cls: ClassName, ground: string): void {
  const { context, width, height } = sized(canvas);
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  badge(context, cls, width / 2, height / 2, 6, false);
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, text = "", attributes: Record<string, string> = {}): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function rows(caption: string, all: [string, string][]): HTMLTableElement {
  const table = element("table");
  table.append(element("caption", caption));
  const body = element("tbody");
  for (const [name, value] of all) {
    const row = element("tr");
    row.append(element("th", name, { scope: "row" }), element("td", value));
    body.append(row);
  }
  table.append(body);
  return table;
}

export function showSummary(panel: HTMLElement, judged: Judged, about: { lead: string; model: string; seconds: number }, warnings: string[], edits: number): void {
  const { summary } = judged;
  const { rhythm } = summary;
  const rate = summary.heart_rate_bpm;
  const ms = (value: unknown, digits = 0) => (typeof value === "number" ? `${value.toFixed(digits)} ms` : "–");
  const { hrv } = judged;
  panel.replaceChildren(
    rows("Beats", [...CLASSES.map((cls): [string, string] => [`${cls} ${MEANING[cls]}`, String(summary.counts[cls])]), ["all", String(summary.beats)], ["unsure", String(summary.unsure)], ["changed by hand", String(edits)]]),
    rows("Heart rate", [
      ["mean", rate ? `${rate.mean.toFixed(0)} bpm` : "–"],
      ["slowest to fastest of 8 beats", rate ? `${rate.min.toFixed(0)} to ${rate.max.toFixed(0)} bpm` : "–"],
      ["longest RR", summary.longest_rr_ms === null ? "–" : `${summary.longest_rr_ms.toFixed(0)} ms`],
    ]),
    rows("Burden", [
      ["supraventricular", percent(summary.supraventricular_burden)],
      ["ventricular", percent(summary.ventricular_burden)],
      ["atrial fibrillation", percent(rhythm.fibrillation_share)],
      ["of time judged", clock(rhythm.judged_s)],
      ["runs of S, of V", `${rhythm.supraventricular_runs.count}, ${rhythm.ventricular_runs.count}`],
    ]),
    rows("Heart rate variability", [
      ["SDNN", ms(hrv.sdnn_ms, 1)],
      ["RMSSD", ms(hrv.rmssd_ms, 1)],
    ]),
    rows("How", [
      ["lead", about.lead],
      ["model", about.model],
      ["took", `${about.seconds.toFixed(about.seconds < 10 ? 1 : 0)} s`],
    ]),
  );
  if (warnings.length > 0) {
    const list = element("ul", "", { class: "warnings" });
    list.append(...warnings.map((warning) => element("li", warning)));
    panel.append(element("h3", "What is strange"), list);
  }
}

export function showEpisodes(panel: HTMLElement, judged: Judged | null, beats: Beats | null, go: (from: number, to: number) => void, unmark: (place: number) => void): void {
  panel.replaceChildren();
  if (!judged) return;
  const list = element("div", "", { class: "list" });
  for (const { kind, from_s, to_s, beats: count, mean_rate_bpm } of judged.episodes.slice(0, 1000)) {
    const button = element("button", "", { type: "button" });
    const rate = mean_rate_bpm === null ? "" : `${mean_rate_bpm.toFixed(0)} bpm`;
    button.append(element("span", clock(from_s, 1)), element("strong", kind), element("small", kind === "pause" ? `${((to_s - from_s) * 1000).toFixed(0)} ms` : `${clock(to_s - from_s)}, ${count} beats, ${rate}`));
    button.addEventListener("click", () => go(from_s, to_s));
    list.append(button);
  }
  panel.append(element("h3", judged.episodes.length === 0 ? "No episodes of AF, runs or pauses" : `${judged.episodes.length} episode${judged.episodes.length === 1 ? "" : "s"}`), list);
  if (judged.episodes.length > 1000) panel.append(element("p", "The first 1000 are listed; the JSON has all.", { class: "faint" }));
  if (!beats || beats.marks.length === 0) return;
  const marks = element("div", "", { class: "list" });
  beats.marks.forEach((mark, place) => {
    const row = element("div", "", { class: "pair" });
    const button = element("button", "", { type: "button" });
    button.style.flex = "1";
    button.append(element("span", clock(mark.from / beats.rate, 1)), element("strong", "mark"), element("small", mark.text));
    button.addEventListener("click", () => go(mark.from / beats.rate, mark.to / beats.rate));
    const remove = element("button", "×", { type: "button", "aria-label": `Remove the mark ${mark.text}` });
    remove.addEventListener("click", () => unmark(place));
    row.append(button, remove);
    marks.append(row);
  });
  panel.append(element("h3", `${beats.marks.length} marked`), marks);
}

/** The beats of the classes that are on; only those in sight are in the document. */
export class BeatList {
  private places: number[] = [];
  private list = element("div", "", { class: "list" });
  private space = element("div");
  private none = element("p", "No beats of these classes.", { class: "faint" });

  constructor(
    private panel: HTMLElement,
    private host: { beats: Beats | null; filter: Set<ClassName>; selected: number; select(place: number, scroll?: boolean): void },
  ) {
    panel.append(this.space, this.list, this.none);
    panel.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(panel);
  }

  renew(): void {
    const { beats, filter } = this.host;
    this.places = [];
    beats?.list.forEach((beat, place) => filter.has(beat.cls) && this.places.push(place));
    this.space.style.height = `${this.places.length * ROW}px`;
    this.none.hidden = this.places.length > 0;
    this.draw();
  }

  /** Has the chosen beat in sight. */
  follow(): void {
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.places[middle]! < this.host.selected) low = middle + 1;
      else high = middle;
    }
    if (this.places[low] === this.host.selected && !this.panel.hidden) {
      const y = low * ROW;
      const { scrollTop, clientHeight } = this.panel;
      if (y < scrollTop || y + ROW > scrollTop + clientHeight) this.panel.scrollTop = y - clientHeight / 2;
    }
    this.draw();
  }

  draw(): void {
    if (this.panel.hidden) return;
    const { beats, selected } = this.host;
    if (!beats) {
      this.list.replaceChildren();
      return;
    }
    const first = Math.max(0, Math.floor(this.panel.scrollTop / ROW) - 4);
    const end = Math.min(this.places.length, first + Math.ceil(this.panel.clientHeight / ROW) + 8);
    const had = document.activeElement && this.list.contains(document.activeElement) ? Number((document.activeElement as HTMLElement).dataset.place) : -1;
    this.list.style.top = `${first * ROW}px`;
    const ground = getComputedStyle(document.documentElement).getPropertyValue("--surface").trim();
    const made = [];
    for (const place of this.places.slice(first, end)) {
      const beat = beats.list[place]!;
      const button = element("button", "", { type: "button", "data-place": String(place) });
      if (place === selected) button.setAttribute("aria-current", "true");
      const mark = element("canvas", "", { "aria-hidden": "true" });
      const score = beat.scores[CLASSES.indexOf(beat.cls)];
      const words = [Number.isNaN(beat.rr) ? "" : `${beat.rr.toFixed(0)} ms`, beat.edited ? "by hand" : score === undefined ? "" : `p ${score.toFixed(2)}`];
      button.append(mark, element("span", `${clock(beats.time(beat), 2)}`), element("small", `${beat.cls}  ${words.filter(Boolean).join("  ")}`));
      button.addEventListener("click", () => this.host.select(place));
      made.push([button, mark, beat.cls] as const);
    }
    this.list.replaceChildren(...made.map(([button]) => button));
    for (const [, mark, cls] of made) chip(mark, cls, ground);
    if (had >= 0) this.list.querySelector<HTMLElement>(`[data-place="${had}"]`)?.focus({ preventScroll: true });
    void theme;
  }
}
