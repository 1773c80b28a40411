// What all drawings share: colours of the theme, marks of the classes, times.
import type { ClassName } from "./types";

export interface Colours {
  paper: string;
  minor: string;
  major: string;
  ink: string;
  faint: string;
  trace: string;
  accent: string;
  selected: string;
  band: string;
  classes: Record<ClassName, string>;
}

let colours: Colours | undefined;

/** The colours of the theme that is on. */
export function theme(): Colours {
  if (colours) return colours;
  const style = getComputedStyle(document.documentElement);
  const value = (name: string) => style.getPropertyValue(`--${name}`).trim();
  colours = {
    paper: value("paper"),
    minor: value("grid-minor"),
    major: value("grid-major"),
    ink: value("ink"),
    faint: value("faint"),
    trace: value("trace"),
    accent: value("accent"),
    selected: value("selected"),
    band: value("band"),
    classes: { N: value("class-n"), S: value("class-s"), V: value("class-v"), F: value("class-f"), Q: value("class-q") },
  };
  return colours;
}

export function forgetTheme(): void {
  colours = undefined;
}

/** Has a canvas as many pixels as the screen gives it; its context draws in CSS pixels. */
export function sized(canvas: HTMLCanvasElement): { context: CanvasRenderingContext2D; width: number; height: number } {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d", { alpha: false })!;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
}

/** The shape of a class, so that no one needs its colour: N a circle, S a triangle, V a square, F a diamond, Q a cross. */
export function shape(context: CanvasRenderingContext2D, cls: ClassName, x: number, y: number, r: number): void {
  context.beginPath();
  switch (cls) {
    case "N":
      context.arc(x, y, r, 0, 2 * Math.PI);
      break;
    case "S":
      context.moveTo(x, y - 1.2 * r);
      context.lineTo(x + 1.2 * r, y + r);
      context.lineTo(x - 1.2 * r, y + r);
      context.closePath();
      break;
    case "V":
      context.rect(x - r, y - r, 2 * r, 2 * r);
      break;
    case "F":
      context.moveTo(x, y - 1.35 * r);
      context.lineTo(x + 1.35 * r, y);
      context.lineTo(x, y + 1.35 * r);
      context.lineTo(x - 1.35 * r, y);
      context.closePath();
      break;
    case "Q":
      context.moveTo(x - r, y - r);
      context.lineTo(x + r, y + r);
      context.moveTo(x + r, y - r);
      context.lineTo(x - r, y + r);
      break;
  }
}

/** A beat's mark: its class's shape, and the letter in it. */
export function badge(context: CanvasRenderingContext2D, cls: ClassName, x: number, y: number, r: number, letter = true): void {
  const { classes, paper } = theme();
  const colour = classes[cls];
  shape(context, cls, x, y, r);
  context.lineWidth = 1.5;
  context.strokeStyle = colour;
  if (cls === "N" || cls === "Q") {
    if (cls === "N") {
      context.fillStyle = paper;
      context.fill();
    }
    context.stroke();
  } else {
    context.fillStyle = colour;
    context.fill();
  }
  if (!letter || cls === "Q") return;
  context.fillStyle = cls === "N" ? colour : paper;
  context.font = `600 ${Math.round(1.35 * r)}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(cls, x, y + (cls === "S" ? 0.3 * r : 0.05 * r));
}

const two = (n: number) => String(n).padStart(2, "0");

/** Seconds as hours, minutes, seconds. */
export function clock(seconds: number, decimals = 0): string {
  const sign = seconds < 0 ? "-" : "";
  const unit = 10 ** decimals;
  const all = Math.round(Math.abs(seconds) * unit);
  const whole = Math.floor(all / unit);
  const rest = decimals > 0 ? `.${String(all % unit).padStart(decimals, "0")}` : "";
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${sign}${h > 0 ? `${h}:${two(m)}` : m}:${two(s)}${rest}`;
}

export const percent = (share: number | null) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

/** A step of 1, 2, 5, 15, 30 s and so on that is at least `least` seconds. */
export function timeStep(least: number): number {
  const steps = [0.04, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
  return steps.find((step) => step >= least) ?? 86400;
}
