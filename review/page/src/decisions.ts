// Accept, reject, correct, reopen; and what to do where somebody else was quicker.
import * as api from "./api";
import { ask, askReason, say } from "./dialogs";
import { make } from "./dom";
import type { Session } from "./session";
import { forgetUnsent, type Unsent } from "./unsent";

export class Decisions {
  private running = false;

  constructor(
    private readonly info: api.Info,
    private readonly current: () => Session | null,
    /** Loads the case anew; then the next case where asked. */
    private readonly settle: (next: boolean) => Promise<void>,
    private readonly failed: (error: unknown) => void,
  ) {}

  async accept(): Promise<void> {
    const session = this.current();
    if (!session) return;
    if (session.isChanged) {
      say("This case has changes of yours: send them as a correction, or discard them and accept.", "error", [["Send correction…", () => void this.correct()]]);
      return;
    }
    await this.send(session, { action: "accept", version: session.detail.version });
  }

  async reject(): Promise<void> {
    const session = this.current();
    if (!session) return;
    const reason = await askReason("Reject this result", this.info.reasons, "Reject");
    if (reason !== null) await this.send(session, { action: "reject", version: session.detail.version, reason });
  }

  async correct(): Promise<void> {
    const session = this.current();
    if (!session) return;
    if (!session.isChanged) {
      say("Nothing was changed: accept or reject this case.");
      return;
    }
    const reason = await askReason("Send the correction", this.info.reasons, "Send", "What was wrong with the result?");
    if (reason === null) return;
    try {
      await session.autosave.flush();
    } catch (error) {
      this.failed(error);
      return;
    }
    await this.send(session, { action: "correct", version: session.autosave.base, reason, draft: session.autosave.sender.seen });
  }

  async reopen(): Promise<void> {
    const session = this.current();
    if (session) await this.send(session, { action: "reopen", version: session.detail.version });
  }

  /** Throws the person's own draft away, after asking. */
  async discard(): Promise<void> {
    const session = this.current();
    if (!session) return;
    const text = make("p", {}, "Your changes to this case are deleted. The versions that were sent stay.");
    if (!(await ask("Discard your changes?", text, [{ text: "Discard", value: true, kind: "bad" }]))) return;
    try {
      await session.discard();
    } catch (error) {
      this.failed(error);
      session.autosave.retry();
      return;
    }
    await this.settle(false);
  }

  /** Throws away what another window could not send, after asking. */
  async forget(session: Session, unsent: Unsent): Promise<void> {
    const text = make("p", {}, "The changes of the other window are deleted from this browser. Those on this screen stay.");
    if (!(await ask("Delete the other window's changes?", text, [{ text: "Delete", value: true, kind: "bad" }]))) return;
    await forgetUnsent(api.user(), session.id, unsent).catch(this.failed);
  }

  private async send(session: Session, decision: { action: string; version: number | null; reason?: string; draft?: string }): Promise<void> {
    if (this.running) return;
    this.running = true;
    session.seen();
    try {
      const answer = await api.decide(session.id, { reason: "", ...decision, seconds: session.seconds() });
      say(done(decision.action, answer), "note", decision.action === "reopen" ? [] : [["Reopen it", () => void this.reopenCase(session.id)]]);
      await this.settle(decision.action !== "reopen");
    } catch (error) {
      if (error instanceof api.ApiError && error.status === 412) await this.overtaken(session, decision, error);
      else this.failed(error);
    } finally {
      this.running = false;
    }
  }

  private async reopenCase(id: string): Promise<void> {
    try {
      const { version } = await api.caseDetail(id);
      await api.decide(id, { action: "reopen", version, reason: "", seconds: 0 });
      say(`${id} is open again.`, "note");
    } catch (error) {
      this.failed(error);
    }
  }

  /** Somebody saved a newer version meanwhile: the person chooses. */
  private async overtaken(session: Session, decision: { action: string; reason?: string; draft?: string }, error: api.ApiError): Promise<void> {
    const newest = Number(error.extra.version);
    const who = String(error.extra.user ?? "somebody");
    const text = make("p", {}, `${who} saved version ${newest} while you had this case open. Your changes are kept as your draft.`);
    const choice = await ask("Somebody was quicker", text, [
      { text: "Look at both", value: "look" },
      { text: decision.action === "correct" ? "Save mine as the newest" : `Decide on version ${newest}`, value: "mine" },
    ]);
    if (choice === "mine") {
      session.autosave.base = newest;
      this.running = false;
      await this.send(session, { ...decision, version: newest });
    } else if (choice === "look") {
      await this.settle(false);
    }
  }
}

function done(action: string, answer: api.Decision): string {
  const { id } = answer.case;
  if (action !== "correct") return `${id}: ${action === "reopen" ? "open again" : `${action}ed`}.`;
  const dice = Object.entries(answer.dice ?? {}).map(([name, value]) => `${name} ${value.toFixed(3)}`);
  return `${id}: version ${answer.version} saved, ${answer.voxels_changed ?? 0} voxels changed${dice.length > 0 ? `; Dice against the result: ${dice.join(", ")}` : ""}.`;
}
