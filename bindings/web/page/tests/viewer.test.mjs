// The viewer in a browser. `cargo xtask test` builds what it needs and runs it.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, copyFileSync, ftruncateSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createServer as createSocket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Board, beats, classified, demo, error, example, expected, folder, give, heard, kept, launch, live, outside, packaged, page as html, peak, serve, status, web } from "./browser.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const demoFiles = ["hea", "dat"].map((end) => join(demo, `demo.${end}`));
let here;
const files = folder();

before(async () => {
  here = await launch();
});
after(async () => {
  await here?.browser.close();
  files.remove();
});

/** A tab with the demo, classified. */
async function withDemo(settings) {
  const tab = await here.open(settings);
  await give(tab, demoFiles);
  await classified(tab);
  return tab;
}

function same(found, wanted) {
  for (const column of ["samples", "classes", "scores", "quality", "fibrillation", "rr_ms"]) {
    const at = wanted[column].findIndex((value, i) => value !== found[column][i]);
    assert.equal(at, -1, `${column}: beat ${at} is ${found[column][at]}, expected ${wanted[column][at]}`);
    assert.equal(found[column].length, wanted[column].length, column);
  }
  assert.deepEqual(found.summary, wanted.summary);
  assert.deepEqual(found.episodes, wanted.episodes);
  // Its spectrum goes through a transform whose last bits are each machine's own.
  const near = (a, b, at) => {
    if (typeof b === "number") assert.ok(Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b)), `${at}: ${a}, expected ${b}`);
    else if (b && typeof b === "object") for (const key of Object.keys(b)) near(a[key], b[key], `${at}.${key}`);
    else assert.equal(a, b, at);
  };
  near(found.hrv, wanted.hrv, "hrv");
}

/** In the page: a device may take as long as it likes, as it may on a machine that does much else. */
const patient = () => void (window.heartlens.live.patience = 600e3);
const patientFromTheStart = () => {
  let app;
  Object.defineProperty(window, "heartlens", {
    get: () => app,
    set: (given) => {
      app = given;
      app.live.patience = 600e3;
    },
  });
};

/** That each beat of the live view is one that the engine finds in the recording; but for those of the first seconds after a line was lost
 * at a time, which for the device are the first of another recording. */
async function trueBeats(tab, lost = Infinity) {
  const [heard, known] = await tab.evaluate(() => {
    const { beats, live } = window.heartlens;
    return [live.beats.map(({ time }) => time), beats.list.map((beat) => beats.time(beat))];
  });
  const told = heard.filter((time) => time < lost || time > lost + 8);
  assert.ok(told.length > 2, heard.join(" "));
  for (const time of told) assert.ok(known.some((other) => Math.abs(other - time) < 0.03), `no beat at ${time}`);
}

/** The last beat's time, and that the live view has gone on for some seconds since. */
const lastBeat = (tab) => tab.evaluate(() => window.heartlens.live.beats.at(-1).time);
const goesOn = (tab, since) => tab.waitForFunction((time) => window.heartlens.live.beats.at(-1).time > time + 12, since);

async function fair(tab, what) {
  await tab.evaluate(axe);
  const { violations } = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const said = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(" | ")}`);
  assert.deepEqual(said, [], what);
}

test("the demo that is in the page, from a folder: every beat and every bit of its scores", async () => {
  const tab = await here.open();
  await tab.click("#demo");
  await classified(tab);
  same(await beats(tab), expected(join(demo, "demo")));
  assert.match(await tab.locator("#record").textContent(), /demo 5:00, 360 Hz, 2 leads, SYNTHETIC/);
  await tab.context().close();
});

test("real records: every beat and every bit of its scores", async (t) => {
  const data = process.env.HEARTLENS_DATA;
  if (!data) return t.skip("HEARTLENS_DATA is not set: no real records");
  for (const record of ["mitdb/208", "mitdb/203", "svdb/806", "cinc2017/A00004"]) {
    const stem = join(data, record);
    const parts = ["hea", "dat", "mat"].map((end) => `${stem}.${end}`).filter((path) => {
      try {
        return readFileSync(path).length > 0;
      } catch {
        return false;
      }
    });
    if (parts.length < 2) continue;
    const tab = await here.open();
    const begun = performance.now();
    await give(tab, parts);
    await classified(tab);
    const wanted = expected(stem);
    console.log(`${record}: ${wanted.samples.length} beats; ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    same(await beats(tab), wanted);
    await tab.context().close();
  }
});

test("the same from any web server, and nothing is asked of any other", async () => {
  const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end(readFileSync(html))).listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const address = `http://127.0.0.1:${server.address().port}/viewer.html`;
  const tab = await here.open({ address });
  await tab.click("#demo");
  await classified(tab);
  assert.equal((await beats(tab)).samples.length, expected(join(demo, "demo")).samples.length);
  assert.deepEqual(outside(here.asked, address), []);
  await tab.context().close();
  server.close();
});

test("inside the command: `heartlens view` serves the record, and it alone", async (t) => {
  const command = process.env.HEARTLENS_COMMAND;
  if (!command) return t.skip("HEARTLENS_COMMAND is not set: the command has not been built");
  const served = await serve(command, ["view", join(demo, "demo"), "--no-open", "--page", html]);
  try {
    const { address } = served;
    assert.match(address, /^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/$/);
    const tab = await here.open({ address });
    await classified(tab);
    same(await beats(tab), expected(join(demo, "demo")));
    assert.deepEqual(outside(here.asked, address, "http://127.0.0.1:"), []);
    const bare = new URL("/", address).href;
    for (const wrong of [bare, `${bare}00000000000000000000000000000000/`, `${address}files/2`, `${address}../files/0`]) {
      assert.notEqual((await fetch(wrong)).status, 200, wrong);
    }
    await tab.context().close();
  } finally {
    served.end();
  }
});

test("dropped: the files of a WFDB record together, or a file of another format", async (t) => {
  const command = process.env.HEARTLENS_COMMAND;
  if (!command) return t.skip("HEARTLENS_COMMAND is not set: the command has not been built");
  const drop = async (tab, paths) => {
    const given = paths.map((path) => [path.split("/").pop(), readFileSync(path).toString("base64")]);
    await tab.evaluate((given) => {
      // So that beats which are there afterwards are the new ones.
      window.heartlens.beats = null;
      const transfer = new DataTransfer();
      for (const [name, text] of given) transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }, given);
  };
  const tab = await here.open();
  await drop(tab, demoFiles);
  await classified(tab);
  same(await beats(tab), expected(join(demo, "demo")));
  for (const name of ["demo.edf", "demo.bdf", "demo.csv"]) {
    execFileSync(command, ["convert", join(demo, "demo"), files.at(name)], { stdio: "ignore" });
    await drop(tab, [files.at(name)]);
    await classified(tab);
    same(await beats(tab), expected(files.at(name)));
  }
  await tab.context().close();
});

test("the WebAssembly for pages of others: README's worker, word for word", async () => {
  const readme = readFileSync(join(web, "README.md"), "utf8");
  const worker = /```js\n([^`]+)```/.exec(readme)[1];
  const rows = Array.from({ length: 6000 }, (_, i) => `${(i / 200).toFixed(3)},${(i % 170 < 5 ? 1 : 0.05 * Math.sin(i / 20)).toFixed(3)}`);
  writeFileSync(files.at("table.csv"), `time [s],ecg [mV]\n${rows.join("\n")}\n`);
  const given = {
    "/": ["text/html", "<!doctype html><title>a page of others</title><link rel=icon href=data:,><input type=file>"],
    "/worker.js": ["text/javascript", worker],
    "/wasm/heartlens_web.js": ["text/javascript", readFileSync(join(packaged, "wasm/heartlens_web.js"))],
    "/wasm/heartlens_web_bg.wasm": ["application/wasm", readFileSync(join(packaged, "wasm/heartlens_web_bg.wasm"))],
  };
  const server = createServer(({ url }, answer) => {
    const [kind, body] = given[url] ?? ["text/plain", ""];
    answer.writeHead(url in given ? 200 : 404, { "Content-Type": kind }).end(body);
  }).listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const tab = await here.open({ address: `http://127.0.0.1:${server.address().port}/` });
  await tab.setInputFiles("input", files.at("table.csv"));
  const found = await tab.evaluate(() => new Promise((done, failed) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onmessage = ({ data }) => done({ samples: [...data.samples], classes: [...data.classes].map((place) => "NSVFQ"[place]), scores: data.scores.length });
    worker.onerror = (event) => failed(new Error(event.message));
    worker.postMessage(document.querySelector("input").files[0]);
  }));
  const wanted = expected(files.at("table.csv"));
  assert.ok(wanted.samples.length > 20, `${wanted.samples.length}`);
  assert.deepEqual(found, { samples: wanted.samples, classes: wanted.classes, scores: 4 * wanted.samples.length });
  await tab.context().close();
  server.close();
});

test("correct, undo, redo, and take it up again after a reload; what is saved says it all", async () => {
  const tab = await withDemo();
  const strip = tab.locator("#strip");
  await strip.focus();
  const press = async (...keys) => {
    for (const key of keys) await tab.keyboard.press(key);
  };
  const edits = () => tab.evaluate(() => window.heartlens.beats.differences());
  const before = await beats(tab);
  await press("Home", "ArrowRight", "ArrowRight", "v");
  assert.deepEqual(await edits(), [{ change: "class", sample: before.samples[1], from: before.classes[1], to: "V" }]);
  await press("z");
  assert.deepEqual(await edits(), []);
  await press("y");
  // Moved by 20 ms, deleted, added.
  await press("ArrowRight", "}");
  await press("ArrowRight", "x");
  await press("ArrowRight", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", "a", "f");
  const found = await edits();
  assert.deepEqual(found.map(({ change }) => change).sort(), ["added", "class", "deleted", "moved"]);
  const moved = found.find(({ change }) => change === "moved");
  assert.equal(moved.from_sample, before.samples[2]);
  assert.equal(moved.sample, before.samples[2] + 7);
  assert.equal(found.find(({ change }) => change === "deleted").sample, before.samples[3]);
  assert.equal(found.find(({ change }) => change === "added").to, "F");
  // The moved beat's interval, and that of the next, are those of where it is now.
  const rr = await tab.evaluate((sample) => window.heartlens.beats.list.find((beat) => beat.sample === sample).rr, moved.sample);
  assert.equal(Math.round(rr * 10), Math.round(((moved.sample - before.samples[1]) / 360) * 10000));
  // A mark.
  await press("m", "ArrowRight", "ArrowRight", "m");
  await tab.fill("#ask-text", "artefact, loose wire");
  await tab.keyboard.press("Enter");
  await tab.waitForFunction(() => window.heartlens.beats.marks.length === 1);
  await tab.waitForFunction(() => window.heartlens.judged.summary.counts.F === 1);
  assert.equal((await tab.evaluate(() => window.heartlens.judged.summary.beats)), before.samples.length);

  const save = async (id) => {
    await tab.click("#save");
    const [saved] = await Promise.all([tab.waitForEvent("download"), tab.click(id)]);
    const path = files.at(saved.suggestedFilename());
    await saved.saveAs(path);
    return readFileSync(path);
  };
  const json = JSON.parse(await save("#save-json"));
  assert.equal(json.edits.length, 4);
  assert.equal(json.marks[0].text, "artefact, loose wire");
  assert.equal(json.beats.length, before.samples.length);
  assert.equal(json.beats.filter(({ edited }) => edited).length, 3);
  assert.equal(json.summary.counts.F, 1);
  const csv = (await save("#save-csv")).toString().trim().split("\n");
  assert.equal(csv.length, before.samples.length + 1);
  assert.match(csv[0], /^record,sample,time_s,class,rr_ms,quality,score_N.*,fibrillation,unsure,edited$/);
  // As the command has it: by the scores, but where a person has decided.
  for (const line of csv.slice(1)) {
    const cells = line.split(",");
    const scores = cells.slice(6, 10).map(Number).sort((a, b) => b - a);
    const wanted = cells[12] === "true" || cells[3] === "Q" ? "" : String(scores[0] - scores[1] < 0.5);
    if (Math.abs(scores[0] - scores[1] - 0.5) > 1e-5) assert.equal(cells[11], wanted, line);
  }
  assert.match(csv[2], new RegExp(`^demo,${before.samples[1]},[\\d.]+,V,.*,true$`));
  const report = (await save("#save-report")).toString();
  assert.match(report, /Heartlens report: demo/);
  assert.match(report, /4 beats/);
  await save("#save-wfdb");
  const now = await beats(tab);
  // Printed is the report and nothing else.
  await tab.evaluate(() => (window.print = () => (window.printed = document.body.classList.contains("printing") && document.getElementById("report").textContent)));
  await press("r");
  await tab.waitForFunction(() => window.printed);
  assert.match(await tab.evaluate(() => window.printed), /Heartlens report: demo/);

  await kept(tab, await tab.evaluate(() => window.heartlens.beats.work().changes.length));
  // A reload, as when a tab is closed: everything is there again.
  await tab.reload();
  await classified(tab);
  assert.deepEqual(await edits(), found);
  assert.deepEqual(await tab.evaluate(() => window.heartlens.beats.marks.map(({ text }) => text)), ["artefact, loose wire"]);
  await tab.keyboard.press("Escape");
  await tab.locator("#undo").click();
  assert.equal(await tab.evaluate(() => window.heartlens.beats.marks.length), 0);
  await tab.context().close();

  // The annotations that were saved are read again as they were.
  const other = await here.open();
  for (const path of demoFiles) copyFileSync(path, files.at(path.split("/").pop()));
  await give(other, [files.at("demo.hea"), files.at("demo.dat"), files.at("demo.ecg")]);
  await classified(other);
  const read = await other.evaluate(() => window.heartlens.reader.ask("annotated", ["ecg"]));
  assert.deepEqual(read, now.samples.map((sample, i) => [sample, now.classes[i]]));
  await other.context().close();
});

test("keys reach everything, and help lists them", async () => {
  const tab = await withDemo();
  await tab.locator("#strip").focus();
  await tab.keyboard.press("?");
  assert.ok(await tab.locator("#help").isVisible());
  assert.ok((await tab.locator("#keys div").count()) > 25);
  await tab.keyboard.press("Escape");
  await tab.keyboard.press("e");
  const first = await tab.evaluate(() => window.heartlens.beats.list[window.heartlens.selected].cls);
  assert.ok(["S", "V", "F"].includes(first));
  // With S off, next goes to V alone.
  await tab.keyboard.press("Shift+2");
  assert.equal(await tab.locator("#filter button").nth(1).getAttribute("aria-pressed"), "false");
  for (let i = 0; i < 4; i++) {
    await tab.keyboard.press("e");
    assert.equal(await tab.evaluate(() => window.heartlens.beats.list[window.heartlens.selected].cls), "V");
  }
  await tab.keyboard.press("c");
  await tab.waitForFunction(() => /\d+ ms +-?\d+\.\d\d mV +\d+ bpm/.test(document.getElementById("status").textContent));
  const rr = await tab.evaluate(() => {
    const { beats, selected } = window.heartlens;
    return ((beats.list[selected + 1].sample - beats.list[selected].sample) / beats.rate) * 1000;
  });
  assert.match(await status(tab), new RegExp(`^Calipers: ${rr.toFixed(0)} ms`));
  await tab.keyboard.press("Alt+ArrowRight");
  assert.match(await status(tab), new RegExp(`^${(rr + 1000 / 360).toFixed(0)} ms`));
  await tab.keyboard.press("Escape");
  await tab.keyboard.press("d");
  assert.ok(await tab.locator("#disclosure").isVisible());
  await tab.keyboard.press("Escape");
  await tab.keyboard.press("4");
  await tab.waitForFunction(() => !document.getElementById("views-all").hidden);
  await tab.keyboard.press("2");
  assert.ok(await tab.locator("#panel-episodes").isVisible());
  await tab.keyboard.press("t");
  assert.ok(["light", "dark"].includes(await tab.evaluate(() => document.documentElement.dataset.theme)));
  await tab.context().close();
});

test("the four views are those that the network was shown", async () => {
  const tab = await withDemo();
  await tab.waitForFunction(() => window.heartlens.viewsReady);
  // CRC-32s of the demo's views, as the host's tests write them.
  const wanted = Object.fromEntries(readFileSync(join(demo, "views.crc"), "utf8").trim().split("\n").map((line) => line.split(" ")));
  const found = await tab.evaluate(async () => {
    const table = Uint32Array.from({ length: 256 }, (_, n) => {
      for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
      return n;
    });
    const sums = {};
    for (const beat of window.heartlens.beats.list) {
      const views = await window.heartlens.reader.ask("views", [beat.sample]);
      if (views.sample !== beat.sample) throw new Error(`${views.sample} for ${beat.sample}`);
      for (const name of ["waveform", "spectrum", "spectrogram", "metadata"]) {
        let sum = sums[name] ?? 0xffffffff;
        for (const byte of new Uint8Array(Float32Array.from(views[name].values).buffer)) sum = table[(sum ^ byte) & 255] ^ (sum >>> 8);
        sums[name] = sum;
      }
    }
    return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, ((sum ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0")]));
  });
  assert.deepEqual(found, wanted);
  await tab.context().close();
});

test("bad input: each is said in one sentence, and what was open before is not lost for it", async () => {
  const tab = await here.open();
  writeFileSync(files.at("letter.pdf"), "%PDF-1.4 a letter");
  writeFileSync(files.at("photo.csv"), "name;place\nanna;berlin\n");
  writeFileSync(files.at("empty.edf"), "");
  writeFileSync(files.at("noise.bin"), Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256)));
  const cases = [
    [["letter.pdf"], /letter\.pdf: .*PDF/],
    [["photo.csv"], /photo\.csv: .*expected/],
    [["empty.edf"], /empty\.edf/],
    [["noise.bin"], /noise\.bin: .*no known format/],
    [[demoFiles[1]], /demo\.dat: is one part of a WFDB record; drop its header, demo\.hea, together with it/],
    [[demoFiles[0]], /demo\.dat.*; drop all files of the record together/],
  ];
  for (const [names, words] of cases) {
    await give(tab, names.map((name) => (name.includes("/") ? name : files.at(name))));
    await tab.waitForFunction(() => !document.getElementById("error").hidden && document.getElementById("progress").hidden);
    const said = await error(tab);
    assert.match(said, words);
    assert.ok(!said.includes("\n") && said.length < 400, said);
    await tab.click("#error-close");
  }
  await tab.click("#demo");
  await classified(tab);
  assert.ok((await beats(tab)).samples.length > 300);
  await tab.context().close();
});

test("a table that states no rate asks for it", async () => {
  const tab = await here.open();
  const rows = Array.from({ length: 4000 }, (_, i) => (i % 200 < 6 ? 1 : 0.05 * Math.sin(i / 20)).toFixed(3));
  writeFileSync(files.at("bare.csv"), `ecg\n${rows.join("\n")}\n`);
  await give(tab, [files.at("bare.csv")]);
  await tab.waitForFunction(() => !document.getElementById("error").hidden);
  assert.ok(await tab.locator("#table-options").isVisible(), await error(tab));
  await tab.fill("#rate", "200");
  await tab.selectOption("#unit", "mV");
  await tab.click("#again");
  await classified(tab);
  assert.match(await tab.locator("#record").textContent(), /bare 0:20, 200 Hz/);
  await tab.context().close();
});

test("two gigabytes are read in parts, and the page stays at work", async () => {
  const path = files.at("huge.dat");
  const file = openSync(path, "w");
  ftruncateSync(file, 2 * 2 ** 30);
  closeSync(file);
  const samples = (2 * 2 ** 30) / 4;
  writeFileSync(files.at("huge.hea"), `huge 2 1000 ${samples}\nhuge.dat 16 200 16 0 0 0 0 I\nhuge.dat 16 200 16 0 0 0 0 II\n`);
  const tab = await here.open();
  await give(tab, [files.at("huge.hea"), path]);
  await tab.waitForFunction(() => window.heartlens.about);
  await tab.waitForFunction(() => document.getElementById("bar").value > 0);
  await tab.waitForFunction(() => window.heartlens.leads.every(({ known, levels }) => 2 * known[0] > levels[0].length / 8));
  // The file alone is more than that, its samples twice as much.
  const memory = await peak(here.browser);
  assert.ok(memory < 1.2e9, `${memory}`);
  await tab.click("#cancel");
  assert.match(await status(tab), /Stopped/);
  // The end of the file can be seen without having read what lies before.
  const end = await tab.evaluate((at) => window.heartlens.leads[0].read(at - 100, at).then((part) => part.length), samples);
  assert.equal(end, 100);
  await tab.context().close();
});

test("a reload in the middle of classifying begins again, with the corrections from before", async () => {
  const tab = await withDemo();
  await tab.locator("#strip").focus();
  await tab.keyboard.press("ArrowRight");
  await tab.keyboard.press("q");
  await kept(tab, 1);
  await tab.reload();
  await tab.waitForFunction(() => window.heartlens.about);
  await tab.reload();
  await classified(tab);
  assert.equal(await tab.evaluate(() => window.heartlens.beats.differences().length), 1);
  await tab.context().close();
});

test("live: a replay's beats are labelled as they come, and it can be stopped", async () => {
  const tab = await withDemo();
  await tab.click("#live-open");
  await tab.selectOption("#live-speed", "16");
  await tab.click("#live-start");
  await tab.waitForFunction(() => document.querySelectorAll("#live-events li").length >= 4);
  const events = await tab.locator("#live-events li").allTextContents();
  assert.ok(events.some((words) => /the signal can be read/.test(words)), events.join("; "));
  await tab.waitForFunction(() => /^\d+$/.test(document.getElementById("live-bpm").textContent));
  await tab.click("#live-start");
  assert.equal(await tab.locator("#live-state").textContent(), "Stopped");
  await tab.click("#live-close");
  assert.ok(await tab.locator("#viewer").isVisible());
  await tab.context().close();
});

test("live: a board on a serial port, unplugged and plugged in again", async () => {
  const tab = await here.open({ before: Board.serial });
  const board = new Board(tab);
  await board.attach();
  board.plug();
  try {
    await give(tab, demoFiles);
    await classified(tab);
    await tab.click("#live-open");
    await tab.selectOption("#live-from", "board");
    await tab.selectOption("#live-speed", "4");
    await tab.evaluate(patient);
    await tab.click("#live-start");
    await live(tab, /this machine, model/);
    await heard(tab, 12);
    await trueBeats(tab);
    await board.unplug();
    await live(tab, /The board is gone at \d+:\d\d; connect it again/);
    const lost = await lastBeat(tab);
    board.plug();
    await live(tab, /this machine, model/);
    await goesOn(tab, lost);
    await trueBeats(tab, lost);
    await tab.click("#live-start");
    assert.equal(await tab.locator("#live-state").textContent(), "Stopped");
  } finally {
    board.end();
    await tab.context().close();
  }
});

test("live: `heartlens device --serve` is the device; one page has it, and a command that has ended is said", async (t) => {
  const command = process.env.HEARTLENS_COMMAND;
  if (!command) return t.skip("HEARTLENS_COMMAND is not set: the command has not been built");
  const served = await serve(command, ["device", "--serve", "--no-open", "--page", html, join(demo, "demo")]);
  try {
    const { address } = served;
    const tab = await here.open({ address, before: patientFromTheStart });
    // Without a click: the strip runs, beats are labelled as they come.
    await live(tab, /this machine, model/);
    await heard(tab, 4);
    await classified(tab);
    await trueBeats(tab);
    assert.deepEqual(outside(here.asked, "http://127.0.0.1:"), []);
    // A tab that is closed in the middle leaves the device free; another one takes it over, and the first says so.
    const other = await here.open({ address, before: patientFromTheStart });
    await heard(other, 2);
    await live(tab, /Another page has taken the line to the device/);
    await other.context().close();
    await tab.click("#live-start");
    await heard(tab, 2);
    const bare = new URL("/", address).href;
    for (const wrong of ["line", `${"0".repeat(32)}/line`]) {
      assert.notEqual((await fetch(bare + wrong, { method: "POST" })).status, 200, wrong);
    }
    served.end();
    await live(tab, /The command no longer answers at \d+:\d\d; .*start `heartlens device --serve` again/);
    await tab.click("#live-start");
    await tab.context().close();
  } finally {
    served.end();
    // The browser's own words of a command that has ended, and of a line that another has.
    const own = /Failed to load resource.*(ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|409)/;
    here.errors.splice(0, here.errors.length, ...here.errors.filter((words) => !own.test(words)));
  }
});

test("live: a board that the command has, lost and back again", async (t) => {
  const command = process.env.HEARTLENS_COMMAND;
  if (!command) return t.skip("HEARTLENS_COMMAND is not set: the command has not been built");
  const lines = new Set();
  const plug = async () => {
    const socket = createSocket((line) => {
      const board = spawn(example("board"), [], { stdio: ["pipe", "pipe", "inherit"] });
      lines.add(line);
      line.on("error", () => undefined).on("close", () => board.kill());
      board.stdin.on("error", () => undefined);
      line.pipe(board.stdin);
      board.stdout.pipe(line);
    }).listen(files.at("board"));
    await new Promise((done) => socket.once("listening", done));
    return socket;
  };
  let socket = await plug();
  const served = await serve(command, ["device", "--serve", "--no-open", "--page", html, "--port", `unix:${files.at("board")}`]);
  try {
    const tab = await here.open({ address: served.address, before: patientFromTheStart });
    await tab.click("#demo");
    await heard(tab, 4);
    await new Promise((done) => {
      socket.close(done);
      for (const line of lines) line.destroy();
      lines.clear();
    });
    await live(tab, /The device is gone at \d+:\d\d; connect it again/);
    const lost = await lastBeat(tab);
    socket = await plug();
    await live(tab, /this machine, model/);
    await goesOn(tab, lost);
    await classified(tab);
    await trueBeats(tab, lost);
    await tab.context().close();
  } finally {
    served.end();
    socket.close();
    for (const line of lines) line.destroy();
    const own = /Failed to load resource.*503/;
    here.errors.splice(0, here.errors.length, ...here.errors.filter((words) => !own.test(words)));
  }
});

test("live: a board of another version, a silent one, and a browser without Web Serial are said", async () => {
  const tab = await here.open({ before: Board.serial });
  const board = new Board(tab);
  await board.attach();
  board.plug();
  // The version is the first byte of a packet, behind COBS's own.
  board.spoil = (bytes) => Buffer.from(bytes).map((byte, i, all) => (i === 1 || all[i - 2] === 0 ? byte ^ 0x40 : byte));
  try {
    await give(tab, demoFiles);
    await classified(tab);
    await tab.click("#live-open");
    await tab.selectOption("#live-from", "board");
    await tab.evaluate(patient);
    await tab.click("#live-start");
    await live(tab, /another version of the link; flash a firmware of this version/);
    assert.equal(await tab.locator("#live-state").getAttribute("data-kind"), "trouble");
    board.spoil = () => Buffer.alloc(0);
    await tab.evaluate(() => (window.heartlens.live.patience = 100));
    await tab.click("#live-start");
    await live(tab, /does not answer; is the firmware `serial` of this version running/);
  } finally {
    board.end();
    await tab.context().close();
  }
  const bare = await withDemo({ before: () => Object.defineProperty(navigator, "serial", { value: undefined }) });
  await bare.click("#live-open");
  await bare.selectOption("#live-from", "board");
  await bare.click("#live-start");
  assert.match(await bare.locator("#live-state").textContent(), /no Web Serial/);
  await bare.context().close();
});

test("nothing serious for those who see, hear or move differently", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const tab = await here.open({ colorScheme });
    await fair(tab, `${colorScheme}, empty`);
    await give(tab, demoFiles);
    await classified(tab);
    await tab.locator("#strip").focus();
    await tab.keyboard.press("e");
    await tab.keyboard.press("v");
    for (const key of ["1", "2", "3", "4"]) {
      await tab.keyboard.press(key);
      await fair(tab, `${colorScheme}, panel ${key}`);
    }
    await tab.click("#save");
    await fair(tab, `${colorScheme}, menu`);
    await tab.keyboard.press("Escape");
    await tab.click("#help-open");
    await fair(tab, `${colorScheme}, help`);
    await tab.keyboard.press("Escape");
    await tab.click("#live-open");
    await fair(tab, `${colorScheme}, live`);
    await give(tab, [demoFiles[1]]);
    await tab.waitForFunction(() => !document.getElementById("error").hidden);
    await fair(tab, `${colorScheme}, error`);
    await tab.context().close();
  }
});

test("no request left this machine, and no script failed", () => {
  assert.deepEqual(outside(here.asked, "http://127.0.0.1:"), []);
  assert.deepEqual(here.errors, []);
});
