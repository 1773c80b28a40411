// The four views of a beat, as the network was shown them: waveform, spectrum, spectrogram, metadata.
import { sized, theme } from "./draw";
import type { View, Views } from "./types";

function axes(canvas: HTMLCanvasElement) {
  const { context, width, height } = sized(canvas);
  const colours = theme();
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, height);
  context.strokeStyle = colours.minor;
  context.lineWidth = 1;
  context.strokeRect(0.5, 0.5, width - 1, height - 1);
  return { context, width, height, colours };
}

/** Two rows of values: the beat, and the average beat before it (dashed). */
function lines(canvas: HTMLCanvasElement, view: View, mark: number | null): void {
  const { context, width, height, colours } = axes(canvas);
  const length = view.shape[view.shape.length - 1]!;
  let [low, high] = [Infinity, -Infinity];
  for (const value of view.values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low || 1;
  const x = (i: number) => 6 + (i / (length - 1)) * (width - 12);
  const y = (value: number) => height - 8 - ((value - low) / span) * (height - 16);
  if (low < 0 && high > 0) {
    context.fillStyle = colours.minor;
    context.fillRect(0, y(0), width, 1);
  }
  if (mark !== null) {
    context.fillStyle = colours.minor;
    context.fillRect(x(mark), 0, 1, height);
  }
  for (const row of [1, 0]) {
    context.strokeStyle = row === 0 ? colours.trace : colours.faint;
    context.lineWidth = row === 0 ? 1.8 : 1.2;
    context.setLineDash(row === 0 ? [] : [4, 3]);
    context.beginPath();
    for (let i = 0; i < length; i++) context.lineTo(x(i), y(view.values[row * length + i]!));
    context.stroke();
  }
  context.setLineDash([]);
}

/** Frames by bins, beat above average; the darker, the more. */
function map(canvas: HTMLCanvasElement, view: View): void {
  const { context, width, height, colours } = axes(canvas);
  const [channels = 2, first = 1, second = 1] = view.shape.length === 3 ? view.shape : [1, ...view.shape];
  let [low, high] = [Infinity, -Infinity];
  for (const value of view.values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low || 1;
  // Bins are of the longer axis: low frequencies below.
  const [bins, frames] = first >= second ? [first, second] : [second, first];
  const binFirst = first >= second;
  const each = (height - 4) / channels;
  context.fillStyle = colours.ink;
  for (let channel = 0; channel < channels; channel++) {
    for (let bin = 0; bin < bins; bin++) {
      for (let frame = 0; frame < frames; frame++) {
        const at = channel * first * second + (binFirst ? bin * second + frame : frame * second + bin);
        context.globalAlpha = 0.04 + 0.9 * ((view.values[at]! - low) / span);
        const [w, h] = [(width - 4) / frames, (each - 4) / bins];
        context.fillRect(2 + frame * w, 2 + channel * each + (bins - 1 - bin) * h, w + 0.3, h + 0.3);
      }
    }
    context.globalAlpha = 1;
  }
}

function bars(canvas: HTMLCanvasElement, view: View): void {
  const { context, width, height, colours } = axes(canvas);
  const most = Math.max(1e-6, ...view.values.map(Math.abs));
  const wide = (width - 8) / view.values.length;
  const middle = height / 2;
  view.values.forEach((value, i) => {
    const tall = (value / most) * (height / 2 - 6);
    context.fillStyle = colours.trace;
    context.fillRect(4 + i * wide, tall >= 0 ? middle - tall : middle, Math.max(1, wide - 1), Math.max(1, Math.abs(tall)));
  });
  context.fillStyle = colours.faint;
  context.fillRect(4, middle, width - 8, 1);
}

/** Draws them all. */
export function drawViews(views: Views, canvas: (name: string) => HTMLCanvasElement): void {
  lines(canvas("waveform"), views.waveform, 40);
  lines(canvas("spectrum"), views.spectrum, null);
  map(canvas("spectrogram"), views.spectrogram);
  bars(canvas("metadata"), views.metadata);
}
