// The page's end of its workers.
import workerText from "given:worker";
import wasmText from "given:wasm";

/** Bytes that were packed into the page. */
export async function unpacked(text: string): Promise<ArrayBuffer> {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

let wasm: Promise<ArrayBuffer> | undefined;

interface Waiting {
  done: (value: unknown) => void;
  failed: (error: Error) => void;
  heard?: (progress: unknown) => void;
}

/** A worker, asked by messages. */
export class Engine {
  private worker: Worker;
  private waiting = new Map<number, Waiting>();
  private next = 0;
  readonly ready: Promise<unknown>;
  private ended = false;

  constructor() {
    const url = URL.createObjectURL(new Blob([workerText], { type: "text/javascript" }));
    this.worker = new Worker(url);
    this.worker.onmessage = (event) => this.hear(event.data);
    this.worker.onerror = (event) => this.fail(new Error(event.message || "the worker has stopped"));
    wasm ??= unpacked(wasmText);
    this.ready = wasm.then((bytes) => this.send("start", [bytes]));
    this.ready.catch(() => undefined).finally(() => URL.revokeObjectURL(url));
  }

  /** Asks the worker, once it has its WebAssembly. */
  ask<T>(operation: string, args: unknown[] = [], heard?: (progress: never) => void, transfer: Transferable[] = []): Promise<T> {
    return this.ready.then(() => this.send<T>(operation, args, heard, transfer));
  }

  private send<T>(operation: string, args: unknown[], heard?: (progress: never) => void, transfer: Transferable[] = []): Promise<T> {
    if (this.ended) return Promise.reject(new Stopped());
    const id = this.next++;
    return new Promise<T>((done, failed) => {
      this.waiting.set(id, {
        done: done as (value: unknown) => void,
        failed,
        heard: heard as (progress: unknown) => void,
      });
      this.worker.postMessage({ id, operation, args }, transfer);
    });
  }

  end(): void {
    this.ended = true;
    this.worker.terminate();
    this.fail(new Stopped());
  }

  private fail(error: Error): void {
    for (const { failed } of this.waiting.values()) failed(error);
    this.waiting.clear();
  }

  private hear(message: { id: number; progress?: unknown; value?: unknown; error?: string }): void {
    const waiting = this.waiting.get(message.id);
    if (!waiting) return;
    if ("progress" in message) {
      waiting.heard?.(message.progress);
      return;
    }
    this.waiting.delete(message.id);
    if (message.error !== undefined) waiting.failed(new Error(message.error));
    else waiting.done(message.value);
  }
}

/** A worker was ended on purpose. */
export class Stopped extends Error {
  constructor() {
    super("stopped");
  }
}
