// Files to keep: beats as WFDB annotations, CSV and JSON, with what a person has changed.
import { unsure, type Beats } from "./beats";
import type { About, AnalysedAbout, Judged } from "./types";

const NOTICE = "research software, not a medical device";

export function download(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const rounded = (x: number, digits: number) => Math.round(x * 10 ** digits) / 10 ** digits;
const known = (x: number | undefined, digits: number) => (x === undefined || Number.isNaN(x) ? "" : x.toFixed(digits));

/** The columns of the command's `--csv`, and one that tells whether a person has changed the beat. */
export function csv(about: About, beats: Beats): string {
  const quote = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = ["record,sample,time_s,class,rr_ms,quality,score_N,score_S,score_V,score_F,fibrillation,unsure,edited"];
  for (const beat of beats.list) {
    const scores = [0, 1, 2, 3].map((i) => known(beat.scores[i], 6));
    const fibrillation = beat.fibrillation < 0 ? "" : String(beat.fibrillation === 1);
    rows.push(
      [quote(about.name), beat.sample, known(beats.time(beat), 4), beat.cls, known(beat.rr, 4), known(beat.quality, 4), ...scores, fibrillation, unsure(beat) ?? "", beat.edited].join(","),
    );
  }
  return `${rows.join("\n")}\n`;
}

/** The keys of the command's `--json`, the marks, and the diff against the program's word. */
export function json(about: About, analysed: AnalysedAbout, judged: Judged, beats: Beats): string {
  const label = (scores: number[]) =>
    scores.length === 0 ? null : Object.fromEntries(["N", "S", "V", "F"].map((cls, i) => [cls, rounded(scores[i]!, 6)]));
  const number = (x: number, digits: number) => (Number.isNaN(x) ? null : rounded(x, digits));
  return `${JSON.stringify(
    {
      record: about.name,
      sample_rate_hz: about.sample_rate_hz,
      duration_s: about.duration_s,
      lead: analysed.leads.join(" + "),
      lead_reason: analysed.taken.why,
      synthetic: about.synthetic,
      mode: analysed.mode,
      model: analysed.model,
      runtime: analysed.runtime,
      beats: beats.list.map((beat) => ({
        sample: beat.sample,
        time_s: rounded(beats.time(beat), 4),
        class: beat.cls,
        scores: label(beat.scores),
        unsure: unsure(beat),
        fibrillation: beat.fibrillation < 0 ? null : beat.fibrillation === 1,
        rr_ms: number(beat.rr, 4),
        quality: number(beat.quality, 4),
        edited: beat.edited,
      })),
      summary: judged.summary,
      strips: analysed.strips,
      episodes: judged.episodes,
      hrv: judged.hrv,
      marks: beats.marks.map((mark) => ({ from_s: mark.from / beats.rate, to_s: mark.to / beats.rate, text: mark.text })),
      edits: beats.differences().map((difference) => ({ ...difference, time_s: rounded(difference.sample / beats.rate, 4) })),
      warnings: [...new Set([...about.warnings, ...analysed.warnings])],
      notice: NOTICE,
    },
    null,
    2,
  )}\n`;
}
