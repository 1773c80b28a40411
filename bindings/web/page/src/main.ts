// The page: what is open, what is shown, what is corrected.
import demoHea from "given:demo.hea";
import demoDat from "given:demo.dat";
import { Beats, type Change } from "./beats";
import { Disclosure } from "./disclosure";
import { clock, forgetTheme } from "./draw";
import { Engine, Stopped, unpacked } from "./engine";
import { command } from "./line";
import { Live, serial } from "./live";
import { Overview } from "./overview";
import { BeatList, chip, showEpisodes, showSummary } from "./panel";
import { report, REPORT_STYLE } from "./report";
import { csv, download, json } from "./save";
import { bucketFor, Lead } from "./signal";
import * as store from "./store";
import { PAPER_GAIN, PAPER_SPEED, Strip } from "./strip";
import { CLASSES, MEANING, type About, type Analysed, type AnalysedAbout, type ClassName, type Episode, type Judged, type Lent, type Views } from "./types";
import { drawViews } from "./views";

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const ECTOPIC: ClassName[] = ["S", "V", "F"];

class App {
  about: About | null = null;
  analysed: AnalysedAbout | null = null;
  judged: Judged | null = null;
  beats: Beats | null = null;
  leads: Lead[] = [];
  shown = new Set<number>();
  filter = new Set<ClassName>(CLASSES);
  selected = -1;
  /** The one shows samples and views, the other classifies and judges. */
  private reader: Engine | null = null;
  private classifier: Engine | null = null;
  private files: Lent[] = [];
  private recordName = "";
  private rate: number | undefined;
  private unit: string | undefined;
  private classified = "first";
  private took = 0;
  /** Whether work from before has been taken up: until then none is kept, which would take its place. */
  private resumed = false;
  private viewsReady = false;
  /** Where the command that serves the page has a line to a device. */
  line: string | null = null;
  private run = 0;
  private saving = 0;
  private judging = 0;
  private seen = 0;
  readonly strip = new Strip($("strip"), this);
  readonly overview: Overview;
  readonly disclosure: Disclosure;
  readonly list: BeatList;
  readonly live: Live;

  constructor() {
    const self = this;
    const common = {
      get beats() { return self.beats; },
      get leads() { return self.leads; },
      get shown() { return self.shown; },
      get duration() { return self.duration; },
      get filter() { return self.filter; },
      get episodes() { return self.episodes; },
      window: () => ({ time: this.strip.time, span: this.strip.span }),
    };
    this.overview = new Overview($("overview"), Object.assign(Object.create(null, Object.getOwnPropertyDescriptors(common)), {
      goTo: (time: number) => this.strip.centre(time, false),
    }));
    this.disclosure = new Disclosure($("disclosure"), Object.assign(Object.create(null, Object.getOwnPropertyDescriptors(common)), {
      goTo: (time: number) => {
        this.disclose(false);
        this.strip.centre(time, false);
        this.select(this.beats?.near(time * (this.beats?.rate ?? 1), (this.beats?.rate ?? 1)) ?? -1, false);
      },
    }));
    this.list = new BeatList($("panel-beats"), this);
    this.live = new Live($("live-canvas"), $("live-events"), $("live-bpm"), (words, kind) => {
      $("live-state").textContent = words;
      $("live-state").dataset.kind = kind;
    }, () => ($("live-start").textContent = "Start"));
  }

  get duration(): number {
    return this.about?.duration_s ?? 0;
  }

  get episodes(): Episode[] {
    return this.judged?.episodes ?? [];
  }

  // --- opening -------------------------------------------------------------------------------------------------------

  /** Of files that belong together, the name by which the recording is opened; an error where a part is missing. */
  static nameOf(files: { name: string }[]): string {
    const names = files.map(({ name }) => name);
    const end = (name: string) => name.slice(name.lastIndexOf(".") + 1).toLowerCase();
    const stem = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf(".")) || name.length);
    const headers = names.filter((name) => end(name) === "hea");
    if (headers.length > 0) {
      // The header of a record of several segments is named like none of their files.
      const bare = (name: string) => stem(name).length;
      const master = headers.find((name) => !/_(\d+|layout)\.hea$/i.test(name)) ?? headers.sort((a, b) => bare(a) - bare(b))[0]!;
      return stem(master);
    }
    const formats = ["edf", "bdf", "rec", "dcm", "scp", "atc", "xml", "csv", "tsv", "txt", "ecg", "fit", "hrm"];
    const known = names.find((name) => formats.includes(end(name)));
    if (known) return known;
    const part = names.find((name) => ["dat", "atr", "qrs", "mat"].includes(end(name)));
    if (part) {
      throw new Error(`${part}: is one part of a WFDB record; drop its header, ${stem(part)}.hea, together with it`);
    }
    return names[0]!;
  }

  async openFiles(given: File[]): Promise<void> {
    if (given.length === 0) return;
    try {
      const files = given.map((file) => ({ name: file.name, size: file.size, file }));
      await this.open(files, App.nameOf(files));
    } catch (error) {
      this.fail(error as Error);
    }
  }

  async open(files: Lent[], name: string, rate?: number, unit?: string): Promise<void> {
    this.close();
    const run = ++this.run;
    [this.files, this.recordName, this.rate, this.unit] = [files, name, rate, unit];
    this.fail(null);
    this.progress(`Opening ${name} …`);
    try {
      this.reader = new Engine();
      const about = await this.reader.ask<About>("open", [files, name, rate, unit]);
      if (run !== this.run) return;
      this.take(about);
      if (this.line && this.leads.length > 0) {
        // The page is there for the device: it begins at once.
        this.openLive();
        this.startLive();
      }
      void store.saveSession(files, name, rate, unit).catch(() => undefined);
      await this.classify("first");
    } catch (error) {
      if (run !== this.run || error instanceof Stopped) return;
      this.progress(null);
      this.close();
      let words = (error as Error).message;
      // Of a WFDB record, the other half has to be dropped as well.
      if (/cannot be (read|opened)|not found|No such/i.test(words) && files.some((file) => file.name.toLowerCase().endsWith(".hea"))) {
        words += "; drop all files of the record together";
      }
      this.fail(new Error(words));
    }
  }

  close(): void {
    this.run++;
    this.reader?.end();
    this.classifier?.end();
    this.reader = this.classifier = null;
    this.live.stop();
    this.about = this.analysed = this.judged = this.beats = null;
    this.leads = [];
    this.selected = -1;
    this.viewsReady = false;
    this.strip.caliper = null;
    this.strip.measuring = false;
    this.strip.cursor = NaN;
    this.strip.markFrom = NaN;
    $("viewer").hidden = true;
    $("live").hidden = true;
    $("empty").hidden = false;
    this.needs();
  }

  private take(about: About): void {
    this.about = about;
    const voltages = about.leads.map((lead, index) => ({ lead, index })).filter(({ lead }) => lead.is_voltage);
    const bucket = bucketFor(voltages.map(({ lead }) => lead.samples));
    const redraw = () => {
      this.strip.redraw();
      this.disclosure.redraw();
      if (this.unmeasured && this.strip.measuring) this.sayMeasured("Calipers: ");
    };
    this.leads = voltages.map(({ lead, index }) => new Lead(index, lead, bucket, this.reader!, redraw));
    const first = about.first_ecg ?? voltages[0]?.index;
    // As many as can be told apart; the first that is an ECG among them.
    const most = window.innerWidth < 700 ? 2 : 3;
    const chosen = voltages.map(({ index }) => index).filter((index) => index !== first).slice(0, most - 1);
    this.shown = new Set(first === undefined || first === null ? chosen : [first, ...chosen]);
    $("empty").hidden = true;
    $("viewer").hidden = false;
    const start = about.start ? `, begun ${about.start}` : "";
    const title = document.createElement("strong");
    title.textContent = about.name;
    $("record").replaceChildren(title, ` ${clock(about.duration_s)}, ${about.sample_rate_hz} Hz, ${about.leads.length} lead${about.leads.length === 1 ? "" : "s"}${start}${about.synthetic ? ", SYNTHETIC" : ""}`);
    document.title = `${about.name} – Heartlens`;
    this.strip.time = 0;
    this.strip.speed = PAPER_SPEED;
    this.strip.gain = Math.min(PAPER_GAIN, 90 / Math.max(1, this.shown.size) + 5);
    this.showLeads();
    const options = [["first", "first ECG lead"], ...about.leads.map((lead, i) => [String(i), lead.name])];
    if (voltages.length > 1) options.push(["best", "best lead"], ["all", "all leads"]);
    $("lead").replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    $("live-lead").replaceChildren(...this.leads.map((lead) => new Option(lead.name, String(lead.index))));
    for (const panel of ["summary", "episodes"]) $(`panel-${panel}`).replaceChildren();
    this.list.renew();
    this.showFilter();
    this.needs();
    this.disclose(false, false);
    this.moved();
    this.overview.renew();
    this.strip.redraw();
    void this.outline(this.reader!, bucket);
  }

  private async outline(engine: Engine, bucket: number): Promise<void> {
    if (this.leads.length === 0) return;
    try {
      await engine.ask("outline", [this.leads.map((lead) => lead.index), bucket], ({ lead, part }: { lead: number; part: Float32Array }) => {
        this.leads.find(({ index }) => index === lead)?.take(part);
        this.strip.redraw();
        this.disclosure.redraw();
      });
    } catch (error) {
      if (!(error instanceof Stopped)) this.fail(error as Error);
    }
  }

  async classify(leads: string): Promise<void> {
    const run = this.run;
    this.classifier?.end();
    const engine = new Engine();
    this.classifier = engine;
    this.classified = leads;
    $<HTMLSelectElement>("lead").value = leads;
    this.progress("Classifying …", 0);
    try {
      await engine.ask("open", [this.files, this.recordName, this.rate, this.unit]);
      const analysed = await engine.ask<Analysed>("classify", [leads], (done: number) => this.progress(`Classifying … ${Math.round(100 * done)} %`, done));
      if (run !== this.run || this.classifier !== engine) return;
      this.took = analysed.seconds;
      this.analysed = analysed.about;
      this.judged = analysed.about;
      const beats = new Beats(this.about!.sample_rate_hz);
      beats.take(analysed);
      beats.onchange = (change) => this.edited(change);
      this.resumed = false;
      this.beats = beats;
      this.selected = -1;
      this.say(`${beats.list.length} beats in ${this.took.toFixed(1)} s`);
      this.resumed = await this.resume();
      if (run !== this.run || this.classifier !== engine) return;
      this.progress(null);
      this.renew();
      this.viewsReady = false;
      const lead = analysed.about.taken.leads[0];
      if (lead && this.leads.length > 0) void this.findViews(lead.index);
    } catch (error) {
      if (run !== this.run || this.classifier !== engine || error instanceof Stopped) return;
      this.progress(null);
      this.fail(error as Error);
    }
  }

  private async findViews(lead: number): Promise<void> {
    try {
      this.viewsReady = (await this.reader?.ask<boolean>("findViews", [lead])) ?? false;
      if (this.viewsReady) this.showViews();
    } catch (error) {
      if (!(error instanceof Stopped)) console.warn(error);
    }
  }

  cancel(): void {
    if (this.classifier && this.about && !this.analysed) {
      this.classifier.end();
      this.classifier = null;
      this.progress(null);
      this.say("Stopped. Choose under Classify to begin again.");
      $<HTMLSelectElement>("lead").selectedIndex = -1;
    } else if (!this.about) {
      this.close();
      this.progress(null);
    } else {
      this.classifier?.end();
      this.progress(null);
    }
  }

  // --- work that is kept ---------------------------------------------------------------------------------------------

  private get key(): string {
    const size = this.files.reduce((sum, file) => sum + file.size, 0);
    return [this.about!.name, size, this.duration, this.about!.sample_rate_hz, this.classified].join("|");
  }

  /** Takes up work from before. False where the store cannot be read: what it may hold is then not written over. */
  private async resume(): Promise<boolean> {
    let work: store.Work | undefined;
    try {
      work = await store.loadWork(this.key);
    } catch {
      this.fail(new Error("This browser's store cannot be read: corrections are not kept; save them before you close the page"));
      return false;
    }
    if (!work) return true;
    if (work.changes.length > 0) {
      if (this.beats!.resume(work)) this.say(`${work.done} correction${work.done === 1 ? "" : "s"} from before taken up again`);
      else this.fail(new Error("The corrections kept in this browser do not fit these beats any more: another version of the program; they were not taken up"));
      await this.judge();
    }
    if (work.time > 0) this.strip.go(work.time, work.speed, false);
    return true;
  }

  private keep(): void {
    clearTimeout(this.saving);
    this.saving = window.setTimeout(() => void this.keepNow(), 150);
  }

  async keepNow(): Promise<void> {
    const { beats, about } = this;
    if (!beats || !about || !this.resumed) return;
    const { changes, done } = beats.work();
    try {
      await store.saveWork({ key: this.key, changes, done, time: this.strip.time, speed: this.strip.speed, leads: this.classified, saved: Date.now() });
    } catch {
      this.fail(new Error("This browser keeps no corrections: save them before you close the page"));
    }
  }

  // --- correcting ----------------------------------------------------------------------------------------------------

  private edited(_change: Change): void {
    this.keep();
    void this.judge();
    this.renew();
  }

  private async judge(): Promise<void> {
    const { beats, classifier, about } = this;
    if (!beats || !classifier || !about) return;
    const turn = ++this.judging;
    const judged = await classifier.ask<Judged>("judge", [beats.columns(), about.sample_rate_hz, about.duration_s]).catch(() => null);
    if (!judged || turn !== this.judging) return;
    // Probabilities stay here: the engine is asked about classes and times alone.
    judged.summary.unsure = beats.unsure();
    this.judged = judged;
    this.renew();
  }

  setClass(cls: ClassName): void {
    const { beats } = this;
    if (!beats) return;
    const { caliper, measuring } = this.strip;
    if (this.selected < 0 && measuring && caliper) return this.say("Choose a beat first");
    const beat = beats.list[this.selected];
    if (!beat) return this.say("Choose a beat first: a click, or an arrow key");
    beats.setClass(this.selected, cls);
    this.select(beats.near(beat.sample, 0), false);
    this.say(`Beat at ${clock(beats.time(beat), 2)}: ${cls}, ${MEANING[cls]}`);
  }

  move(by: number): void {
    const { beats } = this;
    const beat = beats?.list[this.selected];
    if (!beats || !beat) return this.say("Choose a beat first");
    if (!beats.move(this.selected, beat.sample + by)) return this.say("There is a beat already");
    this.select(beats.near(beat.sample + by, 0), false);
    this.say(`Moved by ${by > 0 ? "+" : ""}${((by / beats.rate) * 1000).toFixed(0)} ms`);
  }

  remove(): void {
    const { beats } = this;
    const beat = beats?.list[this.selected];
    if (!beats || !beat) return this.say("Choose a beat first");
    beats.remove(this.selected);
    this.select(beats.near(beat.sample, 2 * beats.rate), false);
    this.say(`Deleted the beat at ${clock(beats.time(beat), 2)}`);
  }

  add(): void {
    const { beats, strip } = this;
    if (!beats) return;
    const time = Number.isNaN(strip.cursor) ? strip.at(strip.width / 2) : strip.cursor;
    const sample = Math.round(time * beats.rate);
    if (!beats.add(sample, "N")) return this.say("There is a beat already");
    this.select(beats.near(sample, 0), false);
    this.say(`Added a beat at ${clock(time, 2)}; a letter gives it its class`);
  }

  async mark(): Promise<void> {
    const { beats, strip } = this;
    if (!beats) return;
    const here = Number.isNaN(strip.cursor) ? strip.at(strip.width / 2) : strip.cursor;
    if (Number.isNaN(strip.markFrom)) {
      strip.markFrom = here;
      strip.cursor = here;
      $("mark").setAttribute("aria-pressed", "true");
      strip.redraw();
      return this.say("The mark begins here: go to its end, and mark again");
    }
    const [from, to] = [Math.min(strip.markFrom, here), Math.max(strip.markFrom, here)];
    strip.markFrom = NaN;
    $("mark").setAttribute("aria-pressed", "false");
    const text = await ask("What is marked?", "artefact");
    if (text === null) return strip.redraw();
    beats.mark({ from: Math.round(from * beats.rate), to: Math.round(to * beats.rate), text: text || "mark" });
    this.say(`Marked ${(to - from).toFixed(1)} s`);
  }

  undo(): void {
    const change = this.beats?.undo();
    this.say(change ? `Undone: ${change.what}` : "Nothing to undo");
    this.selected = Math.min(this.selected, (this.beats?.list.length ?? 0) - 1);
    if (change) this.follow(change);
  }

  redo(): void {
    const change = this.beats?.redo();
    this.say(change ? `Done again: ${change.what}` : "Nothing to redo");
    if (change) this.follow(change);
  }

  /** Goes to where a change was. */
  private follow({ removed, added }: Change): void {
    const beat = added[0] ?? removed[0];
    if (beat && this.beats) this.select(this.beats.near(beat.sample));
  }

  // --- choosing ------------------------------------------------------------------------------------------------------

  select(place: number, scroll = true): void {
    this.selected = place;
    const { beats, strip } = this;
    const beat = beats?.list[place];
    $("edit").hidden = !beat;
    if (beats && beat) {
      const time = beats.time(beat);
      strip.cursor = time;
      const { time: left, speed } = strip.goal;
      const x = (time - left) * speed;
      if (scroll && (x < 60 || x > strip.width - 60)) strip.centre(time);
      const quality = Number.isNaN(beat.quality) ? "" : `, quality ${beat.quality.toFixed(2)}`;
      const rr = Number.isNaN(beat.rr) ? "" : `, RR ${beat.rr.toFixed(0)} ms`;
      const scores = beat.scores.length === 4 && !Number.isNaN(beat.scores[0]!) ? `, ${["N", "S", "V", "F"].map((cls, i) => `${cls} ${beat.scores[i]!.toFixed(2)}`).join(" ")}` : "";
      this.say(`${beat.cls} ${MEANING[beat.cls]} at ${clock(time, 3)}${rr}${scores}${quality}${beat.edited ? ", by hand" : ""}`);
      for (const button of $("edit-classes").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.cls === beat.cls));
    }
    if (!$("disclosure").hidden && beat && beats) this.disclosure.show(beats.time(beat));
    strip.redraw();
    this.list.follow();
    this.showViews();
  }

  /** To the next or previous beat of these classes. */
  step(by: 1 | -1, classes: ReadonlySet<ClassName> = this.filter): void {
    const { beats, strip } = this;
    if (!beats) return;
    const from = Number.isNaN(strip.cursor) ? strip.time : strip.cursor;
    let place = this.selected >= 0 ? this.selected + by : by > 0 ? beats.from(from * beats.rate) : beats.from(from * beats.rate) - 1;
    while (beats.list[place] && !classes.has(beats.list[place]!.cls)) place += by;
    if (!beats.list[place]) return this.say(by > 0 ? "No more beats of these classes" : "No earlier beats of these classes");
    this.select(place);
  }

  ectopic(by: 1 | -1): void {
    const on = ECTOPIC.filter((cls) => this.filter.has(cls));
    this.step(by, new Set(on.length > 0 ? on : ECTOPIC));
  }

  private showViews(): void {
    const beat = this.beats?.list[this.selected];
    const tab = $("panel-views");
    if (tab.hidden) return;
    const turn = ++this.seen;
    if (!beat || !this.viewsReady) {
      $("views-all").hidden = true;
      $("views-of").textContent = this.leads.length === 0 ? "A list of beats has no signal, and so no views." : !this.beats || !this.viewsReady ? "The views are there once the lead has been read." : "Choose a beat: a click, or the arrow keys.";
      return;
    }
    void this.reader!.ask<Views | null>("views", [beat.sample]).then((views) => {
      if (turn !== this.seen) return;
      $("views-all").hidden = !views;
      $("views-of").textContent = views ? `Beat at ${clock(this.beats!.time(beat), 3)}, lead ${this.analysed?.leads[0] ?? ""}; divided by ${views.scale_mv.toFixed(3)} mV` : "There is no detected beat here.";
      if (views) drawViews(views, (name) => $(`view-${name}`));
    }, () => undefined);
  }

  // --- showing -------------------------------------------------------------------------------------------------------

  renew(): void {
    const { beats, judged, analysed } = this;
    this.overview.renew();
    this.strip.redraw();
    this.disclosure.redraw();
    this.list.renew();
    this.showFilter();
    $<HTMLButtonElement>("undo").disabled = !beats?.canUndo;
    $<HTMLButtonElement>("redo").disabled = !beats?.canRedo;
    if (judged && analysed && beats) {
      const warnings = [...new Set([...this.about!.warnings, ...analysed.warnings])];
      showSummary($("panel-summary"), judged, { lead: analysed.leads.join(", "), model: analysed.model, seconds: this.took }, warnings, beats.differences().length);
    }
    showEpisodes($("panel-episodes"), judged, beats, (from, to) => {
      const span = Math.max(4, (to - from) * 1.3);
      const speed = Math.min(PAPER_SPEED, this.strip.width / span);
      this.strip.go((from + to) / 2 - this.strip.width / speed / 2, speed);
      if (beats) {
        this.selected = beats.from(from * beats.rate);
        this.select(this.selected, false);
      }
    }, (place) => beats && beats.unmark(beats.marks[place]!));
    this.needs();
  }

  needs(): void {
    for (const part of document.querySelectorAll<HTMLElement>("[data-needs]")) {
      part.hidden = part.dataset.needs === "beats" ? !this.beats : !this.about || this.leads.length === 0;
    }
    if (!this.beats) $("edit").hidden = true;
  }

  private showLeads(): void {
    const box = $("leads");
    box.hidden = this.leads.length < 2;
    box.replaceChildren(...this.leads.map((lead) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = lead.name;
      button.setAttribute("aria-pressed", String(this.shown.has(lead.index)));
      button.addEventListener("click", () => this.toggleLead(lead.index));
      return button;
    }));
  }

  toggleLead(index: number): void {
    const others = [...this.shown].filter((other) => other !== index);
    this.show(this.shown.has(index) ? others : [...others, index]);
  }

  /** Shows these leads. */
  show(leads: number[]): void {
    this.shown = new Set(leads);
    this.showLeads();
    this.strip.redraw();
    this.disclosure.redraw();
  }

  private showFilter(): void {
    const counts = this.judged?.summary.counts;
    const ground = getComputedStyle(document.documentElement).getPropertyValue("--surface").trim();
    const buttons = CLASSES.map((cls) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "chip";
      button.setAttribute("aria-pressed", String(this.filter.has(cls)));
      button.setAttribute("aria-label", `${cls} ${counts?.[cls] ?? ""} ${MEANING[cls]} beats`);
      const mark = document.createElement("canvas");
      mark.setAttribute("aria-hidden", "true");
      button.append(mark, `${cls} ${counts?.[cls] ?? ""}`);
      button.addEventListener("click", () => this.toggleClass(cls));
      return [button, mark, cls] as const;
    });
    const had = [...$("filter").children].indexOf(document.activeElement!);
    $("filter").replaceChildren(...buttons.map(([button]) => button));
    for (const [, mark, cls] of buttons) chip(mark, cls, ground);
    if (had >= 0) buttons[had]![0].focus();
  }

  toggleClass(cls: ClassName): void {
    if (!this.filter.delete(cls)) this.filter.add(cls);
    this.showFilter();
    this.list.renew();
    this.strip.redraw();
    this.disclosure.redraw();
  }

  moved(): void {
    const { time, span, speed } = this.strip;
    $("where").textContent = `${clock(time, span < 20 ? 1 : 0)} – ${clock(Math.min(this.duration, time + span), span < 20 ? 1 : 0)}  ${((speed / PAPER_SPEED) * 25).toFixed(speed < PAPER_SPEED / 5 ? 1 : 0)} mm/s`;
    this.overview.redraw();
    if (!$("disclosure").hidden) this.disclosure.redraw();
    if (this.beats) this.keep();
  }

  changed(): void {
    this.sayMeasured();
    this.strip.redraw();
  }

  private sayMeasured(before = ""): void {
    const measured = this.strip.measured();
    // Samples that are not here yet are on their way.
    this.unmeasured = measured.includes("– mV");
    this.say(before + measured);
  }
  private unmeasured = false;

  disclose(on = Boolean($("disclosure").hidden), focus = true): void {
    $("disclosure").hidden = !on;
    document.body.classList.toggle("disclosing", on);
    $("strip").style.visibility = on ? "hidden" : "";
    $("disclose").setAttribute("aria-pressed", String(on));
    this.disclosure.show(this.strip.time);
    if (focus) (on ? $("disclosure") : $("strip")).focus({ preventScroll: true });
  }

  measure(on = !this.strip.measuring): void {
    const { strip, beats } = this;
    strip.measuring = on;
    strip.canvas.classList.toggle("measuring", on);
    $("measure").setAttribute("aria-pressed", String(on));
    if (on) {
      // From the chosen beat to the next, or the middle of what is in sight.
      const [a, b] = [beats?.list[this.selected], beats?.list[this.selected + 1]];
      const middle = strip.at(strip.width / 2);
      const from = a ? beats!.time(a) : middle;
      strip.caliper = { from, to: a && b ? beats!.time(b) : from + Math.min(0.8, strip.span / 4), fromMv: NaN, toMv: NaN };
      this.sayMeasured("Calipers: ");
    }
    strip.redraw();
  }

  caliper(from: number, to: number, mv: number): void {
    const { caliper } = this.strip;
    const rate = this.leads[0]?.rate ?? 250;
    if (!caliper || !this.strip.measuring) return this.measure(true);
    caliper.from += from / rate;
    caliper.to += to / rate;
    if (mv !== 0) caliper.toMv = (Number.isNaN(caliper.toMv) ? (this.leads[0]?.offset ?? 0) : caliper.toMv) + mv;
    else if (to !== 0) caliper.toMv = NaN;
    if (from !== 0) caliper.fromMv = NaN;
    this.changed();
  }

  tab(name: string): void {
    for (const other of ["summary", "episodes", "beats", "views"]) {
      const on = other === name;
      $(`panel-${other}`).hidden = !on;
      $(`tab-${other}`).setAttribute("aria-selected", String(on));
      $(`tab-${other}`).tabIndex = on ? 0 : -1;
    }
    this.list.renew();
    this.list.follow();
    this.showViews();
  }

  theme(): void {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("heartlens-theme", root.dataset.theme);
    } catch {
      // The choice lasts as long as the page.
    }
    this.recolour();
  }

  recolour(): void {
    forgetTheme();
    this.renew();
    this.showViews();
    this.live.draw();
  }

  say(words: string): void {
    $("status").textContent = words;
  }

  fail(error: Error | null): void {
    const box = $("error");
    box.hidden = !error;
    if (!error) return;
    const words = error.message.replaceAll("--rate", "samples per second").replaceAll("--unit", "the unit");
    box.querySelector("span")!.textContent = words.slice(0, 600);
    // A table may need to be told what it does not say.
    $("table-options").hidden = !/samples per second|the unit|no unit|states no|sample rate/i.test(words) || this.files.length === 0;
  }

  progress(words: string | null, done?: number): void {
    $("progress").hidden = words === null;
    if (words === null) return;
    $("doing").textContent = words;
    const bar = $<HTMLProgressElement>("bar");
    if (done === undefined) bar.removeAttribute("value");
    else bar.value = done;
  }

  // --- saving --------------------------------------------------------------------------------------------------------

  async saveAnnotations(): Promise<void> {
    const { beats, about, classifier } = this;
    if (!beats || !about || !classifier) return;
    const marks = beats.marks.flatMap((mark): [number, string][] => [[mark.from, `${mark.text} (`], [mark.to, `) ${mark.text}`]]);
    const bytes = await classifier.ask<Uint8Array<ArrayBuffer>>("annotations", [beats.columns(), about.sample_rate_hz, marks]);
    download(`${about.name}.ecg`, bytes, "application/octet-stream");
    this.say(`Saved ${about.name}.ecg: put it beside the record, and name it with --annotator ecg`);
  }

  saveCsv(): void {
    if (this.beats && this.about) download(`${this.about.name}.csv`, csv(this.about, this.beats), "text/csv");
  }

  saveJson(): void {
    const { about, analysed, judged, beats } = this;
    if (about && analysed && judged && beats) download(`${about.name}.json`, json(about, analysed, judged, beats), "application/json");
  }

  private async reportHtml(): Promise<string> {
    const { about, analysed, judged, beats } = this;
    this.say("Making the report …");
    const html = await report(about!, analysed!, judged!, beats!, this.leads);
    this.say("The report is made");
    return html;
  }

  async saveReport(): Promise<void> {
    const content = await this.reportHtml();
    const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${this.about!.name.replace(/[<&]/g, "")}</title><style>${REPORT_STYLE}</style>${content}</html>`;
    download(`${this.about!.name}.html`, page, "text/html");
  }

  async print(): Promise<void> {
    const content = await this.reportHtml();
    const style = document.createElement("style");
    style.media = "print";
    style.textContent = REPORT_STYLE.replace(/body\{[^}]*\}/, "");
    $("report").innerHTML = content;
    $("report").append(style);
    $("report").hidden = false;
    document.body.classList.add("printing");
    await Promise.all([...$("report").querySelectorAll("img")].map((image) => image.decode().catch(() => undefined)));
    window.print();
    document.body.classList.remove("printing");
    $("report").hidden = true;
  }

  /** Drops what this browser keeps of the recording. */
  async forget(): Promise<void> {
    const key = this.about ? this.key : null;
    clearTimeout(this.saving);
    this.close();
    $("record").replaceChildren();
    await store.forgetSession().catch(() => undefined);
    if (key) await store.forgetWork(key).catch(() => undefined);
    this.say("This browser keeps nothing of the recording any more");
  }

  // --- live ----------------------------------------------------------------------------------------------------------

  openLive(): void {
    $("viewer").hidden = true;
    $("live").hidden = false;
    const from = $<HTMLSelectElement>("live-from");
    const board = from.querySelector<HTMLOptionElement>("[value=board]")!;
    board.text = serial() ? "this recording, by a board on a serial port" : "a board: this browser has no Web Serial";
    if (this.line && !from.querySelector("[value=line]")) {
      from.prepend(new Option("this recording, by the command's device", "line", true, true));
    }
    this.live.draw();
    this.say("");
    $("live-start").focus();
  }

  closeLive(): void {
    this.live.stop();
    $("live").hidden = true;
    $("viewer").hidden = false;
    this.strip.redraw();
    this.overview.redraw();
  }

  startLive(): void {
    if (this.live.isRunning) {
      this.live.stop();
      $("live-state").textContent = "Stopped";
      $("live-state").dataset.kind = "idle";
      return;
    }
    const lead = this.leads.find(({ index }) => index === Number($<HTMLSelectElement>("live-lead").value)) ?? this.leads[0];
    if (!lead || !this.reader) return;
    this.live.speed = Number($<HTMLSelectElement>("live-speed").value);
    $("live-start").textContent = "Stop";
    const from = this.strip.time;
    switch ($<HTMLSelectElement>("live-from").value) {
      case "line":
        return void this.live.board(command(this.line!), this.reader, lead, from);
      case "board":
        return void this.live.board(serial(), this.reader, lead, from);
      default:
        return void this.live.replay(this.reader, lead, from);
    }
  }

  // --- the last session ----------------------------------------------------------------------------------------------

  async offerLast(): Promise<void> {
    const last = await store.loadSession().catch(() => undefined);
    void store.tidy().catch(() => undefined);
    if (!last || this.about || this.run > 0) return;
    const kept = last.files.every((file) => file.file);
    if (kept) {
      const files = last.files.map(({ name, size, file }) => ({ name, size, file: file! }));
      await this.open(files, last.record, last.rate, last.unit);
    } else {
      $("resume").hidden = false;
      $("resume").textContent = `Open ${last.files[0]?.name ?? last.record} again to go on where you were: it was too large to be kept, your corrections were not.`;
    }
  }
}

/** A line of text; null where it was cancelled. */
function ask(title: string, value: string): Promise<string | null> {
  const dialog = $<HTMLDialogElement>("ask");
  const input = $<HTMLInputElement>("ask-text");
  $("ask-title").textContent = title;
  input.value = value;
  dialog.returnValue = "";
  dialog.showModal();
  input.select();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "ok" ? input.value : null), { once: true });
  });
}

/** A time as people write it, in seconds: 1:02:03.5, 62:03, 75. */
function parsed(text: string): number | null {
  const parts = text.trim().split(":").map(Number);
  if (text.trim() === "" || parts.length > 3 || parts.some((part) => !Number.isFinite(part))) return null;
  return parts.reduce((sum, part) => 60 * sum + part, 0);
}

// --- keys --------------------------------------------------------------------------------------------------------------

type Key = [keys: string[], what: string, does: (app: App, event: KeyboardEvent) => unknown];

const KEYS: Key[] = [
  [["ArrowRight", "ArrowLeft"], "next, previous beat of the classes that are on", (app, { key }) => app.step(key === "ArrowRight" ? 1 : -1)],
  [["e", "E"], "next ectopic beat; with Shift the previous", (app, { shiftKey }) => app.ectopic(shiftKey ? -1 : 1)],
  [["Shift+ArrowRight", "Shift+ArrowLeft"], "scroll", (app, { key }) => app.strip.go(app.strip.goal.time + ((key === "ArrowRight" ? 0.25 : -0.25) * app.strip.width) / app.strip.goal.speed)],
  [["PageDown", "PageUp"], "a page on, a page back", (app, { key }) => app.strip.go(app.strip.goal.time + ((key === "PageDown" ? 0.9 : -0.9) * app.strip.width) / app.strip.goal.speed)],
  [["Home", "End"], "to the start, to the end", (app, { key }) => app.strip.go(key === "Home" ? 0 : app.duration)],
  [["g"], "go to a time", async (app) => {
    const time = parsed((await ask("Go to (h:mm:ss)", clock(app.strip.time))) ?? "");
    if (time !== null) app.strip.centre(time, false);
  }],
  [["+", "=", "-"], "zoom in, out", (app, { key }) => app.strip.zoom(key === "-" ? 1 / 1.5 : 1.5)],
  [["ArrowUp", "ArrowDown"], "taller, smaller", (app, { key }) => {
    app.strip.gain = Math.min(400, Math.max(4, app.strip.gain * (key === "ArrowUp" ? 1.25 : 0.8)));
    app.strip.redraw();
  }],
  [["p"], "paper: 25 mm/s, 10 mm/mV", (app) => {
    app.strip.gain = PAPER_GAIN;
    app.strip.go(app.strip.goal.time, PAPER_SPEED);
  }],
  [["w"], "the whole recording", (app) => app.strip.go(0, 0)],
  [["N", "S", "V", "F", "Q"].map((key) => key.toLowerCase()), "class of the chosen beat", (app, { key }) => app.setClass(key.toUpperCase() as ClassName)],
  [["[", "]"], "move the beat by a sample", (app, { key }) => app.move(key === "]" ? 1 : -1)],
  [["{", "}"], "move the beat by 20 ms", (app, { key }) => app.move((key === "}" ? 1 : -1) * Math.max(1, Math.round(0.02 * (app.beats?.rate ?? 50))))],
  [["Delete", "Backspace", "x"], "delete the beat", (app) => app.remove()],
  [["a"], "add a beat at the cursor", (app) => app.add()],
  [[",", "."], "move the cursor by 10 ms", (app, { key }) => {
    const at = Number.isNaN(app.strip.cursor) ? app.strip.at(app.strip.width / 2) : app.strip.cursor;
    app.strip.cursor = Math.min(app.duration, Math.max(0, at + (key === "." ? 0.01 : -0.01)));
    app.say(`Cursor at ${clock(app.strip.cursor, 2)}`);
    app.strip.redraw();
  }],
  [["m"], "begin a mark at the cursor, end it", (app) => app.mark()],
  [["Ctrl+z", "z"], "undo", (app) => app.undo()],
  [["Ctrl+y", "Ctrl+Shift+Z", "y"], "redo", (app) => app.redo()],
  [["c"], "calipers", (app) => app.measure()],
  [["Alt+ArrowRight", "Alt+ArrowLeft"], "move the calipers' second line", (app, { key }) => app.caliper(0, key === "ArrowRight" ? 1 : -1, 0)],
  [["Alt+Shift+ArrowRight", "Alt+Shift+ArrowLeft"], "move their first line", (app, { key }) => app.caliper(key === "ArrowRight" ? 1 : -1, 0, 0)],
  [["Alt+ArrowUp", "Alt+ArrowDown"], "move their second level", (app, { key }) => app.caliper(0, 0, key === "ArrowUp" ? 0.02 : -0.02)],
  [["d"], "full disclosure", (app) => app.disclose()],
  [["Shift+1", "Shift+2", "Shift+3", "Shift+4", "Shift+5"], "class N, S, V, F, Q on or off", (app, { code }) => app.toggleClass(CLASSES[Number(code.slice(-1)) - 1]!)],
  [["1", "2", "3", "4"], "summary, episodes, beats, views", (app, { key }) => app.tab(["summary", "episodes", "beats", "views"][Number(key) - 1]!)],
  [["l"], "show the next lead, alone; all again after the last", (app) => {
    const all = app.leads.map((lead) => lead.index);
    const alone = app.shown.size === 1 ? all.indexOf([...app.shown][0]!) : -1;
    app.show(alone + 1 < all.length ? [all[alone + 1]!] : all);
  }],
  [["Ctrl+s"], "save as JSON", (app) => app.saveJson()],
  [["Ctrl+p", "r"], "print the report", (app) => app.beats && app.print()],
  [["o"], "open files", () => $<HTMLInputElement>("files").click()],
  [["t"], "light or dark", (app) => app.theme()],
  [["?"], "this help", () => $<HTMLDialogElement>("help").showModal()],
  [["Escape"], "let go: beat, calipers, mark, menu", (app) => {
    $("save-menu").hidden = true;
    $("save").setAttribute("aria-expanded", "false");
    app.strip.markFrom = NaN;
    $("mark").setAttribute("aria-pressed", "false");
    if (!$("live").hidden) app.closeLive();
    else if (!$("disclosure").hidden) app.disclose(false);
    else if (app.strip.measuring) app.measure(false);
    else app.select(-1, false);
  }],
];

function pressed(event: KeyboardEvent): string {
  const { key, code, ctrlKey, metaKey, altKey, shiftKey } = event;
  // What Shift makes of a digit differs from keyboard to keyboard.
  if (shiftKey && !ctrlKey && !metaKey && !altKey && /^Digit[1-5]$/.test(code)) return `Shift+${code.slice(-1)}`;
  const named = key.length > 1;
  return `${ctrlKey || metaKey ? "Ctrl+" : ""}${altKey ? "Alt+" : ""}${shiftKey && (named || ctrlKey || metaKey) ? "Shift+" : ""}${key}`;
}

const app = new App();
// For the tests, which look at what the page knows.
(window as unknown as { heartlens: App }).heartlens = app;

document.addEventListener("keydown", (event) => {
  const at = event.target as HTMLElement;
  if (document.querySelector("dialog[open]") || at.matches("input, select")) return;
  // Buttons and tabs keep their own keys.
  if (at.matches("button, [role=tab], [role=tabpanel], #live-events") && ["Enter", " ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"].includes(event.key)) return;
  if (at === $("disclosure")) {
    const by = { ArrowUp: -46, ArrowDown: 46, PageUp: -400, PageDown: 400, Home: -1e9, End: 1e9 }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      app.disclosure.scroll(by);
      return;
    }
  }
  const name = pressed(event);
  const found = KEYS.find(([keys]) => keys.includes(name));
  if (!found) return;
  const anywhere = ["?", "t", "o", "Escape"].includes(event.key);
  if (!anywhere && (!app.about || $("viewer").hidden)) return;
  event.preventDefault();
  void found[2](app, event);
});

const keyName = (key: string) => key.split("+").map((part) => ({ ArrowRight: "→", ArrowLeft: "←", ArrowUp: "↑", ArrowDown: "↓", "": "+" })[part] ?? part).filter((part, i, all) => !(part === "+" && all[i - 1] === "+")).join(" ");
for (const [keys, what] of KEYS) {
  const row = document.createElement("div");
  const names = document.createElement("span");
  keys.forEach((key) => {
    const name = document.createElement("kbd");
    name.textContent = keyName(key);
    names.append(name, " ");
  });
  const words = document.createElement("span");
  words.textContent = what;
  row.append(names, words);
  $("keys").append(row);
}

const click = (id: string, does: () => unknown) => $(id).addEventListener("click", () => void does());
click("open", () => $("files").click());
click("choose", () => $("files").click());
click("demo", async () => {
  const [hea, dat] = await Promise.all([unpacked(demoHea), unpacked(demoDat)]);
  const lent = (name: string, bytes: ArrayBuffer) => ({ name, size: bytes.byteLength, file: new Blob([bytes]) });
  await app.open([lent("demo.hea", hea), lent("demo.dat", dat)], "demo");
});
$("files").addEventListener("change", () => {
  const input = $<HTMLInputElement>("files");
  void app.openFiles([...(input.files ?? [])]);
  input.value = "";
});
click("save", () => {
  const menu = $("save-menu");
  menu.hidden = !menu.hidden;
  $("save").setAttribute("aria-expanded", String(!menu.hidden));
  if (!menu.hidden) menu.querySelector("button")!.focus();
});
for (const [id, does] of [
  ["save-wfdb", () => app.saveAnnotations()],
  ["save-csv", () => app.saveCsv()],
  ["save-json", () => app.saveJson()],
  ["save-report", () => app.saveReport()],
  ["print", () => app.print()],
  ["forget", () => app.forget()],
] as const) {
  click(id, () => {
    $("save-menu").hidden = true;
    $("save").setAttribute("aria-expanded", "false");
    return does();
  });
}
document.addEventListener("pointerdown", (event) => {
  if (!(event.target as HTMLElement).closest(".menu")) {
    $("save-menu").hidden = true;
    $("save").setAttribute("aria-expanded", "false");
  }
});
click("live-open", () => app.openLive());
click("live-close", () => app.closeLive());
click("live-start", () => app.startLive());
click("theme", () => app.theme());
click("help-open", () => $<HTMLDialogElement>("help").showModal());
click("cancel", () => app.cancel());
click("error-close", () => app.fail(null));
click("again", () => {
  const rate = $<HTMLInputElement>("rate").value;
  const unit = $<HTMLSelectElement>("unit").value;
  const { files, recordName } = app as unknown as { files: Lent[]; recordName: string };
  return app.open(files, recordName, rate ? Number(rate) : undefined, unit || undefined);
});
click("previous", () => app.ectopic(-1));
click("next", () => app.ectopic(1));
click("in", () => app.strip.zoom(1.5));
click("out", () => app.strip.zoom(1 / 1.5));
click("paper", () => {
  app.strip.gain = PAPER_GAIN;
  app.strip.go(app.strip.goal.time, PAPER_SPEED);
});
click("whole", () => app.strip.go(0, 0));
click("measure", () => app.measure());
click("disclose", () => app.disclose());
click("undo", () => app.undo());
click("redo", () => app.redo());
click("add", () => app.add());
click("mark", () => app.mark());
click("move-left", () => app.move(-1));
click("move-right", () => app.move(1));
click("delete", () => app.remove());
for (const cls of CLASSES) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.cls = cls;
  button.textContent = cls;
  button.setAttribute("aria-label", `Class ${cls}, ${MEANING[cls]}`);
  button.addEventListener("click", () => app.setClass(cls));
  $("edit-classes").append(button);
}
$("lead").addEventListener("change", () => {
  const chosen = $<HTMLSelectElement>("lead").value;
  if (app.about) void app.classify(chosen);
});
const tabs = ["summary", "episodes", "beats", "views"];
tabs.forEach((name, i) => {
  click(`tab-${name}`, () => app.tab(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined) return;
    const next = tabs[(i + by + tabs.length) % tabs.length]!;
    app.tab(next);
    $(`tab-${next}`).focus();
  });
});

// Files that are dropped, folders among them.
async function dropped(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const files: File[] = [];
  const walk = async (entry: FileSystemEntry, depth: number): Promise<void> => {
    if (entry.isFile) {
      files.push(await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed)));
    } else if (depth < 2) {
      const reader = (entry as FileSystemDirectoryEntry).createReader();
      const inside = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
      for (const one of inside) await walk(one, depth + 1);
    }
  };
  if (entries.every((entry) => entry === null)) return [...transfer.files];
  for (const entry of entries) if (entry) await walk(entry, 0);
  return files;
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer) void dropped(event.dataTransfer).then((files) => app.openFiles(files), (error) => app.fail(error));
});

try {
  const kept = localStorage.getItem("heartlens-theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch {
  // As the system has it.
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.recolour());
addEventListener("resize", () => app.strip.redraw());
// A tab that is closed or left: nothing waits.
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && void app.keepNow());

// The command puts what it serves into the page: a record, a line to a device.
const served = document.querySelector<HTMLMetaElement>('meta[name="heartlens-record"]')!.content;
app.needs();
const { name, files, line } = (served ? JSON.parse(served) : { files: [] }) as {
  name?: string;
  files: { name: string; size: number; url: string }[];
  line?: string;
};
const here = (url: string) => new URL(url, location.href).href;
if (line) app.line = here(line);
if (name) void app.open(files.map((file) => ({ ...file, url: here(file.url) })), name);
else void app.offerLast();
