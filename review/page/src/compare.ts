// Another version of the result, or the study before, beside the label or in its place while a key is held.
import * as api from "./api";
import { ScanCanvas } from "./canvas";
import { byId, option } from "./dom";
import { toRasOrder, voxelCount } from "./geometry";
import { readLabel } from "./nifti";
import type { Session } from "./session";

const PREVIOUS = "previous";

/** How many voxels differ between two labels, and the Dice of each number; 1 where neither has it. */
export function difference(one: Uint8Array, two: Uint8Array, numbers: number): { changed: number; dice: number[] } {
  const both = new Array<number>(numbers).fill(0);
  const sum = new Array<number>(numbers).fill(0);
  let changed = 0;
  for (let index = 0; index < one.length; index++) {
    const a = one[index]!;
    const b = two[index]!;
    sum[a]!++;
    sum[b]!++;
    if (a === b) both[a]!++;
    else changed++;
  }
  return { changed, dice: sum.map((total, number) => (total === 0 ? 1 : (2 * both[number]!) / total)) };
}

export class Comparison {
  private session: Session | null = null;
  private other: Uint8Array | null = null;
  private beside: ScanCanvas | null = null;
  private readonly choice = byId<HTMLSelectElement>("compare");
  private readonly pane = byId("beside-pane");

  constructor(
    private readonly labels: api.Label[],
    private readonly failed: (error: unknown) => void,
  ) {
    this.choice.addEventListener("change", () => void this.load());
  }

  open(session: Session): void {
    this.session = session;
    this.other = null;
    byId("difference").textContent = "";
    const { detail } = session;
    this.choice.replaceChildren(option("", "nothing"));
    for (const version of [...detail.versions].reverse()) this.choice.append(option(String(version.version), versionText(version)));
    for (const draft of detail.drafts) {
      if (draft.user !== api.user()) this.choice.append(option(`draft:${draft.user}`, `draft of ${draft.user}`));
    }
    if (detail.previous) this.choice.append(option(PREVIOUS, `study before (${detail.previous})`));
    if (!this.pane.hidden) void this.showBeside();
  }

  /** Shows the other version in place of the label, or the label again. */
  flip(on: boolean): void {
    if (this.session && this.other) this.session.canvas.showInstead(on ? this.other : null);
  }

  /** Opens or closes the second pane. */
  async toggleBeside(): Promise<void> {
    this.pane.hidden = !this.pane.hidden;
    byId("show-beside").setAttribute("aria-pressed", String(!this.pane.hidden));
    if (!this.pane.hidden) await this.showBeside();
  }

  /** Follows the cross-hair of the open case, where the second pane shows the same scan. */
  follow(): void {
    if (!this.pane.hidden && this.beside?.grid && this.choice.value !== PREVIOUS && this.session) {
      this.beside.moveTo(this.session.canvas.position());
    }
  }

  /** Dice and changed voxels against the label on the screen. */
  describe(): void {
    const { session, other } = this;
    const text = byId("difference");
    if (!session || !other) {
      text.textContent = "";
      return;
    }
    const { changed, dice } = difference(session.canvas.bitmap, other, this.labels.length);
    const scores = this.labels.slice(1).map((label, n) => `${label.name} ${dice[n + 1]!.toFixed(3)}`);
    text.textContent = `${changed} voxels differ; Dice: ${scores.join(", ")}`;
  }

  private async load(): Promise<void> {
    const { session } = this;
    const { value } = this.choice;
    this.other = null;
    if (session && value && value !== PREVIOUS) {
      try {
        const bytes = value.startsWith("draft:") ? await api.draftOf(session.id, value.slice(6)) : await api.label(session.id, Number(value));
        if (session !== this.session) return;
        this.other = toRasOrder(session.grid, readLabel(bytes, session.table, voxelCount(session.grid)));
      } catch (error) {
        this.failed(error);
      }
    }
    this.describe();
    if (!this.pane.hidden) await this.showBeside();
  }

  private async showBeside(): Promise<void> {
    const { session } = this;
    if (!session) return;
    try {
      if (!this.beside) {
        this.beside = new ScanCanvas(byId<HTMLCanvasElement>("beside"));
        await this.beside.attach();
        this.beside.setColours(this.labels);
      }
      session.canvas.matchOpacity(this.beside);
      const title = byId("beside-title");
      const { previous } = session.detail;
      if (this.choice.value === PREVIOUS && previous) {
        const detail = await api.caseDetail(previous);
        const grid = await this.beside.open(await api.volume(previous), detail.window);
        if (detail.version) this.beside.setLabel(readLabel(await api.label(previous, detail.version), session.table, voxelCount(grid)));
        title.textContent = `study before: ${previous}`;
        return;
      }
      await this.beside.open(session.volume, session.canvas.getWindow());
      title.textContent = this.other ? this.choice.selectedOptions[0]!.text : "scan without label";
      if (this.other) {
        this.beside.bitmap.set(this.other);
        this.beside.upload();
      }
      this.follow();
    } catch (error) {
      this.failed(error);
    }
  }
}

export function versionText(version: api.Version): string {
  const who = version.user ?? version.artifact ?? "";
  return [`version ${version.version}`, version.kind, who].filter(Boolean).join(", ");
}
