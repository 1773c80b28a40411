// A report on paper, or as one file: figures, episodes, and a strip of each kind of unusual beat.
import type { Beats } from "./beats";
import { badge, clock, forgetTheme, percent, theme } from "./draw";
import type { Lead } from "./signal";
import { CLASSES, MEANING, type About, type AnalysedAbout, type ClassName, type Judged } from "./types";

const text = (value: string) => value.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** Eight seconds around a beat, on paper, as a picture. */
async function picture(lead: Lead, beats: Beats, place: number): Promise<string> {
  const seconds = 7;
  const [width, height] = [Math.round(seconds * 94.5), 150];
  const centre = beats.time(beats.list[place]!);
  const from = Math.max(0, centre - seconds / 2);
  const samples = await lead.read(Math.floor(from * lead.rate), Math.ceil((from + seconds) * lead.rate));
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = 2 * height;
  const context = canvas.getContext("2d")!;
  context.scale(2, 2);
  const colours = theme();
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, height);
  for (const [step, colour] of [[3.78, colours.minor], [18.9, colours.major]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = 0.6;
    context.beginPath();
    for (let x = 0; x <= width; x += step) {
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    for (let y = 0; y <= height; y += step) {
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.stroke();
  }
  context.strokeStyle = colours.trace;
  context.lineWidth = 1.2;
  context.lineJoin = "round";
  context.beginPath();
  let pen = false;
  samples.forEach((mv, i) => {
    if (Number.isNaN(mv)) {
      pen = false;
      return;
    }
    const x = (i / lead.rate) * 94.5;
    const y = 95 - (mv - lead.offset) * 37.8;
    if (pen) context.lineTo(x, y);
    else context.moveTo(x, y);
    pen = true;
  });
  context.stroke();
  for (let i = beats.from(from * beats.rate); i < beats.list.length; i++) {
    const x = (beats.time(beats.list[i]!) - from) * 94.5;
    if (x > width) break;
    badge(context, beats.list[i]!.cls, x, 12, 7);
  }
  return canvas.toDataURL("image/png");
}

/** The report's content, as HTML. It is drawn in the light theme, for paper. */
export async function report(about: About, analysed: AnalysedAbout, judged: Judged, beats: Beats, leads: Lead[]): Promise<string> {
  const { summary, episodes } = judged;
  const root = document.documentElement;
  const before = root.dataset.theme;
  root.dataset.theme = "light";
  forgetTheme();
  const strips: string[] = [];
  try {
    const lead = leads.find((lead) => lead.name === analysed.leads[0]) ?? leads[0];
    if (lead) {
      for (const cls of ["V", "S", "F", "Q", "N"] as ClassName[]) {
        // The first, and some spread over the rest.
        const places = beats.list.flatMap((beat, place) => (beat.cls === cls ? [place] : []));
        const most = cls === "N" || cls === "Q" ? 1 : 3;
        const chosen = [...new Set(Array.from({ length: Math.min(most, places.length) }, (_, i) => places[Math.floor((i * places.length) / most)]!))];
        for (const place of chosen) {
          const url = await picture(lead, beats, place);
          const at = clock(beats.time(beats.list[place]!), 1);
          strips.push(`<figure><figcaption>${cls} (${MEANING[cls]}) at ${at}, lead ${text(lead.name)}</figcaption><img src="${url}" alt="ECG strip around a beat of class ${cls} at ${at}"></figure>`);
        }
      }
    }
  } finally {
    if (before === undefined) delete root.dataset.theme;
    else root.dataset.theme = before;
    forgetTheme();
  }
  const row = (name: string, value: string) => `<tr><th scope="row">${name}</th><td>${value}</td></tr>`;
  const rate = summary.heart_rate_bpm;
  const { rhythm } = summary;
  const edits = beats.differences();
  const hrv = judged.hrv as Record<string, number | null>;
  const number = (value: unknown) => (typeof value === "number" ? value.toFixed(1) : "–");
  return `<h1>Heartlens report: ${text(about.name)}</h1>
<p class="notice"><strong>Research software. Not a medical device.</strong> Not for diagnosis, monitoring or any clinical decision.${about.synthetic ? " The record is synthetic." : ""}</p>
<p>${about.start ? `Begun ${text(about.start)}, ` : ""}${clock(about.duration_s)} long, ${about.sample_rate_hz} Hz. Lead ${text(analysed.leads.join(", "))} (${text(analysed.taken.why)}). Model ${text(analysed.model)}.</p>
<table><caption>Summary</caption><tbody>
${CLASSES.map((cls) => row(`${cls} ${MEANING[cls]}`, `${summary.counts[cls]} beats`)).join("\n")}
${row("Heart rate", rate ? `${rate.mean.toFixed(0)} bpm; ${rate.min.toFixed(0)} to ${rate.max.toFixed(0)} over 8 beats` : "–")}
${row("Supraventricular burden", percent(summary.supraventricular_burden))}
${row("Ventricular burden", percent(summary.ventricular_burden))}
${row("Longest RR interval", summary.longest_rr_ms === null ? "–" : `${summary.longest_rr_ms.toFixed(0)} ms`)}
${row("Unsure", `${summary.unsure} beats whose two likeliest classes are close`)}
${row("Atrial fibrillation", `${percent(rhythm.fibrillation_share)} of ${clock(rhythm.judged_s)} judged`)}
${row("SDNN, RMSSD", `${number(hrv.sdnn_ms)} ms, ${number(hrv.rmssd_ms)} ms`)}
${row("Changed by hand", edits.length === 0 ? "nothing" : `${edits.length} beats`)}
</tbody></table>
${episodes.length === 0 ? "<p>No episodes.</p>" : `<table><caption>Episodes</caption><thead><tr><th>From</th><th>To</th><th>What</th><th>Beats</th><th>Rate</th></tr></thead><tbody>${episodes
    .slice(0, 40)
    .map((e) => `<tr><td>${clock(e.from_s, 1)}</td><td>${clock(e.to_s, 1)}</td><td>${e.kind}</td><td>${e.beats}</td><td>${e.mean_rate_bpm === null ? "–" : `${e.mean_rate_bpm.toFixed(0)} bpm`}</td></tr>`)
    .join("")}</tbody></table>${episodes.length > 40 ? `<p>and ${episodes.length - 40} more</p>` : ""}`}
${beats.marks.length === 0 ? "" : `<table><caption>Marked stretches</caption><tbody>${beats.marks.map((mark) => `<tr><td>${clock(mark.from / beats.rate, 1)}</td><td>${clock(mark.to / beats.rate, 1)}</td><td>${text(mark.text)}</td></tr>`).join("")}</tbody></table>`}
<h2>Strips: 25 mm/s, 10 mm/mV</h2>
${strips.join("\n")}`;
}

export const REPORT_STYLE = `body{font:13px/1.45 system-ui,sans-serif;color:#111;background:#fff;margin:24px auto;max-width:720px;padding:0 16px}
h1{font-size:20px}h2{font-size:15px}table{border-collapse:collapse;margin:12px 0;width:100%}caption{text-align:left;font-weight:600;padding:4px 0}
th,td{text-align:left;padding:3px 8px 3px 0;border-bottom:1px solid #ddd;font-weight:400}thead th{font-weight:600}figure{margin:10px 0;break-inside:avoid}
figcaption{font-size:12px;margin-bottom:2px}img{width:100%;max-width:661px;border:1px solid #ddd}.notice{border:1px solid #999;padding:6px 10px}`;
