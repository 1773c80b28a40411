// A worker: the recording in WebAssembly. The page has two of them, so that one can show samples while the other classifies.
import {
  initSync,
  lend,
  Recording,
  ViewFinder,
  Replay,
  Line,
  Marks,
  judge,
  annotation_file,
  window_samples,
  type Outline,
} from "heartlens-wasm";
import type { Lent, Columns } from "./types";

type Out = { value: unknown; transfer?: Transferable[] };

let recording: Recording | undefined;
let finder: ViewFinder | undefined;
let replay: Replay | undefined;
let line: Line | undefined;

/** Reads a part of a file, at once. */
function reader(lent: Lent): (at: number, length: number) => Uint8Array {
  const { file, url } = lent;
  if (file) {
    const sync = new FileReaderSync();
    return (at, length) => {
      try {
        return new Uint8Array(sync.readAsArrayBuffer(file.slice(at, at + length)));
      } catch {
        throw new Error("the file has changed or is gone since it was opened; open it again");
      }
    };
  }
  return (at, length) => {
    const request = new XMLHttpRequest();
    request.open("GET", url!, false);
    request.responseType = "arraybuffer";
    request.setRequestHeader("Range", `bytes=${at}-${at + length - 1}`);
    try {
      request.send();
    } catch {
      throw new Error("the command no longer answers; start `heartlens view` again");
    }
    if (request.status !== 206 && request.status !== 200) {
      throw new Error(`the command answers ${request.status}; start \`heartlens view\` again`);
    }
    const bytes = new Uint8Array(request.response as ArrayBuffer);
    return request.status === 200 ? bytes.subarray(at, at + length) : bytes;
  };
}

function opened(): Recording {
  if (!recording) throw new Error("no recording is open");
  return recording;
}

/** Lets messages in between. */
const pause = () => new Promise<void>((done) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    done();
  };
  port2.postMessage(0);
});

// biome-ignore lint: each operation has arguments of its own.
const operations: Record<string, (tell: (value: unknown, transfer?: Transferable[]) => void, ...args: any[]) => Out | Promise<Out>> = {
  start(_tell, wasm: ArrayBuffer) {
    initSync({ module: wasm });
    return { value: null };
  },

  open(_tell, files: Lent[], name: string, rate?: number, unit?: string) {
    for (const file of files) lend(file.name, file.size, reader(file));
    recording = Recording.open(name, rate, unit, "atr");
    return { value: JSON.parse(recording.about()) };
  },

  /** The pyramid's lowest level of every lead, part by part. */
  async outline(tell, leads: number[], bucket: number) {
    const outlines = new Map<number, Outline>(leads.map((lead) => [lead, opened().outline(lead, bucket)]));
    while (outlines.size > 0) {
      for (const [lead, outline] of outlines) {
        const part = outline.next_part();
        if (part) tell({ lead, part }, [part.buffer]);
        else {
          outline.free();
          outlines.delete(lead);
        }
        await pause();
      }
    }
    return { value: null };
  },

  samples(_tell, lead: number, from: number, to: number) {
    const samples = opened().samples(lead, from, to);
    return { value: samples, transfer: [samples.buffer] };
  },

  classify(tell, leads: string) {
    const begun = performance.now();
    let told = 0;
    const analysed = opened().classify(leads, (done: number) => {
      if (done - told > 0.005) {
        told = done;
        tell(done);
      }
      return true;
    });
    const seconds = (performance.now() - begun) / 1000;
    const value = {
      samples: analysed.samples(),
      classes: analysed.classes(),
      scores: analysed.scores(),
      fibrillation: analysed.fibrillation(),
      rr_ms: analysed.rr_ms(),
      quality: analysed.quality(),
      about: JSON.parse(analysed.about()),
      seconds,
    };
    analysed.free();
    return { value };
  },

  judge(_tell, c: Columns, rate: number, duration: number) {
    return { value: JSON.parse(judge(c.samples, c.classes, c.fibrillation, c.rr_ms, rate, duration)) };
  },

  annotations(_tell, c: Columns, rate: number, marked: [number, string][]) {
    const marks = new Marks();
    for (const [sample, text] of marked) marks.add(sample, text);
    return { value: annotation_file(c.samples, c.classes, c.fibrillation, rate, marks) };
  },

  annotated(_tell, annotator: string) {
    return { value: JSON.parse(opened().annotated(annotator)) };
  },

  /** Reads the lead that views are of; answers once it is read. */
  async findViews(tell, lead: number) {
    const mine = new ViewFinder(opened(), lead);
    finder?.free();
    finder = mine;
    for (;;) {
      if (finder !== mine) return { value: false };
      const done = mine.advance();
      if (done >= 1) return { value: true };
      tell(done);
      await pause();
    }
  },

  views(_tell, sample: number) {
    return { value: finder ? JSON.parse(finder.views(sample)) : null };
  },

  replay(_tell, rate: number) {
    replay?.free();
    replay = new Replay(rate);
    return { value: null };
  },

  replayed(_tell, samples: Float32Array) {
    const events = JSON.parse(replay!.push(samples));
    return { value: { events, rate: replay!.rate_bpm() ?? null } };
  },

  deviceCounts(_tell, lead: number) {
    return { value: opened().device_counts(lead) };
  },

  line(_tell, what: string, first = 0, counts?: Int16Array) {
    switch (what) {
      case "hello":
        line?.free();
        line = new Line();
        return { value: line.hello() };
      case "start":
        return { value: line!.start() };
      case "samples":
        return { value: line!.samples(first, counts!) };
      case "query":
        return { value: line!.query() };
      case "finish":
        return { value: line!.finish(first) };
      default:
        return { value: window_samples() };
    }
  },

  received(_tell, bytes: Uint8Array) {
    return { value: JSON.parse(line!.receive(bytes)) };
  },
};

const post = (message: unknown, transfer: Transferable[] = []) =>
  (self as unknown as { postMessage(m: unknown, t: Transferable[]): void }).postMessage(message, transfer);

self.onmessage = async (event: MessageEvent) => {
  const { id, operation, args } = event.data;
  const tell = (progress: unknown, transfer?: Transferable[]) => post({ id, progress }, transfer);
  try {
    const { value, transfer } = await operations[operation](tell, ...args);
    post({ id, value }, transfer);
  } catch (error) {
    post({ id, error: error instanceof Error ? error.message : String(error) });
  }
};
