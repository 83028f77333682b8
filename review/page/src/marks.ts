// What is drawn over the slices and is no part of the label: marks of clicks and scribbles, a box, the brush's circle.
import type { Grid, Point } from "./geometry";

export interface Mark {
  voxel: Point;
  colour: string;
  shape: "plus" | "minus" | "dot";
}

/** A box that was drawn in the slices that cut an axis. */
export interface Frame {
  box: [Point, Point];
  axis: number;
}

/** Where a voxel lies on the page, in the slice that cuts an axis. */
type Spot = (voxel: Point, axis: number) => { x: number; y: number } | null;

const FRAME = "#ffe14d";

export class MarksLayer {
  marks: Mark[] = [];
  frame: Frame | null = null;
  /** The brush: where it is, the axis that its slice cuts, millimetres. */
  cursor: { voxel: Point; axis: number; radius: number } | null = null;
  private readonly layer = document.createElement("canvas");

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.layer.className = "marks";
    this.layer.setAttribute("aria-hidden", "true");
    canvas.insertAdjacentElement("afterend", this.layer);
  }

  draw(grid: Grid, now: Point, onPage: Spot): void {
    const { canvas, layer } = this;
    if (layer.width !== canvas.width || layer.height !== canvas.height) Object.assign(layer, { width: canvas.width, height: canvas.height });
    // Drawn by the processor: a graphics card draws single marks no faster, and some leave a mark that was wiped off on the screen.
    const context = layer.getContext("2d", { willReadFrequently: true })!;
    context.clearRect(0, 0, layer.width, layer.height);
    if (this.marks.length === 0 && !this.frame && !this.cursor) return;
    const area = canvas.getBoundingClientRect();
    const ratio = canvas.width / area.width;
    const spot = (voxel: Point, axis: number): [number, number] | null => {
      const place = onPage(voxel, axis);
      return place && [(place.x - area.left) * ratio, (place.y - area.top) * ratio];
    };
    for (const mark of this.marks) {
      for (const axis of [0, 1, 2]) {
        const place = mark.voxel[axis] === now[axis] ? spot(mark.voxel, axis) : null;
        if (place) drawMark(context, place, mark, ratio);
      }
    }
    if (this.frame) drawFrame(context, this.frame, spot, ratio);
    if (this.cursor) this.drawCursor(context, grid, spot, ratio);
  }

  private drawCursor(context: CanvasRenderingContext2D, grid: Grid, spot: (voxel: Point, axis: number) => [number, number] | null, ratio: number): void {
    const { voxel, axis, radius } = this.cursor!;
    const across = axis === 0 ? 1 : 0;
    const beside: Point = [...voxel];
    beside[across] = voxel[across]! + (voxel[across]! > 0 ? -1 : 1);
    const [centre, next] = [spot(voxel, axis), spot(beside, axis)];
    if (!centre || !next) return;
    const pixels = (Math.hypot(next[0] - centre[0], next[1] - centre[1]) / grid.spacing[across]!) * radius;
    context.strokeStyle = "#ffffff";
    context.lineWidth = ratio;
    context.beginPath();
    context.arc(...centre, Math.max(pixels, 3 * ratio), 0, 2 * Math.PI);
    context.stroke();
  }
}

function drawFrame(context: CanvasRenderingContext2D, frame: Frame, spot: (voxel: Point, axis: number) => [number, number] | null, ratio: number): void {
  const [one, two] = frame.box.map((voxel) => spot(voxel, frame.axis));
  if (!one || !two) return;
  context.strokeStyle = FRAME;
  context.lineWidth = 2 * ratio;
  context.strokeRect(Math.min(one[0], two[0]), Math.min(one[1], two[1]), Math.abs(two[0] - one[0]), Math.abs(two[1] - one[1]));
}

function drawMark(context: CanvasRenderingContext2D, [x, y]: [number, number], mark: Mark, ratio: number): void {
  const size = (mark.shape === "dot" ? 2 : 6) * ratio;
  context.fillStyle = mark.colour;
  context.strokeStyle = "#000000";
  context.lineWidth = ratio;
  context.beginPath();
  context.arc(x, y, size, 0, 2 * Math.PI);
  context.fill();
  if (mark.shape === "dot") return;
  context.stroke();
  context.lineWidth = 2 * ratio;
  context.beginPath();
  context.moveTo(x - size / 2, y);
  context.lineTo(x + size / 2, y);
  if (mark.shape === "plus") {
    context.moveTo(x, y - size / 2);
    context.lineTo(x, y + size / 2);
  }
  context.stroke();
}
