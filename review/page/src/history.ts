// Undo and redo: every edit as the voxels that it changed, so that any number of steps costs what they changed and no more.

export interface Edit {
  indices: Uint32Array;
  before: Uint8Array;
  after: Uint8Array;
}

const MOST_BYTES = 256 * 2 ** 20;

export class History {
  private former: Uint8Array;
  private done: Edit[] = [];
  private undone: Edit[] = [];
  private bytes = 0;

  constructor(bitmap: Uint8Array) {
    this.former = bitmap.slice();
  }

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  /** Notes what an edit changed between two indices; null where it changed nothing. */
  record(bitmap: Uint8Array, first = 0, last = bitmap.length - 1): Edit | null {
    const { former } = this;
    const changed: number[] = [];
    for (let index = first; index <= last; index++) if (bitmap[index] !== former[index]) changed.push(index);
    if (changed.length === 0) return null;
    const edit: Edit = {
      indices: Uint32Array.from(changed),
      before: Uint8Array.from(changed, (index) => former[index]!),
      after: Uint8Array.from(changed, (index) => bitmap[index]!),
    };
    edit.indices.forEach((index, n) => (former[index] = edit.after[n]!));
    this.done.push(edit);
    this.undone = [];
    this.bytes += 6 * changed.length;
    while (this.bytes > MOST_BYTES && this.done.length > 1) this.bytes -= 6 * this.done.shift()!.indices.length;
    return edit;
  }

  undo(bitmap: Uint8Array): Edit | null {
    const edit = this.done.pop();
    if (!edit) return null;
    this.apply(bitmap, edit.indices, edit.before);
    this.undone.push(edit);
    this.bytes -= 6 * edit.indices.length;
    return edit;
  }

  redo(bitmap: Uint8Array): Edit | null {
    const edit = this.undone.pop();
    if (!edit) return null;
    this.apply(bitmap, edit.indices, edit.after);
    this.done.push(edit);
    this.bytes += 6 * edit.indices.length;
    return edit;
  }

  private apply(bitmap: Uint8Array, indices: Uint32Array, values: Uint8Array): void {
    indices.forEach((index, n) => {
      bitmap[index] = values[n]!;
      this.former[index] = values[n]!;
    });
  }
}
