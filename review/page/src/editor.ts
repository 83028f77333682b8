// Pointer and tools: what a press, a drag and a release do on the open case. Mouse, pen and finger are the same here.
import * as api from "./api";
import { type Box, emptyBox, fillHoles, fillOutline, include, line, stamp, type Stroke } from "./brush";
import type { Place, ScanCanvas } from "./canvas";
import { fileAxis, type Point, toFile } from "./geometry";
import type { Mark } from "./marks";
import type { Session } from "./session";
import { type ToolSettings, toolOf } from "./tools";

const FOREGROUND = "#5ce65c";
const BACKGROUND = "#ff6b5c";

interface Drag {
  pointer: number;
  axis: number;
  /** What the stroke has touched so far. */
  touched: Box;
  points: Point[];
  background: boolean;
}

export interface EditorListener {
  busy(text: string | null): void;
  failed(error: unknown): void;
  settled(): void;
}

export class Editor {
  session: Session | null = null;
  /** The axis of the slice that was pointed at last, for keys that move through slices. */
  axis = 2;
  /** Milliseconds of the last answers of the server's tools, newest last. */
  readonly answers: number[] = [];

  private drag: Drag | null = null;
  private foreground: Point[] = [];
  private background: Point[] = [];
  private box: { box: [Point, Point]; axis: number } | null = null;
  private busy = false;
  private again = false;

  constructor(
    private readonly canvas: ScanCanvas,
    private readonly area: HTMLElement,
    readonly settings: ToolSettings,
    private readonly listener: EditorListener,
  ) {
    // Before NiiVue's own listeners, which stand on the canvas inside.
    area.addEventListener("pointerdown", (event) => this.down(event), true);
    area.addEventListener("pointermove", (event) => this.move(event), true);
    area.addEventListener("pointerup", (event) => this.up(event), true);
    area.addEventListener("pointercancel", (event) => this.up(event), true);
    area.addEventListener("pointerleave", () => canvas.setCursor(null));
    for (const kind of ["mousedown", "mousemove", "mouseup", "touchstart", "touchmove", "touchend", "dblclick"] as const) {
      area.addEventListener(kind, (event) => this.isOurs(event) && event.stopPropagation(), { capture: true });
    }
  }

  /** A new tool or label: marks of the former one are dropped. */
  reset(): void {
    this.foreground = [];
    this.background = [];
    this.box = null;
    this.drag = null;
    this.again = false;
    this.canvas.setCursor(null);
    this.showMarks();
    const { tool } = this.settings;
    this.canvas.setMeasuring(tool === "distance" || tool === "angle" ? tool : null);
    this.area.dataset.tool = tool;
  }

  /** Keeps the part of the label that hangs together most, on the server. */
  async serverStep(tool: "largest-component" | "interpolate"): Promise<void> {
    const { session } = this;
    if (!session || this.busy) return;
    await this.ask(session, tool, { foreground: [], background: [], box: null, axis: fileAxis(session.grid, this.axis) });
  }

  /** Fills the holes of the label in the slice that was pointed at last. */
  fillHoles(): void {
    const { session } = this;
    if (!session) return;
    const touched = emptyBox();
    fillHoles({ ...this.stroke(this.axis), number: this.settings.number }, this.canvas.position()[this.axis]!, touched);
    this.canvas.upload(touched);
    session.commit(touched);
  }

  private get tool() {
    return toolOf(this.settings.tool);
  }

  private isOurs(event: Event): boolean {
    if (!this.session || !this.tool.edits) return false;
    return this.drag !== null || !(event instanceof MouseEvent) || event.button === 0;
  }

  private down(event: PointerEvent): void {
    const place = this.canvas.at(event);
    if (place) this.axis = place.axis;
    if (!this.isOurs(event) || this.drag || !place) return;
    if (this.busy && !this.tool.smart) return; // the answer that is on its way would wipe the stroke out
    this.area.setPointerCapture(event.pointerId);
    const background = this.settings.background || event.shiftKey;
    this.drag = { pointer: event.pointerId, axis: place.axis, touched: emptyBox(), points: [place.voxel], background };
    this.canvas.setDrawing(place.axis);
    if (this.tool.brush) this.paint([place.voxel]);
    else this.trace(place);
  }

  private move(event: PointerEvent): void {
    const place = this.canvas.at(event);
    if (this.tool.brush) this.canvas.setCursor(place, this.settings.size / 2);
    if (this.drag?.pointer !== event.pointerId) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const step of moves.length > 0 ? moves : [event]) {
      const at = this.canvas.at(step);
      if (at && at.axis === this.drag.axis) this.extend(at);
    }
  }

  private extend(place: Place): void {
    const { points } = this.drag!;
    const last = points[points.length - 1]!;
    if (place.voxel.every((c, axis) => c === last[axis])) return;
    const between = line(last, place.voxel).slice(1);
    points.push(...between);
    if (this.tool.brush) this.paint(between);
    else this.trace(place);
  }

  private up(event: PointerEvent): void {
    const { drag, session } = this;
    if (!drag || !session || drag.pointer !== event.pointerId) return;
    this.drag = null;
    if (this.area.hasPointerCapture(event.pointerId)) this.area.releasePointerCapture(event.pointerId);
    const { tool } = this.settings;
    if (tool === "outline") {
      fillOutline(this.stroke(drag.axis), drag.points, drag.touched);
      this.canvas.upload(drag.touched);
    }
    this.canvas.setDrawing(null);
    if (tool === "clicks" || tool === "scribbles") {
      const points = tool === "clicks" ? drag.points.slice(-1) : drag.points;
      (drag.background ? this.background : this.foreground).push(...points);
      this.showMarks();
      // Marks beside the structure alone take away from what is there.
      if (this.foreground.length > 0 || session.detail.version !== null || session.isChanged) void this.smart();
    } else if (tool === "box") {
      this.box = { box: [drag.points[0]!, drag.points[drag.points.length - 1]!], axis: drag.axis };
      void this.smart();
    } else {
      this.showMarks();
      session.commit(drag.touched);
    }
    this.listener.settled();
  }

  private stroke(axis: number): Stroke {
    const { settings, canvas } = this;
    const { tool, low, high } = settings;
    return {
      grid: this.session!.grid,
      bitmap: canvas.bitmap,
      number: tool === "eraser" ? 0 : settings.number,
      radius: settings.size / 2,
      axis,
      ball: settings.ball,
      allowed: tool === "threshold" ? (voxel) => low <= canvas.valueAt(voxel) && canvas.valueAt(voxel) <= high : undefined,
    };
  }

  private paint(points: Point[]): void {
    const touched: Box = emptyBox();
    const stroke = this.stroke(this.drag!.axis);
    for (const point of points) stamp(stroke, point, touched);
    if (touched.high[0] < 0) return;
    include(this.drag!.touched, touched.low);
    include(this.drag!.touched, touched.high);
    this.canvas.upload(touched);
  }

  /** Shows an outline, a scribble or a box while it is drawn. */
  private trace(place: Place): void {
    const { drag } = this;
    if (this.settings.tool === "box") {
      this.box = { box: [drag!.points[0]!, place.voxel], axis: drag!.axis };
    }
    this.showMarks();
  }

  private showMarks(): void {
    const { drag, settings } = this;
    const marks: Mark[] = [];
    const add = (points: Point[], colour: string, shape: Mark["shape"]): void => {
      for (const voxel of points) marks.push({ voxel, colour, shape });
    };
    const dots = settings.tool === "scribbles";
    add(this.foreground, FOREGROUND, dots ? "dot" : "plus");
    add(this.background, BACKGROUND, dots ? "dot" : "minus");
    if (drag && (settings.tool === "outline" || dots)) add(drag.points, drag.background ? BACKGROUND : FOREGROUND, "dot");
    this.canvas.setMarks(marks, this.box);
  }

  private async smart(): Promise<void> {
    const { session, settings, box } = this;
    if (!session) return;
    if (this.busy) {
      this.again = true; // the answer to the newest marks is the one that counts
      return;
    }
    const method = settings.tool === "scribbles" ? settings.many : settings.few;
    const inFile = (points: Point[]): Point[] => points.map((point) => toFile(session.grid, point));
    const corners = box && this.boxInFile(box.box, box.axis);
    await this.ask(session, method, { foreground: inFile(this.foreground), background: inFile(this.background), box: corners });
    if (this.again && this.session === session) {
      this.again = false;
      await this.smart();
    }
  }

  /** A box drawn in a slice, made as deep as it is wide (never deeper than the scan), with ordered corners. */
  private boxInFile([a, b]: [Point, Point], axis: number): [Point, Point] {
    const grid = this.session!.grid;
    const mm = [0, 1, 2].filter((other) => other !== axis).map((other) => (Math.abs(a[other]! - b[other]!) + 1) * grid.spacing[other]!);
    const depth = Math.floor(Math.min(...mm) / 2 / grid.spacing[axis]!);
    const low = a.map((c, i) => (i === axis ? Math.max(0, c - depth) : Math.min(c, b[i]!))) as Point;
    const high = a.map((c, i) => (i === axis ? Math.min(grid.dims[axis]! - 1, c + depth) : Math.max(c, b[i]!))) as Point;
    const [p, q] = [toFile(grid, low), toFile(grid, high)];
    return [p.map((c, i) => Math.min(c, q[i]!)) as Point, p.map((c, i) => Math.max(c, q[i]!)) as Point];
  }

  private async ask(session: Session, tool: string, marks: Omit<api.Marks, "label" | "base">): Promise<void> {
    const { number } = this.settings;
    this.busy = true;
    this.listener.busy("Computing…");
    try {
      const asked = performance.now();
      const base = await session.base();
      const answer = await api.smartTool(session.id, tool, { label: session.table[number]!, ...marks, base });
      if (this.session !== session) return;
      session.paste(answer, number);
      this.answers.push(performance.now() - asked);
    } catch (error) {
      this.listener.failed(error);
    } finally {
      this.busy = false;
      this.listener.busy(null);
    }
  }
}
