// Work in progress, in the browser's own store: it survives a reload and a closed tab, and leaves this machine never.
import type { Change } from "./beats";
import type { Lent } from "./types";

/** Files up to this size are kept with the work; larger ones have to be opened again. */
const MOST_KEPT = 64e6;
const OLDEST_DAYS = 60;

export interface Work {
  key: string;
  changes: Change[];
  done: number;
  time: number;
  speed: number;
  leads: string;
  saved: number;
}

export interface LastSession {
  key: "last";
  files: { name: string; size: number; file: Blob | null }[];
  record: string;
  rate?: number;
  unit?: string;
}

function open(): Promise<IDBDatabase> {
  return new Promise((done, failed) => {
    const request = indexedDB.open("heartlens", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("work", { keyPath: "key" });
      request.result.createObjectStore("session", { keyPath: "key" });
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error ?? new Error("no store"));
  });
}

async function run<T>(store: string, mode: IDBTransactionMode, what: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((done, failed) => {
      const transaction = database.transaction(store, mode);
      const request = what(transaction.objectStore(store));
      transaction.oncomplete = () => done(request.result);
      transaction.onerror = () => failed(transaction.error ?? new Error("no store"));
      transaction.onabort = () => failed(transaction.error ?? new Error("the store is full"));
    });
  } finally {
    database.close();
  }
}

export const saveWork = (work: Work) => run("work", "readwrite", (store) => store.put(work)).then(() => undefined);
export const loadWork = (key: string) => run<Work | undefined>("work", "readonly", (store) => store.get(key));
export const forgetWork = (key: string) => run("work", "readwrite", (store) => store.delete(key)).then(() => undefined);

export async function saveSession(files: Lent[], record: string, rate?: number, unit?: string): Promise<void> {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const kept = files.map(({ name, size: bytes, file }) => ({ name, size: bytes, file: size <= MOST_KEPT ? (file ?? null) : null }));
  const session: LastSession = { key: "last", files: kept, record, rate, unit };
  await run("session", "readwrite", (store) => store.put(session));
}

export const loadSession = () => run<LastSession | undefined>("session", "readonly", (store) => store.get("last"));
export const forgetSession = () => run("session", "readwrite", (store) => store.delete("last")).then(() => undefined);

/** Work that nobody has come back to is dropped. */
export async function tidy(): Promise<void> {
  const all = await run<Work[]>("work", "readonly", (store) => store.getAll());
  const oldest = Date.now() - OLDEST_DAYS * 86400e3;
  for (const work of all) if (work.saved < oldest) await forgetWork(work.key);
}
