// A day of one lead in the browser, beside the same engine on one thread of this machine; and the strip's speed over it.
// `cargo xtask bench --web` builds what it needs and runs it.
import { execFileSync } from "node:child_process";
import { beats, classified, example, expected, folder, give, launch } from "./browser.mjs";

const hours = Number(process.argv[2] ?? 24);
const most = 3;
const files = folder();
const here = await launch();
try {
  execFileSync(example("beats"), ["--synth", String(60 * hours), files.at("day")]);
  const wanted = expected(files.at("day"));
  const tab = await here.open();
  await give(tab, [files.at("day.hea"), files.at("day.dat")]);
  await classified(tab, 3600e3);
  const found = await beats(tab);
  const same = ["samples", "classes", "scores"].every((column) => JSON.stringify(found[column]) === JSON.stringify(wanted[column]));
  const seconds = await tab.evaluate(() => window.heartlens.took);
  const ratio = seconds / wanted.seconds;
  console.log(`${hours} h of one lead: ${wanted.samples.length} beats, ${same ? "the same bits" : "OTHER BITS"}`);
  console.log(`this machine, one thread: ${wanted.seconds.toFixed(2)} s; in the browser: ${seconds.toFixed(2)} s; ${ratio.toFixed(2)} times (at most ${most})`);

  // Scrolling and zooming over all of it.
  const frames = await tab.evaluate(async () => {
    const { strip } = window.heartlens;
    const drawn = [];
    const times = [];
    const passes = async (frames, move) => {
      let last = await new Promise(requestAnimationFrame);
      for (let i = 0; i < frames; i++) {
        move(i / frames);
        strip.redraw();
        const now = await new Promise(requestAnimationFrame);
        await new Promise((done) => setTimeout(done));
        times.push(now - last);
        drawn.push(strip.drawn);
        last = now;
      }
    };
    const { duration } = window.heartlens;
    strip.go(0, 94.5, false);
    await passes(300, (part) => (strip.time = 3600 + 60 * part));
    await passes(300, (part) => (strip.speed = 94.5 * (strip.width / duration / 94.5) ** part));
    await passes(300, (part) => {
      strip.speed = 2;
      strip.time = part * (duration - strip.span);
    });
    const sorted = (list) => list.sort((a, b) => a - b);
    const at = (list, part) => list[Math.floor(part * (list.length - 1))];
    return { drawn: [0.5, 0.95, 0.99, 1].map((part) => at(sorted(drawn), part)), times: [0.5, 0.95].map((part) => at(sorted(times), part)) };
  });
  const [median, p95, p99, worst] = frames.drawn.map((ms) => ms.toFixed(1));
  console.log(`a frame takes ${median} ms to draw (median), ${p95} (95 of 100), ${p99} (99 of 100), ${worst} (worst); 16.7 ms are 60 a second`);
  console.log(`frames come every ${frames.times[0].toFixed(1)} ms (median), ${frames.times[1].toFixed(1)} (95 of 100)`);
  if (!same || ratio > most || frames.drawn[1] > 16.7) process.exitCode = 1;
} finally {
  await here.browser.close();
  files.remove();
}
