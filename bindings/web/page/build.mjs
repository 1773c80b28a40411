// Makes the page: one HTML file with all that it needs inside, so that it works from a folder, from any server, and inside
// the command. `../dist/wasm` has what `cargo xtask package web` compiled; the page goes to `../dist/heartlens.html`.
import { build } from "esbuild";
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "../dist");
const demo = join(here, "../../../models/demo");
const development = process.argv.includes("--development");

const common = {
  bundle: true,
  write: false,
  format: "iife",
  target: "es2022",
  minify: !development,
  legalComments: "none",
  logLevel: "warning",
  alias: { "heartlens-wasm": join(dist, "wasm/heartlens_web.js") },
};

async function script(entry, modules = {}) {
  const given = {
    name: "given",
    setup(on) {
      on.onResolve({ filter: /^given:/ }, (at) => ({ path: at.path, namespace: "given" }));
      on.onLoad({ filter: /.*/, namespace: "given" }, (at) => ({
        contents: modules[at.path.slice("given:".length)],
        loader: "text",
      }));
    },
  };
  const built = await build({ ...common, entryPoints: [join(here, entry)], plugins: [given] });
  return built.outputFiles[0].text;
}

const packed = (path) => gzipSync(readFileSync(path), { level: 9 }).toString("base64");

const worker = await script("src/worker.ts");
const main = await script("src/main.ts", {
  worker,
  wasm: packed(join(dist, "wasm/heartlens_web_bg.wasm")),
  "demo.hea": packed(join(demo, "demo.hea")),
  "demo.dat": packed(join(demo, "demo.dat")),
});
const style = readFileSync(join(here, "src/style.css"), "utf8");
const page = readFileSync(join(here, "src/index.html"), "utf8")
  .replace("/* style */", () => style)
  // What stands in a script must not end it.
  .replace("/* script */", () => main.replaceAll("</script", "<\\/script"));
mkdirSync(dist, { recursive: true });
writeFileSync(join(dist, "heartlens.html"), page);
console.log(`${join(dist, "heartlens.html")}: ${(page.length / 1e6).toFixed(2)} MB`);
