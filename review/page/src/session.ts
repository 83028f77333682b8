// One open case: its scan, its label, the steps of undo, and the draft that follows every edit.
import * as api from "./api";
import { Autosave, type SaveStatus } from "./autosave";
import { type Box, emptyBox, include } from "./brush";
import type { ScanCanvas } from "./canvas";
import { type Grid, indexOf, toFileOrder, voxelAt, voxelCount } from "./geometry";
import { type Edit, History } from "./history";
import { gzip, type LabelTable, readLabel, writeLabel } from "./nifti";
import { forgetUnsent, readUnsent, type Unsent } from "./unsent";

export interface Listener {
  saved(status: SaveStatus): unknown;
  others(others: api.Other[]): unknown;
  edited(): void;
}

interface Start {
  numbers: Uint8Array | null;
  base: number;
  seq: number;
  /** Mark of the server's draft that this goes on from, "" for none. */
  seen: string;
  /** What the browser could not send yet and this goes on from. */
  unsent: Unsent | null;
  /** What other windows could not send. */
  others: Unsent[];
}

export class Session {
  history: History;
  readonly autosave: Autosave;
  private readonly opened = performance.now();
  private active = 0;
  private lastSeen = performance.now();

  private constructor(
    public detail: api.CaseDetail,
    readonly canvas: ScanCanvas,
    readonly grid: Grid,
    readonly volume: ArrayBuffer,
    readonly table: LabelTable,
    private readonly start: Start,
    private readonly listener: Listener,
  ) {
    this.history = new History(canvas.bitmap);
    const make = (): Promise<ArrayBuffer> => gzip(writeLabel(volume, toFileOrder(grid, canvas.bitmap), table));
    this.autosave = new Autosave(detail.id, start.base, start.seq, start.seen, start.unsent, make, (s) => listener.saved(s), (o) => listener.others(o));
    if (start.unsent) this.autosave.changed();
  }

  /** Opens a case: the person's own draft where there is one, as one window kept it where that is named, else its newest label. */
  static async open(detail: api.CaseDetail, canvas: ScanCanvas, table: LabelTable, listener: Listener, window?: string): Promise<Session> {
    const newest = detail.version ?? 0;
    const labelBytes = newest > 0 ? api.label(detail.id, newest) : Promise.resolve(null);
    labelBytes.catch(() => undefined); // awaited below; a failure of the volume comes first
    const volume = await api.volume(detail.id);
    const grid = await canvas.open(volume, detail.window);
    const count = voxelCount(grid);
    const start = await ownWork(detail, table, count, window);
    if (!start.numbers) {
      const bytes = await labelBytes;
      if (bytes) start.numbers = readLabel(bytes, table, count);
    }
    if (start.numbers) canvas.setLabel(start.numbers);
    return new Session(detail, canvas, grid, volume, table, start, listener);
  }

  get id(): string {
    return this.detail.id;
  }

  /** Whether the label differs from the version that it was made from, as far as the page knows. */
  get isChanged(): boolean {
    return this.autosave.hasDraft;
  }

  /** Labels that other windows could not send, the newest first; the browser keeps them. */
  get unsentOfOthers(): Unsent[] {
    return this.start.others;
  }

  /** Seconds that somebody worked on the case: pauses of more than a minute do not count. */
  seconds(): number {
    return Math.round(this.active / 100) / 10;
  }

  /** To be called when a person does something. */
  seen(): void {
    const now = performance.now();
    this.active += Math.min(now - this.lastSeen, 60_000);
    this.lastSeen = now;
  }

  /** Milliseconds since the case was opened. */
  age(): number {
    return performance.now() - this.opened;
  }

  /** Ends an edit, within a box where it is known: a step of undo, a draft for the server. Returns whether it changed anything. */
  commit(box?: Box): boolean {
    const { bitmap } = this.canvas;
    if (box && box.high[0] < 0) return false;
    const edit = box ? this.history.record(bitmap, indexOf(this.grid, box.low), indexOf(this.grid, box.high)) : this.history.record(bitmap);
    if (edit) this.changed();
    return edit !== null;
  }

  undo(): void {
    this.stepped(this.history.undo(this.canvas.bitmap));
  }

  redo(): void {
    this.stepped(this.history.redo(this.canvas.bitmap));
  }

  /** What the tools of the server start from. */
  async base(): Promise<"draft" | number | null> {
    if (!this.isChanged) return this.detail.version;
    await this.autosave.flush();
    return "draft";
  }

  /** Puts a tool's answer into the label: `number` where it says 1, nothing where it was `number` before. */
  paste(bytes: ArrayBuffer, number: number): boolean {
    const mask = readLabel(bytes, [0, 1], voxelCount(this.grid));
    const { bitmap } = this.canvas;
    const { dims, start, step } = this.grid;
    const touched = emptyBox();
    let ras = 0;
    for (let z = 0; z < dims[2]; z++) {
      for (let y = 0; y < dims[1]; y++) {
        let file = start + y * step[1] + z * step[2];
        for (let x = 0; x < dims[0]; x++, ras++, file += step[0]) {
          if (mask[file] ? bitmap[ras] === number : bitmap[ras] !== number) continue;
          bitmap[ras] = mask[file] ? number : 0;
          include(touched, [x, y, z]);
        }
      }
    }
    this.canvas.upload(touched);
    return this.commit(touched);
  }

  /** Drops what is on the screen in favour of what the server holds. */
  async forget(): Promise<void> {
    await this.autosave.end();
    await this.autosave.forget();
  }

  /** Deletes the person's draft, here and on the server. */
  async discard(): Promise<void> {
    await this.autosave.end();
    await api.discardDraft(this.id, this.autosave.sender);
    await this.forget();
  }

  close(): void {
    this.autosave.stop();
    api.leave(this.id);
  }

  private stepped(edit: Edit | null): void {
    if (!edit) return;
    const touched = emptyBox();
    for (const index of edit.indices) include(touched, voxelAt(this.grid, index));
    this.canvas.upload(touched);
    this.changed();
  }

  private changed(): void {
    this.autosave.changed();
    this.listener.edited();
  }
}

/**
 * The person's own draft: what the browser could not send yet, else what the server holds. Where another window saved
 * a draft meanwhile, the server refuses what the browser holds, and the person chooses.
 */
async function ownWork(detail: api.CaseDetail, table: LabelTable, voxels: number, window?: string): Promise<Start> {
  const draft = detail.drafts.find((row) => row.user === api.user());
  const kept = await readUnsent(api.user(), detail.id).catch(() => []);
  const arrived = (row: Unsent): boolean => draft !== undefined && draft.window === row.window && draft.seq >= row.seq;
  for (const row of kept.filter(arrived)) await forgetUnsent(api.user(), detail.id, row);
  const rows = kept.filter((row) => !arrived(row));
  const unsent = rows.find((row) => row.window === window) ?? rows[0] ?? null;
  const others = rows.filter((row) => row !== unsent);
  if (unsent) {
    const numbers = readLabel(await api.plain(unsent.bytes), table, voxels);
    const own = draft && draft.window === unsent.window ? api.markOf(draft) : unsent.seen;
    return { numbers, base: unsent.base, seq: unsent.seq, seen: own, unsent, others };
  }
  if (!draft) return { numbers: null, base: detail.version ?? 0, seq: 0, seen: "", unsent, others };
  const stored = await api.getDraft(detail.id);
  return { numbers: readLabel(stored.bytes, table, voxels), base: stored.base, seq: stored.seq, seen: api.markOf(stored), unsent, others };
}
