// Prints the beats of records, every bit: `node executor.mjs FOLDER-OF-WASM HEADER...`. For `cargo xtask executors`.
//
// A line a beat: the record's name, the R peak's sample, the class, and the bits of the four scores.
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...headers] = process.argv.slice(2);
const { initSync, lend, Recording } = await import(pathToFileURL(join(folder, "heartlens_web.js")));
initSync({ module: readFileSync(join(folder, "heartlens_web_bg.wasm")) });

for (const header of headers) {
  const stem = header.replace(/\.hea$/, "");
  const name = basename(stem);
  for (const ending of ["hea", "dat"]) {
    const bytes = readFileSync(`${stem}.${ending}`);
    lend(`${name}.${ending}`, bytes.length, (at, length) => new Uint8Array(bytes.subarray(at, at + length)));
  }
  const analysed = Recording.open(`${name}.hea`, undefined, undefined, "atr").classify("first", () => true);
  const [samples, classes] = [analysed.samples(), analysed.classes()];
  const scores = new Uint32Array(analysed.scores().buffer);
  const lines = Array.from(samples, (sample, i) => {
    const bits = Array.from(scores.subarray(4 * i, 4 * i + 4), (word) => word.toString(16).padStart(8, "0"));
    return `${name} ${sample} ${"NSVFQ"[classes[i]]} ${bits.join(" ")}\n`;
  });
  process.stdout.write(lines.join(""));
}
