// What the keys of the page do.
import type { Info } from "./api";
import type { ScanCanvas } from "./canvas";
import type { Comparison } from "./compare";
import type { Decisions } from "./decisions";
import type { Editor } from "./editor";
import type { Key } from "./keys";
import type { Panel } from "./panel";
import { TOOLS } from "./tools";

export interface Parts {
  info: Info;
  canvas: ScanCanvas;
  editor: Editor;
  panel: Panel;
  comparison: Comparison;
  decisions: Decisions;
  undo: () => void;
  redo: () => void;
  /** Opens the case a number of places further in the worklist. */
  go: (places: number) => void;
  showHelp: () => void;
}

export function keyTable({ info, canvas, editor, panel, comparison, decisions, undo, redo, go, showHelp }: Parts): Key[] {
  const step = (slices: number): void => canvas.step(editor.axis, slices);
  return [
    ...TOOLS.map((tool) => ({ press: [tool.key], help: `${tool.title}: ${tool.help.toLowerCase()}`, act: () => panel.choose(tool.id) })),
    { press: ["q"], help: "Clicks and scribbles mark the background, or the structure again", act: () => panel.toggleBackground() },
    ...info.labels.slice(1, 10).map((label, n) => ({ press: [String(n + 1)], help: `Label ${label.name}`, act: () => panel.chooseLabel(n + 1) })),
    { press: ["["], help: "Smaller brush", act: () => panel.resize(1 / 1.25) },
    { press: ["]"], help: "Larger brush", act: () => panel.resize(1.25) },
    { press: ["Ctrl+z"], help: "Undo", act: () => undo() },
    { press: ["Ctrl+y", "Ctrl+Shift+z"], help: "Redo", act: () => redo() },
    { press: ["l"], help: "Keep the largest component of the label", act: () => void editor.serverStep("largest-component") },
    { press: ["i"], help: "Interpolate between the drawn slices of the plane", act: () => void editor.serverStep("interpolate") },
    { press: ["h"], help: "Fill the holes of the label in this slice", act: () => editor.fillHoles() },
    { press: ["Escape"], help: "Clear the marks of clicks, scribbles and box", act: () => editor.reset() },
    { press: ["ArrowUp", "PageUp"], help: "Next slice of the plane that was pointed at last", act: () => step(1) },
    { press: ["ArrowDown", "PageDown"], help: "Slice before", act: () => step(-1) },
    { press: ["w"], help: "Next window preset", act: () => panel.nextWindow() },
    { press: ["p"], help: "Next layout: three planes and 3D, axial, coronal, sagittal, 3D", act: () => panel.nextLayout() },
    { press: ["o"], help: "Label shown or hidden", act: () => panel.toggleOverlay() },
    { press: ["-"], help: "Label fainter", act: () => panel.changeOpacity(-10) },
    { press: ["=", "+"], help: "Label stronger", act: () => panel.changeOpacity(10) },
    { press: ["g"], help: "Hold: the compared version in place of the label", act: () => comparison.flip(true), release: () => comparison.flip(false) },
    { press: ["d"], help: "Compared version or study before beside", act: () => void comparison.toggleBeside() },
    { press: ["a"], help: "Accept", act: () => void decisions.accept() },
    { press: ["r"], help: "Reject, with a reason", act: () => void decisions.reject() },
    { press: ["Ctrl+Enter"], help: "Send the correction, with a reason", act: () => void decisions.correct() },
    { press: ["."], help: "Next case of the worklist", act: () => go(1) },
    { press: [","], help: "Case before", act: () => go(-1) },
    { press: ["?"], help: "This help", act: () => showHelp() },
  ];
}
