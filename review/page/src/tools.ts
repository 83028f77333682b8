// The tools by their names and keys: the buttons, the keys and the help are made from this table.

export type ToolId = "look" | "brush" | "eraser" | "outline" | "threshold" | "clicks" | "scribbles" | "box" | "distance" | "angle";

export interface Tool {
  id: ToolId;
  title: string;
  key: string;
  help: string;
  /** Draws with a round brush. */
  brush?: boolean;
  /** Asks the server; "few" or "many" points as its methods take. */
  smart?: "few" | "many";
  edits: boolean;
}

export const TOOLS: Tool[] = [
  { id: "look", title: "Look", key: "v", help: "Move the cross-hair; right button: window", edits: false },
  { id: "brush", title: "Brush", key: "b", help: "Paint the label", brush: true, edits: true },
  { id: "eraser", title: "Eraser", key: "e", help: "Erase", brush: true, edits: true },
  { id: "outline", title: "Fill outline", key: "f", help: "Draw a closed outline; its inside is filled", edits: true },
  { id: "threshold", title: "Threshold brush", key: "t", help: "Paint only voxels within the intensity range", brush: true, edits: true },
  { id: "clicks", title: "Clicks", key: "c", help: "Click on the structure; Shift or Background: click beside it", smart: "few", edits: true },
  { id: "scribbles", title: "Scribbles", key: "s", help: "Scribble on the structure; Shift or Background: beside it", smart: "many", edits: true },
  { id: "box", title: "Box", key: "x", help: "Draw a box around the structure", smart: "few", edits: true },
  { id: "distance", title: "Distance", key: "m", help: "Drag a line: millimetres", edits: false },
  { id: "angle", title: "Angle", key: "n", help: "Drag two lines: degrees", edits: false },
];

export function toolOf(id: ToolId): Tool {
  return TOOLS.find((tool) => tool.id === id)!;
}

export interface ToolSettings {
  tool: ToolId;
  /** Number of the label that is drawn. */
  number: number;
  /** Diameter of the brush, millimetres. */
  size: number;
  ball: boolean;
  /** The range of the threshold brush. */
  low: number;
  high: number;
  /** Clicks and scribbles mark the background. */
  background: boolean;
  /** Server's method for clicks and boxes, and for scribbles. */
  few: string;
  many: string;
}
