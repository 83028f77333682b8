// The page: its parts, and the case that is open.
import * as api from "./api";
import type { SaveStatus } from "./autosave";
import type { ScanCanvas } from "./canvas";
import { describe, readout, showChoices } from "./case_view";
import { Comparison } from "./compare";
import { Decisions } from "./decisions";
import { ask, isDialogOpen, quiet, say } from "./dialogs";
import { byId } from "./dom";
import { Editor } from "./editor";
import { hook } from "./hook";
import { keyTable } from "./key_table";
import { help, type Key, listen } from "./keys";
import { showMonitoring } from "./monitoring";
import { showNextVersion } from "./next_version";
import { Panel } from "./panel";
import { Session } from "./session";
import type { ToolSettings } from "./tools";
import { WorklistView } from "./worklist";

const PRESENCE_MS = 10_000;

export class Page {
  private opening = 0;
  private attached: Promise<void> | null = null;
  private readonly settings: ToolSettings;
  private readonly editor: Editor;
  private readonly panel: Panel;
  private readonly worklist: WorklistView;
  private readonly comparison: Comparison;
  private readonly decisions: Decisions;
  private readonly keys: Key[];
  private warned = "";

  constructor(
    private readonly info: api.Info,
    private readonly canvas: ScanCanvas,
  ) {
    const first = (points: string): string => info.tools.find((tool) => tool.points === points)?.id ?? "";
    this.settings = { tool: "look", number: 1, size: 0, ball: false, low: 0, high: 0, background: false, few: first("few") || first("many"), many: first("many") };
    const failed = (error: unknown): void => this.failed(error);
    this.editor = new Editor(canvas, byId("main-pane"), this.settings, {
      busy: (text) => this.busy(text),
      failed,
      settled: () => this.editor.session?.seen(),
    });
    this.panel = new Panel(info, this.settings, canvas, () => this.editor.reset(), (axis) => (this.editor.axis = axis));
    this.worklist = new WorklistView((id) => void this.open(id), failed);
    this.comparison = new Comparison(info.labels, failed);
    this.decisions = new Decisions(info, () => this.editor.session, (next) => this.settle(next), failed);
    this.keys = keyTable({
      info,
      canvas,
      editor: this.editor,
      panel: this.panel,
      comparison: this.comparison,
      decisions: this.decisions,
      undo: () => this.undo(),
      redo: () => this.redo(),
      go: (places) => this.go(places),
      showHelp: () => this.showHelp(),
    });
    listen(this.keys);
    this.bind();
    window.review = hook(canvas, this.editor);
    this.panel.show();
  }

  /** Opens the case that the address names, else the first that waits; its scan is on the way while NiiVue makes ready. */
  async begin(): Promise<void> {
    await this.worklist.refresh();
    const { rows } = this.worklist;
    const asked = decodeURIComponent(location.hash.slice(1));
    const first = asked || rows.find((row) => row.state === "segmented")?.id || rows[0]?.id;
    if (first) api.askAhead(first, rows.find((row) => row.id === first)?.version ?? null);
    await (this.attached = this.attach());
    if (first) await this.open(first);
    else say("The worklist is empty.", "note");
    api.forgetAhead();
    await this.hideWhatIsAbsent();
  }

  private async attach(): Promise<void> {
    await this.canvas.attach();
    this.canvas.setColours(this.info.labels);
    this.editor.reset();
  }

  /** A server without training or monitoring shows no button for it. */
  private async hideWhatIsAbsent(): Promise<void> {
    byId("show-next-version").hidden = !(await api.exists("/api/improve"));
    byId("show-monitoring").hidden = !(await api.exists("/api/monitoring?days=1"));
  }

  /** Opens a case; of what windows of this browser could not send, that of one where it is named. */
  private async open(id: string, window?: string): Promise<void> {
    const ticket = ++this.opening;
    const former = this.editor.session;
    try {
      if (former && !former.autosave.isSaved && former.id !== id) await this.saveFirst(former);
      if (ticket !== this.opening) return;
      this.busy("Opening…");
      await this.attached;
      this.editor.session = null;
      former?.close();
      quiet();
      this.editor.reset();
      const detail = await api.caseDetail(id);
      if (ticket !== this.opening) return;
      const session = await Session.open(detail, this.canvas, this.info.labels.map((label) => label.value), {
        saved: (status) => ticket === this.opening && this.saved(status),
        others: (others) => ticket === this.opening && this.others(others),
        edited: () => this.edited(),
      }, window);
      if (ticket !== this.opening) return;
      this.editor.session = session;
      location.hash = encodeURIComponent(id);
      describe(session.detail);
      this.edited();
      this.worklist.choose(id);
      this.panel.open(detail.window, session.grid.spacing, session.grid.dims.includes(1), detail.volumes_ml);
      this.comparison.open(session);
      this.readout();
      this.warned = "";
      this.tellStale(session);
      void this.present();
    } catch (error) {
      this.failed(error);
    } finally {
      if (ticket === this.opening) this.busy(null);
    }
  }

  /** Waits a moment for the server; what it did not take stays in the browser's store and is sent when the case is opened again. */
  private async saveFirst(session: Session): Promise<void> {
    await Promise.race([session.autosave.flush(), new Promise((resolve) => setTimeout(resolve, 3000))]).catch(() => undefined);
  }

  private tellStale(session: Session): void {
    const newest = session.detail.version ?? 0;
    const [other] = session.unsentOfOthers;
    if (other) {
      const time = other.at ? ` of ${new Date(other.at).toLocaleTimeString("en-GB")}` : "";
      say(`This browser holds changes of another window to this case${time}, which were not saved either.`, "note", [
        ["Show them", () => void this.open(session.id, other.window)],
        ["Delete them", () => void this.decisions.forget(session, other)],
      ]);
    } else if (session.isChanged && session.autosave.base < newest) {
      const text = `Your draft was made from version ${session.autosave.base}; version ${newest} was saved meanwhile. Compare them at the right, then send yours or discard it.`;
      say(text, "note", [["Discard mine", () => void this.decisions.discard()]]);
    } else if (session.detail.error) {
      say(session.detail.error);
    } else if (!session.detail.version && !session.isChanged) {
      say("This case has no result yet: draw it, or wait until it is segmented.", "note");
    }
  }

  private edited(): void {
    const { session } = this.editor;
    showChoices(session, this.info.read_only);
    session?.seen();
    this.comparison.describe();
  }

  /** After a decision: the case anew, or the next one that waits for a person. */
  private async settle(next: boolean): Promise<void> {
    const here = this.editor.session?.id;
    const ticket = this.opening;
    await this.worklist.refresh();
    if (ticket !== this.opening) return; // the person has opened another case meanwhile
    const waiting = this.worklist.rows.find((row) => row.state === "segmented" && row.id !== here);
    const message = byId("message").cloneNode(true) as HTMLElement;
    const id = next && waiting ? waiting.id : here;
    if (id) await this.open(id);
    if (next && !message.hidden) say(message.querySelector("span")?.textContent ?? "", "note", here ? [["Go back to it", () => void this.open(here)]] : []);
  }

  private saved(status: SaveStatus): void {
    const element = byId("saved");
    element.textContent = status.text;
    element.dataset.state = status.state;
    if (status.state === "conflict") {
      const { session } = this.editor;
      say("Another window of yours saved a newer draft of this case.", "error", [
        ["Keep what is on this screen", () => session?.autosave.replace()],
        ["Load the newer draft", () => void this.reload()],
      ]);
    }
  }

  private async reload(): Promise<void> {
    const { session } = this.editor;
    if (!session) return;
    await session.forget();
    await this.open(session.id);
  }

  private others(others: api.Other[]): void {
    const words = others.map((other) => `${other.user} has this case open too${other.draft ? ", with changes" : ""}`).join("; ");
    if (words && words !== this.warned) say(`${words}. Both drafts are kept; whoever sends second is asked.`, "note");
    this.warned = words;
  }

  private async present(): Promise<void> {
    const { session } = this.editor;
    if (!session) return;
    try {
      const { others } = await api.presence(session.id, true);
      if (this.editor.session === session) this.others(others);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error; // the worklist says that the server is away
    }
  }

  private busy(text: string | null): void {
    byId("busy").hidden = text === null;
    byId("busy").textContent = text ?? "";
  }

  private failed(error: unknown): void {
    if (!(error instanceof Error)) throw error;
    if (!(error instanceof api.ApiError)) console.error(error);
    say(`${error.message[0]?.toUpperCase()}${error.message.slice(1)}.`.replace(/\.\.$/, "."));
  }

  private bind(): void {
    const acts: Record<string, () => void> = {
      accept: () => void this.decisions.accept(),
      reject: () => void this.decisions.reject(),
      correct: () => void this.decisions.correct(),
      reopen: () => void this.decisions.reopen(),
      discard: () => void this.decisions.discard(),
      undo: () => this.undo(),
      redo: () => this.redo(),
      largest: () => void this.editor.serverStep("largest-component"),
      interpolate: () => void this.editor.serverStep("interpolate"),
      holes: () => this.editor.fillHoles(),
      "clear-lines": () => this.canvas.clearMeasurements(),
      "clear-marks": () => this.editor.reset(),
      "slice-up": () => this.canvas.step(this.editor.axis, 1),
      "slice-down": () => this.canvas.step(this.editor.axis, -1),
      "show-beside": () => void this.comparison.toggleBeside(),
      "show-help": () => this.showHelp(),
      "show-next-version": () => void showNextVersion((error) => this.failed(error)),
      "show-monitoring": () => void showMonitoring((error) => this.failed(error)),
    };
    for (const [id, act] of Object.entries(acts)) byId(id).addEventListener("click", act);
    const flip = byId("flip");
    flip.addEventListener("pointerdown", () => this.comparison.flip(true));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) flip.addEventListener(end, () => this.comparison.flip(false));
    this.canvas.onMove = () => {
      this.readout();
      this.comparison.follow();
    };
    setInterval(() => document.hidden || void this.present(), PRESENCE_MS);
    window.addEventListener("pagehide", () => this.editor.session?.close());
    window.addEventListener("beforeunload", (event) => this.editor.session?.autosave.isSaved === false && event.preventDefault());
    window.addEventListener("online", () => this.editor.session?.autosave.retry());
    window.addEventListener("hashchange", () => {
      const id = decodeURIComponent(location.hash.slice(1));
      if (id && id !== this.editor.session?.id) void this.open(id);
    });
  }

  private readout(): void {
    if (this.editor.session) readout(this.canvas, this.editor.session, this.info.labels);
  }

  private undo(): void {
    this.editor.session?.undo();
    this.edited();
  }

  private redo(): void {
    this.editor.session?.redo();
    this.edited();
  }

  private go(places: number): void {
    const id = this.worklist.beside(places);
    if (id) void this.open(id);
  }

  private showHelp(): void {
    if (!isDialogOpen()) void ask("Keys", help(this.keys), []);
  }
}
