// Labels that the server has not acknowledged yet, kept in the browser so that they outlive it. A row is removed as
// soon as the server says that it holds the draft; scans are never kept here.
const STORE = "labels";

/** `window` made it, having seen the server's draft of that mark. */
export interface Unsent {
  seq: number;
  base: number;
  window: string;
  seen: string;
  bytes: ArrayBuffer;
}

function request<T>(made: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    made.onsuccess = () => resolve(made.result);
    made.onerror = () => reject(made.error);
  });
}

async function store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const opening = indexedDB.open("medseg-review", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  return (await request(opening)).transaction(STORE, mode).objectStore(STORE);
}

const key = (user: string, id: string): string => JSON.stringify([user, id]);

export async function keepUnsent(user: string, id: string, unsent: Unsent): Promise<void> {
  await request((await store("readwrite")).put(unsent, key(user, id)));
}

export async function readUnsent(user: string, id: string): Promise<Unsent | null> {
  return ((await request((await store("readonly")).get(key(user, id)))) as Unsent | undefined) ?? null;
}

/** Forgets what a window kept, whatever another one keeps of the same case; all of it where none is named. */
export async function forgetUnsent(user: string, id: string, window?: string): Promise<void> {
  const labels = await store("readwrite");
  const kept = (await request(labels.get(key(user, id)))) as Unsent | undefined;
  if (kept && (window === undefined || kept.window === window)) await request(labels.delete(key(user, id)));
}
