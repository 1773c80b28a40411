// How fast the viewer is over a record of two leads: its first lead classified, every bit as this machine's engine has it, and frames
// while it is scrolled and zoomed by the wheel. `cargo xtask bench --web` makes the record, builds what is needed, and runs it:
// `node tests/speed.mjs RECORD`. The last line on stdout is JSON.
import { readdirSync, readFileSync } from "node:fs";
import { beats, classified, expected, give, launch, renderers } from "./browser.mjs";

/** Times that it is classified; the fastest counts, since other programs only make it slower. */
const RUNS = 3;
/** How long each thing is done by the wheel, in s. */
const SECONDS = 10;
/** Ticks of the processor's time in a second, as /proc counts them. */
const TICKS = 100;

const record = process.argv[2];
const here = await launch();

/** The processor's time of the worker that was started last, in s. */
async function workerSeconds() {
  const workers = (await renderers(here.browser)).flatMap((process) => readdirSync(`/proc/${process}/task`).map((thread) => {
    const [, name, rest] = /\((.*)\) (.*)/.exec(readFileSync(`/proc/${process}/task/${thread}/stat`, "utf8"));
    const fields = rest.split(" ");
    return { name, seconds: (Number(fields[11]) + Number(fields[12])) / TICKS, started: Number(fields[19]) };
  })).filter(({ name }) => name.startsWith("DedicatedWorker"));
  return workers.sort((a, b) => a.started - b.started).at(-1).seconds;
}

/** In the page: frames while the wheel turns in each, to and fro so many times. */
async function watch({ seconds, ctrlKey, deltaY, turns }) {
  const { strip } = window.heartlens;
  const channel = new MessageChannel();
  const [took, times] = [[], []];
  const begun = performance.now();
  await new Promise((done) => {
    let since = 0;
    // Comes once the frame has been made: what a callback posts waits for style, layout and paint.
    channel.port1.onmessage = () => took.push(performance.now() - since);
    const frame = () => {
      since = performance.now();
      times.push(since);
      const passed = (since - begun) / 1000;
      if (passed > seconds) return done();
      // Ahead of the page's own, so that this callback is the first of its frame.
      requestAnimationFrame(frame);
      channel.port2.postMessage(0);
      const way = Math.floor((passed / seconds) * turns) % 2 === 0 ? 1 : -1;
      strip.canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: way * deltaY, ctrlKey, clientX: 500, clientY: 400, cancelable: true }));
    };
    requestAnimationFrame(frame);
  });
  took.sort((a, b) => a - b);
  const at = (part) => took[Math.round(part * (took.length - 1))];
  return {
    frames: times.length - 1,
    per_second: ((times.length - 1) * 1000) / (times.at(-1) - times[0]),
    median_ms: at(0.5),
    p99_ms: at(0.99),
    worst_ms: at(1),
  };
}

try {
  const tab = await here.open();
  await give(tab, ["hea", "dat"].map((end) => `${record}.${end}`));
  const seconds = [];
  for (let i = 0; i < RUNS; i++) {
    if (i > 0) {
      await tab.evaluate(() => {
        window.heartlens.beats = null;
        void window.heartlens.classify("first");
      });
    }
    await classified(tab);
    seconds.push(await workerSeconds());
    console.error(`in the browser: ${seconds.at(-1).toFixed(2)} s of CPU time, ${(await tab.evaluate(() => window.heartlens.took)).toFixed(2)} s by the clock`);
  }
  const [found, wanted] = [await beats(tab), expected(record)];
  const identical = ["samples", "classes", "scores", "quality", "fibrillation", "rr_ms"].every((column) => JSON.stringify(found[column]) === JSON.stringify(wanted[column]));

  await tab.waitForFunction(() => window.heartlens.viewsReady);
  const tools = await tab.context().newCDPSession(tab);
  await tools.send("Performance.enable", { timeDomain: "threadTicks" });
  const cpu = async () => (await tools.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value;
  const frames = [];
  for (const [what, span, wheel] of [
    ["scrolled at 25 mm/s", null, { deltaY: 40, turns: 1 }],
    ["scrolled with a minute in sight", 60, { deltaY: 40, turns: 1 }],
    ["scrolled with an hour in sight", 3600, { deltaY: 40, turns: 2 }],
    ["zoomed, from paper to the whole day and back", null, { deltaY: 8, ctrlKey: true, turns: 4 }],
  ]) {
    await tab.evaluate((span) => {
      const { strip } = window.heartlens;
      strip.go(6 * 3600, span === null ? (25 * 96) / 25.4 : strip.width / span, false);
    }, span);
    await tab.waitForTimeout(1000);
    const before = await cpu();
    const measured = await tab.evaluate(watch, { seconds: SECONDS, ...wheel });
    const cpu_ms = ((await cpu()) - before) * 1000 / measured.frames;
    frames.push({ what, ...measured, cpu_ms });
    console.error(`${what}: ${JSON.stringify(frames.at(-1))}`);
  }
  console.log(JSON.stringify({ beats: found.samples.length, identical, browser_s: Math.min(...seconds), frames }));
} finally {
  await here.browser.close();
}
