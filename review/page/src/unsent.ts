// Labels that the server has not acknowledged yet, kept in the browser so that they outlive it. A row is removed as
// soon as the server says that it holds the draft; scans are never kept here.
const STORE = "labels";

/** `window` made it at a time (milliseconds), as its edit of a number, having seen the server's draft of that mark. */
export interface Unsent {
  seq: number;
  base: number;
  window: string;
  seen: string;
  edit: number;
  at: number;
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

/** Each window has a row of its own, so that none takes another's place. */
const key = (user: string, id: string, window: string): string => JSON.stringify([user, id, window]);

/** The rows of a case, also that of a page that kept one for all windows. */
function rowsOf(user: string, id: string): IDBKeyRange {
  const start = JSON.stringify([user, id]).slice(0, -1);
  return IDBKeyRange.bound(start, `${start}\uffff`);
}

/** Keeps a window's label; the row of another window that it goes on from goes. */
export async function keepUnsent(user: string, id: string, unsent: Unsent, from: Unsent | null): Promise<void> {
  const labels = await store("readwrite");
  await request(labels.put(unsent, key(user, id, unsent.window)));
  if (from) await forgetIn(labels, user, id, from);
}

/** What the windows kept of a case, the newest first. */
export async function readUnsent(user: string, id: string): Promise<Unsent[]> {
  const rows = (await request((await store("readonly")).getAll(rowsOf(user, id)))) as Partial<Unsent>[];
  const whole = rows.map((row) => ({ window: "", seen: "", edit: 0, at: 0, ...row }) as Unsent); // older pages knew less
  return whole.sort((a, b) => b.at - a.at);
}

/** Forgets what a window kept up to an edit; whatever it or another one keeps besides stays. */
export async function forgetUnsent(user: string, id: string, kept: Pick<Unsent, "window" | "edit">): Promise<void> {
  await forgetIn(await store("readwrite"), user, id, kept);
}

async function forgetIn(labels: IDBObjectStore, user: string, id: string, kept: Pick<Unsent, "window" | "edit">): Promise<void> {
  const range = rowsOf(user, id);
  const [keys, rows] = await Promise.all([request(labels.getAllKeys(range)), request(labels.getAll(range))]);
  const gone = keys.filter((_, n) => {
    const { window = "", edit = 0 } = rows[n] as Partial<Unsent>;
    return window === kept.window && edit <= kept.edit;
  });
  await Promise.all(gone.map((one) => request(labels.delete(one))));
}
