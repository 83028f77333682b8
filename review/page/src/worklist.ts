// The list of cases at the left: sorted by need, with state, predicted quality, flags, age and who has it open.
import { type CaseRow, user, type Worklist, WorklistCall } from "./api";
import { byId, make } from "./dom";

const POLL_MS = 5000;

export function age(hours: number): string {
  if (hours < 1) return `${Math.max(0, Math.round(hours * 60))} min`;
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
}

export class WorklistView {
  rows: CaseRow[] = [];
  private readonly call = new WorklistCall();
  private readonly list = byId<HTMLUListElement>("cases");
  private readonly sort = byId<HTMLSelectElement>("sort");
  private readonly state = byId<HTMLSelectElement>("state");
  private chosen: string | null = null;
  private cursor = 0;

  constructor(
    private readonly open: (id: string) => void,
    private readonly failed: (error: unknown) => void,
  ) {
    for (const select of [this.sort, this.state]) select.addEventListener("change", () => void this.refresh());
    this.list.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("focus", () => this.mark());
    byId("toggle-worklist").addEventListener("click", () => {
      const closed = byId("worklist").classList.toggle("closed");
      byId("toggle-worklist").setAttribute("aria-expanded", String(!closed));
    });
    setInterval(() => document.hidden || void this.refresh(), POLL_MS);
  }

  async refresh(): Promise<void> {
    try {
      const worklist = await this.call.get(this.sort.value, this.state.value);
      if (worklist) this.show(worklist);
    } catch (error) {
      this.failed(error);
    }
  }

  choose(id: string): void {
    this.chosen = id;
    this.cursor = Math.max(0, this.rows.findIndex((row) => row.id === id));
    this.draw();
  }

  /** The case a number of places after the one that is open. */
  beside(places: number): string | null {
    const at = this.rows.findIndex((row) => row.id === this.chosen);
    return this.rows[at + places]?.id ?? null;
  }

  private show(worklist: Worklist): void {
    this.rows = worklist.cases;
    const { segmenting } = worklist;
    const parts = Object.entries(worklist.counts).map(([state, count]) => `${count} ${state}`);
    const running = segmenting && segmenting.done < segmenting.total ? `segmenting ${segmenting.done} of ${segmenting.total}; ` : "";
    byId("progress").textContent = running + parts.join(", ");
    this.draw();
  }

  private draw(): void {
    this.list.replaceChildren(...this.rows.map((row, n) => this.row(row, n)));
    this.mark();
  }

  private row(row: CaseRow, n: number): HTMLElement {
    const chosen = row.id === this.chosen;
    const others = row.open_by.filter((name) => name !== user());
    const words = [
      row.quality ? `Dice about ${row.quality.dice.toFixed(2)} (${row.quality.low.toFixed(2)}–${row.quality.high.toFixed(2)})` : "",
      age(row.age_hours),
      row.modality ?? "",
      row.patient ? `patient ${row.patient}` : "",
    ].filter(Boolean);
    const item = make(
      "li",
      { role: "option", id: `case-${n}`, "aria-selected": String(chosen), "data-id": row.id },
      make("span", { class: "top" }, make("span", { class: "name" }, row.id), make("span", { class: "state", "data-state": row.state }, row.state)),
      make("small", {}, words.join(" · ")),
      row.flags.length > 0 ? make("small", { class: "flag" }, `⚑ ${row.flags.join("; ")}`) : null,
      row.error ? make("small", { class: "flag" }, row.error) : null,
      others.length > 0 ? make("small", {}, `open: ${others.join(", ")}`) : null,
      row.draft ? make("small", {}, `draft of ${row.draft.user}`) : null,
    );
    item.addEventListener("click", () => this.open(row.id));
    return item;
  }

  private mark(): void {
    this.cursor = Math.min(Math.max(0, this.cursor), Math.max(0, this.rows.length - 1));
    Array.from(this.list.children).forEach((item, n) => item.classList.toggle("at", n === this.cursor));
    this.list.setAttribute("aria-activedescendant", this.rows.length > 0 ? `case-${this.cursor}` : "");
  }

  private key(event: KeyboardEvent): void {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      this.cursor += steps[event.key]!;
      this.mark();
      this.list.children[this.cursor]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" || event.key === " ") {
      const row = this.rows[this.cursor];
      if (row) this.open(row.id);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
