// What the page tells of the case that is open: its facts, what can be done with it, the voxel under the cross-hair.
import type { CaseDetail, Label } from "./api";
import type { ScanCanvas } from "./canvas";
import { versionText } from "./compare";
import { byId, make } from "./dom";
import type { Session } from "./session";

/** Its title, predicted quality, flags and versions. */
export function describe(detail: CaseDetail): void {
  const size = `${detail.shape.join(" × ")} voxels of ${detail.spacing.map((mm) => mm.toFixed(2)).join(" × ")} mm`;
  byId("case-title").textContent = [detail.id, detail.state, detail.modality, size].filter(Boolean).join(" · ");
  const { quality } = detail;
  byId("quality").textContent = quality ? `Predicted Dice ${quality.dice.toFixed(2)} (${quality.low.toFixed(2)} to ${quality.high.toFixed(2)})` : "";
  byId("flags").replaceChildren(...detail.flags.map((flag) => make("li", {}, `⚑ ${flag}`)));
  byId("versions").replaceChildren(...[...detail.versions].reverse().map((version) => make("li", {}, [versionText(version), version.created.slice(0, 16).replace("T", " ")].join(", "))));
}

/** Only the buttons that have something to do; without a case, or where nothing may be written, none. */
export function showChoices(session: Session | null, readOnly: boolean): void {
  const decided = ["accepted", "corrected", "rejected"].includes(session?.detail.state ?? "");
  byId("reopen").hidden = !decided || readOnly;
  byId("discard").hidden = !session?.isChanged;
  byId<HTMLButtonElement>("accept").disabled = !session?.detail.version || readOnly;
  byId<HTMLButtonElement>("reject").disabled = !session?.detail.version || readOnly;
  byId<HTMLButtonElement>("correct").disabled = !session?.isChanged || readOnly;
  byId<HTMLButtonElement>("undo").disabled = !session?.history.canUndo;
  byId<HTMLButtonElement>("redo").disabled = !session?.history.canRedo;
}

/** The voxel under the cross-hair, its value and its label. */
export function readout(canvas: ScanCanvas, session: Session, labels: Label[]): void {
  const voxel = canvas.position();
  const [columns, rows] = session.grid.dims;
  const number = canvas.bitmap[voxel[0] + columns * (voxel[1] + rows * voxel[2])] ?? 0;
  const label = number > 0 ? ` · ${labels[number]?.name ?? number}` : "";
  byId("readout").textContent = `voxel ${voxel.join(", ")} · value ${Number(canvas.valueAt(voxel).toPrecision(5))}${label}`;
}
