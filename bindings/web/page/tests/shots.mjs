// Pictures of the page in all its states, widths and themes, to be looked at: `node tests/shots.mjs FOLDER [RECORD [WIDTH,..]]`.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { classified, demo, give, launch } from "./browser.mjs";

const out = process.argv[2] ?? "shots";
mkdirSync(out, { recursive: true });
const record = process.argv[3] ? ["hea", "dat"].map((end) => `${process.argv[3]}.${end}`) : ["hea", "dat"].map((end) => join(demo, `demo.${end}`));
const here = await launch();
const wanted = process.argv[4] ? process.argv[4].split(",").map(Number) : [1280, 768, 390];
for (const [width, height] of [[1280, 800], [768, 1024], [390, 844]].filter(([width]) => wanted.includes(width))) {
  for (const colorScheme of ["light", "dark"]) {
    const tab = await here.open({ viewport: { width, height }, colorScheme, deviceScaleFactor: width === 390 ? 2 : 1 });
    const shot = (name) => tab.screenshot({ path: join(out, `${name}-${width}-${colorScheme}.png`), fullPage: width === 390 });
    await shot("empty");
    // Held while its picture is taken.
    await tab.evaluate(() => {
      const app = window.heartlens;
      const classify = app.classify.bind(app);
      app.classify = async (leads) => {
        app.progress("Classifying … 40 %", 0.4);
        await new Promise((done) => (window.goOn = done));
        await classify(leads);
      };
    });
    await give(tab, record);
    await tab.waitForFunction(() => window.goOn);
    await tab.waitForTimeout(300);
    await shot("loading");
    await tab.evaluate(() => window.goOn());
    await classified(tab);
    await tab.waitForTimeout(300);
    await shot("loaded");
    await tab.locator("#strip").focus();
    await tab.keyboard.press("e");
    await tab.keyboard.press("e");
    await tab.keyboard.press("c");
    await tab.keyboard.press("4");
    await tab.waitForTimeout(600);
    await shot("views");
    await tab.keyboard.press("Escape");
    await tab.keyboard.press("v");
    await tab.keyboard.press("}");
    await tab.keyboard.press("m");
    await tab.keyboard.press("ArrowRight");
    await tab.keyboard.press("m");
    await tab.keyboard.press("Enter");
    await tab.keyboard.press("3");
    await tab.waitForTimeout(400);
    await shot("edited");
    for (let i = 0; i < 8; i++) await tab.keyboard.press("-");
    await tab.keyboard.press("2");
    await tab.waitForTimeout(700);
    await shot("zoomed");
    await tab.keyboard.press("d");
    await tab.waitForTimeout(300);
    await shot("disclosure");
    await tab.keyboard.press("Escape");
    await tab.click("#help-open");
    await shot("help");
    await tab.keyboard.press("Escape");
    await tab.click("#live-open");
    await tab.selectOption("#live-speed", "4");
    await tab.click("#live-start");
    await tab.waitForTimeout(4500);
    await shot("live");
    await give(tab, [record[1]]);
    await tab.waitForFunction(() => !document.getElementById("error").hidden);
    await shot("error");
    await tab.context().close();
  }
}
await here.browser.close();
if (here.errors.length > 0) console.log(here.errors.join("\n"));
