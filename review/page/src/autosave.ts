// Sends every finished edit as a draft. "Saved" is said only once the server has acknowledged the newest edit, which it
// does after the draft is on its disk. Until then the label also lies in the browser's own store.
import { ApiError, markOf, type Other, putDraft, type Sender, user } from "./api";
import { forgetUnsent, keepUnsent, type Unsent } from "./unsent";

export type SaveState = "unchanged" | "saving" | "saved" | "waiting" | "conflict" | "refused";

export interface SaveStatus {
  state: SaveState;
  text: string;
}

const CONFLICT: SaveStatus = { state: "conflict", text: "Not saved: another window holds a newer draft" };
const RETRY_MS = [500, 1000, 2000, 5000];
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A browser that keeps nothing (a private window, no room): the server's copy is the one that counts. */
function unkept(error: unknown): void {
  console.warn("the browser keeps no copy of what is not saved yet:", error);
}

/** A name for one opening of a case: several windows of one person share the draft, and must not replace each other's unasked. */
function newWindow(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Autosave {
  private edits = 0;
  private editedAt = 0;
  private acknowledged = 0;
  private running: Promise<void> | null = null;
  private stopped = false;
  private skipPause: () => void = () => undefined;
  private readonly window = newWindow();
  /** Number and mark of another window's draft, until the person says which one counts. */
  private rival: { seq: number; mark: string } | null = null;

  /**
   * @param id case
   * @param base version that the label was made from, 0 for none
   * @param seq number of the newest draft that was seen, 0 for none
   * @param seen its mark, "" for none
   * @param from what another window kept in the browser and this one goes on from
   * @param make the label as a gzipped NIfTI file
   */
  constructor(
    readonly id: string,
    public base: number,
    private seq: number,
    private seen: string,
    private from: Unsent | null,
    private readonly make: () => Promise<ArrayBuffer>,
    private readonly show: (status: SaveStatus) => void,
    private readonly tell: (others: Other[]) => void,
  ) {
    show({ state: seq > 0 ? "saved" : "unchanged", text: seq > 0 ? "Draft saved" : "No changes" });
  }

  get isSaved(): boolean {
    return this.acknowledged === this.edits;
  }

  /** Whether there is a draft, acknowledged or not. */
  get hasDraft(): boolean {
    return this.edits > 0 || this.seq > 0;
  }

  /** Who this is to the server, and which draft it has seen. */
  get sender(): Sender {
    return { window: this.window, seen: this.seen };
  }

  /** To be called after every finished edit. */
  changed(): void {
    this.edits++;
    this.editedAt = Date.now();
    if (!this.running) this.start();
  }

  /** Resolves once the newest edit is acknowledged, or rejects with the reason why it cannot be. */
  async flush(): Promise<void> {
    if (!this.isSaved && !this.running) this.start();
    while (this.running) await this.running;
    if (this.rival) throw new ApiError(409, "another window of yours saved a newer draft: choose which one counts");
    if (!this.isSaved) throw new ApiError(0, "the draft is not saved");
  }

  /** After a conflict: what is on the screen replaces the other window's draft. */
  replace(): void {
    if (this.rival) {
      this.seq = Math.max(this.seq, this.rival.seq);
      this.seen = this.rival.mark;
      this.rival = null;
    }
    this.retry();
  }

  /** Tries again at once. */
  retry(): void {
    this.stopped = false;
    this.skipPause();
    if (!this.running && !this.isSaved) this.start();
  }

  /** Ends sending, where the case is left. */
  stop(): void {
    this.stopped = true;
    this.skipPause();
  }

  /** Ends sending, and waits for what is on its way. */
  async end(): Promise<void> {
    this.stop();
    await this.running;
  }

  /** Removes from the browser what this window kept, and what it goes on from. */
  async forget(): Promise<void> {
    const mine = { window: this.window, edit: this.edits };
    for (const kept of this.from ? [mine, this.from] : [mine]) await forgetUnsent(user(), this.id, kept).catch(unkept);
  }

  private start(): void {
    this.stopped = false;
    const refused = (error: unknown): void => this.show({ state: "refused", text: `Not saved: ${error instanceof Error ? error.message : String(error)}` });
    this.running = this.run().catch(refused).finally(() => (this.running = null));
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.isSaved && !this.stopped) {
      const edits = this.edits;
      this.show({ state: "saving", text: "Saving…" });
      const bytes = await this.make();
      const seq = this.seq + 1;
      const kept = { seq, base: this.base, ...this.sender, edit: edits, at: this.editedAt, bytes };
      await keepUnsent(user(), this.id, kept, this.from).then(() => (this.from = null), unkept);
      if (this.rival) {
        this.show(CONFLICT);
        return;
      }
      try {
        const { draft, others } = await putDraft(this.id, { base: this.base, seq }, this.sender, bytes);
        this.seq = draft.seq;
        this.seen = markOf(draft);
        this.acknowledged = edits;
        failures = 0;
        if (this.isSaved) {
          await this.forget();
          this.show({ state: "saved", text: `Saved ${new Date(draft.saved).toLocaleTimeString("en-GB")}` });
        }
        this.tell(others);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 409) {
          const other = { window: String(error.extra.window ?? ""), seq: Number(error.extra.seq) || 0 };
          if (other.window === this.window) {
            this.seq = other.seq; // an earlier one of ours arrived although its answer did not
            continue;
          }
          this.rival = { seq: other.seq, mark: markOf(other) };
          this.show(CONFLICT);
          return;
        }
        if (error.status !== 0 && error.status !== 503 && error.status !== 401) {
          this.show({ state: "refused", text: `Not saved: ${error.message}` });
          return;
        }
        this.seq = seq; // it may have arrived although its answer did not: the next one must be newer
        this.show({ state: "waiting", text: `Not saved: ${error.message}; trying again` });
        const wait = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]!;
        await Promise.race([pause(wait), new Promise<void>((resolve) => (this.skipPause = resolve))]);
      }
    }
  }
}
