// What the tests share: a browser with the page, files for it, and this machine's engine to compare with.
import { chromium } from "playwright-core";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
export const web = join(here, "../..");
export const root = join(web, "../..");
export const demo = join(root, "models/demo");
/** The package, or what it is made from. */
export const packaged = process.env.HEARTLENS_PACKAGE ?? join(web, "dist");
export const page = join(packaged, "heartlens.html");
/** This machine's programs. */
export const example = (name) => join(web, "target/debug/examples", name);

/** How long anything may take, in ms: far longer than it does. */
const PATIENCE = 600e3;

/** A browser, and what it asked of the network. */
export async function launch(options = {}) {
  const executablePath = process.env.HEARTLENS_CHROMIUM ?? "chromium";
  const path = existsSync(executablePath) ? executablePath : execFileSync("which", [executablePath], { encoding: "utf8" }).trim();
  const browser = await chromium.launch({ executablePath: path, args: ["--no-sandbox", "--disable-background-networking", ...(options.args ?? [])] });
  const asked = [];
  const errors = [];
  return {
    browser,
    /** Requests that left the page, but for those to an address of this test. */
    asked,
    errors,
    async open(settings = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...settings });
      // A machine that does much else at the time is no fault of the page.
      context.setDefaultTimeout(PATIENCE);
      const tab = await context.newPage();
      context.on("request", (request) => asked.push(request.url()));
      tab.on("pageerror", (error) => errors.push(error.message));
      tab.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      if (settings.before) await tab.addInitScript(settings.before);
      await tab.goto(settings.address ?? pathToFileURL(page).href);
      return tab;
    },
  };
}

/** That nothing left the page but to these addresses. */
export const outside = (asked, ...allowed) =>
  asked.filter((url) => !/^(file|blob|data|about):/.test(url) && !allowed.some((address) => url.startsWith(address)));

export async function give(tab, paths) {
  await tab.setInputFiles("#files", paths);
}

/** Once the beats are there. */
export async function classified(tab) {
  await tab.waitForFunction(() => (window.heartlens.beats && document.getElementById("progress").hidden) || !document.getElementById("error").hidden);
  const said = await error(tab);
  if (said) throw new Error(said);
}

export const error = (tab) => tab.evaluate(() => (document.getElementById("error").hidden ? null : document.querySelector("#error span").textContent));
export const status = (tab) => tab.locator("#status").textContent();

/** Once the browser's store has so many corrections. */
export async function kept(tab, corrections) {
  const there = () => tab.evaluate((wanted) => new Promise((done, failed) => {
    const opened = indexedDB.open("heartlens");
    opened.onerror = () => failed(opened.error);
    opened.onsuccess = () => {
      const all = opened.result.transaction("work").objectStore("work").getAll();
      all.onsuccess = () => {
        opened.result.close();
        done(all.result.some(({ changes }) => changes.length === wanted));
      };
    };
  }), corrections);
  while (!(await there())) await tab.waitForTimeout(20);
}

/** Once the live view says so. */
export async function live(tab, words) {
  await tab.waitForFunction((source) => new RegExp(source).test(document.getElementById("live-state").textContent), words.source);
}

/** Once so many beats have come in the live view. */
export async function heard(tab, beats) {
  await tab.waitForFunction((least) => window.heartlens.live.beats.length >= least, beats);
}

/** A program of this machine that serves a page, once it has said where. */
export async function serve(program, args) {
  const served = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let [said, complaint] = ["", ""];
  served.stderr.on("data", (text) => (complaint += text));
  const address = await new Promise((done, failed) => {
    served.stdout.on("data", (text) => {
      said += text;
      if (said.includes("\n")) done(said.trim());
    });
    served.on("exit", (code) => failed(new Error(`${program} ended with ${code}: ${complaint}`)));
  });
  return { address, end: () => served.kill() };
}

/** The browser's processes that show pages, by their number. */
export async function renderers(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
}

/** The most memory that one of them has had, in bytes. */
export async function peak(browser) {
  const pages = await renderers(browser);
  return Math.max(...pages.map((id) => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) * 1024));
}

/** The page's beats, with every bit. */
export const beats = (tab) =>
  tab.evaluate(() => {
    const float = new Float32Array(1);
    const word = new Uint32Array(float.buffer);
    const bits = (x) => {
      float[0] = x;
      return word[0].toString(16).padStart(8, "0");
    };
    const { list } = window.heartlens.beats;
    return {
      samples: list.map((beat) => beat.sample),
      classes: list.map((beat) => beat.cls),
      scores: list.map((beat) => beat.scores.map(bits).join("")),
      quality: list.map((beat) => bits(beat.quality)),
      fibrillation: list.map((beat) => beat.fibrillation),
      rr_ms: list.map((beat) => (Number.isNaN(beat.rr) ? null : beat.rr)),
      summary: window.heartlens.judged.summary,
      episodes: window.heartlens.judged.episodes,
      hrv: window.heartlens.judged.hrv,
    };
  });

/** The same of this machine's engine. */
export function expected(record) {
  const line = execFileSync(example("beats"), [record], { encoding: "utf8", maxBuffer: 1 << 30 });
  return JSON.parse(line);
}

export function folder() {
  const path = mkdtempSync(join(tmpdir(), "heartlens-web-"));
  return { path, at: (name) => join(path, name), remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A board, over the pipes of a program, as the page's `navigator.serial` sees one. Unplugging it loses what is under way. */
export class Board {
  constructor(tab) {
    this.tab = tab;
    this.program = null;
    this.open = false;
  }

  async attach() {
    await this.tab.exposeFunction("boardWrites", (bytes) => this.write(bytes));
    await this.tab.exposeFunction("boardOpens", () => this.begin());
  }

  begin() {
    if (!this.plugged) return false;
    this.end();
    this.program = spawn(example("board"), [], { stdio: ["pipe", "pipe", "inherit"] });
    const program = this.program;
    program.stdin.on("error", () => undefined);
    program.stdout.on("data", (bytes) => {
      if (program !== this.program) return;
      const changed = this.spoil ? this.spoil(bytes) : bytes;
      this.tab.evaluate((given) => window.boardSays?.(given), [...changed]).catch(() => undefined);
    });
    return true;
  }

  write(bytes) {
    this.program?.stdin.write(Buffer.from(bytes));
  }

  plug() {
    this.plugged = true;
  }

  async unplug() {
    this.plugged = false;
    this.end();
    await this.tab.evaluate(() => window.boardLost?.());
  }

  end() {
    this.program?.kill();
    this.program = null;
  }

  /** Goes into the page before all else. */
  static serial = function () {
    let plugged = true;
    const port = {
      readable: null,
      writable: null,
      async open() {
        if (!(await window.boardOpens())) throw new Error("not there");
        plugged = true;
        let controller;
        port.readable = new ReadableStream({ start: (given) => (controller = given) });
        port.writable = new WritableStream({
          write: async (bytes) => {
            if (!plugged) throw new Error("lost");
            await window.boardWrites([...bytes]);
          },
        });
        window.boardSays = (bytes) => {
          try {
            controller.enqueue(new Uint8Array(bytes));
          } catch {}
        };
        window.boardLost = () => {
          plugged = false;
          try {
            controller.error(new Error("lost"));
          } catch {}
        };
      },
      async close() {
        port.readable = port.writable = null;
      },
    };
    const serial = Object.assign(new EventTarget(), { requestPort: async () => port, getPorts: async () => [port] });
    Object.defineProperty(navigator, "serial", { value: serial, configurable: true });
  };
}
