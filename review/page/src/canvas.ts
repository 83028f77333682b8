// A scan on a canvas: NiiVue with a label on top, the voxel under a pointer, and marks drawn over the slices.
import { cmapper, DRAG_MODE, MULTIPLANAR_TYPE, Niivue, NVImage, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";
import type { Label } from "./api";
import type { Box } from "./brush";
import { AXIS_OF_PLANE, type Grid, type Point, toRasOrder, voxelCount } from "./geometry";

export type Layout = "planes" | "axial" | "coronal" | "sagittal" | "3d";

export interface Place {
  voxel: Point;
  /** The axis that the slice under the pointer cuts. */
  axis: number;
}

export interface Mark {
  voxel: Point;
  colour: string;
  shape: "plus" | "minus" | "dot";
}

const SLICE_TYPES: Record<Layout, SLICE_TYPE> = {
  planes: SLICE_TYPE.MULTIPLANAR,
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  "3d": SLICE_TYPE.RENDER,
};

class ScanViewer extends Niivue {
  afterScene: () => void = () => undefined;

  override drawScene(): void {
    super.drawScene();
    this.afterScene();
  }

  // The page keeps its own steps of undo; NiiVue's would compress the whole drawing after each stroke.
  override drawAddUndoBitmap(): void {}
}

export class ScanCanvas {
  grid: Grid | null = null;
  bitmap: Uint8Array = new Uint8Array(0);
  /** Called when another slice is shown. */
  onMove: () => void = () => undefined;

  private readonly viewer: ScanViewer;
  private readonly marks: HTMLCanvasElement;
  private drawn: Mark[] = [];
  private frame: { box: [Point, Point]; axis: number } | null = null;
  private cursor: { place: Place; radius: number } | null = null;
  private scheduled = 0;
  private opacity = 0.5;
  private shown = true;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.viewer = new ScanViewer({
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.35, 0.75, 1, 0.7],
      crosshairWidth: 0.3,
      crosshairWidthUnit: "percent",
      fontColor: [0.85, 0.88, 0.92, 1],
      dragAndDropEnabled: false,
      isNearestInterpolation: true,
      isRadiologicalConvention: true,
      isCornerOrientationText: false,
      multiplanarShowRender: SHOW_RENDER.ALWAYS,
      multiplanarLayout: MULTIPLANAR_TYPE.GRID,
      multiplanarPadPixels: 4,
      dragModePrimary: DRAG_MODE.crosshair,
      dragMode: DRAG_MODE.windowing,
      logLevel: "error",
      loadingText: "",
      maxDrawUndoBitmaps: 1,
      fontMinPx: 12,
      measureTextColor: [1, 0.9, 0.3, 1],
      measureLineColor: [1, 0.9, 0.3, 1],
      penValue: 1,
    });
    this.marks = document.createElement("canvas");
    this.marks.className = "marks";
    this.marks.setAttribute("aria-hidden", "true");
    canvas.insertAdjacentElement("afterend", this.marks);
  }

  async attach(): Promise<void> {
    await this.viewer.attachToCanvas(this.canvas, true);
    this.viewer.afterScene = () => this.drawMarks();
    this.viewer.onLocationChange = () => this.onMove();
  }

  /** Shows a scan (NIfTI bytes) and an empty label. */
  async open(bytes: ArrayBuffer, window: { low: number; high: number } | null): Promise<Grid> {
    const image = await NVImage.loadFromUrl({ url: bytes, name: "scan.nii", colormap: "gray" });
    for (const volume of [...this.viewer.volumes]) this.viewer.removeVolume(volume);
    this.viewer.closeDrawing();
    this.viewer.clearAllMeasurements();
    if (window && window.low < window.high) Object.assign(image, { cal_min: window.low, cal_max: window.high });
    this.viewer.addVolume(image);
    this.grid = gridOf(image);
    this.viewer.createEmptyDrawing();
    this.bitmap = this.viewer.drawBitmap!;
    this.setMarks([]);
    this.frame = null;
    this.cursor = null;
    this.redraw();
    return this.grid;
  }

  /** Puts a label, in the order of the file, on the scan. */
  setLabel(numbers: Uint8Array): void {
    const grid = this.grid!;
    if (numbers.length !== voxelCount(grid)) {
      throw new Error(`expected a label of ${voxelCount(grid)} voxels as the scan has, got ${numbers.length}`);
    }
    this.bitmap.set(toRasOrder(grid, numbers));
    this.upload();
  }

  /** Shows other numbers (RAS order) in place of the label, without touching the label; null shows the label. */
  showInstead(bitmap: Uint8Array | null): void {
    this.viewer.drawBitmap = bitmap ?? this.bitmap;
    this.viewer.refreshDrawing(false);
    this.viewer.drawBitmap = this.bitmap;
    this.redraw();
  }

  setColours(labels: Label[]): void {
    const channel = (c: number): number[] => labels.map((label) => label.color[c]!);
    this.viewer.drawLut = cmapper.makeDrawLut({
      R: channel(0),
      G: channel(1),
      B: channel(2),
      A: labels.map((_, number) => (number === 0 ? 0 : 255)),
      I: labels.map((_, number) => number),
      labels: labels.map((label) => label.name),
    });
    if (this.grid) this.viewer.updateGLVolume();
  }

  setOpacity(opacity: number, shown: boolean): void {
    this.opacity = opacity;
    this.shown = shown;
    this.viewer.setDrawOpacity(this.shown ? this.opacity : 0);
  }

  setWindow(low: number, high: number): void {
    const [image] = this.viewer.volumes;
    if (!image) return;
    Object.assign(image, { cal_min: low, cal_max: high });
    this.viewer.updateGLVolume();
  }

  getWindow(): { low: number; high: number } {
    const [image] = this.viewer.volumes;
    return { low: image?.cal_min ?? 0, high: image?.cal_max ?? 1 };
  }

  setLayout(layout: Layout): void {
    this.viewer.setSliceType(SLICE_TYPES[layout]);
  }

  setSmooth(smooth: boolean): void {
    this.viewer.setInterpolation(!smooth);
  }

  setMeasuring(kind: "distance" | "angle" | null): void {
    const mode = kind === "distance" ? DRAG_MODE.measurement : kind === "angle" ? DRAG_MODE.angle : DRAG_MODE.crosshair;
    this.viewer.opts.dragModePrimary = mode;
  }

  clearMeasurements(): void {
    this.viewer.clearAllMeasurements();
    this.redraw();
  }

  /** Millimetres of the lines that were measured. */
  measured(): number[] {
    return this.viewer.document.completedMeasurements.map((line) => line.distance);
  }

  /** Moves by slices along an axis in RAS order. */
  step(axis: number, slices: number): void {
    const move: Point = [0, 0, 0];
    move[axis] = slices;
    this.viewer.moveCrosshairInVox(...move);
    this.onMove();
  }

  /** The voxel where the cross-hair is. */
  position(): Point {
    return Array.from(this.viewer.frac2vox(this.viewer.scene.crosshairPos)) as Point;
  }

  moveTo(voxel: Point): void {
    this.viewer.scene.crosshairPos = this.viewer.vox2frac(voxel);
    this.viewer.updateGLVolume();
    this.onMove();
  }

  /** The scan's value at a voxel, in its own unit; of a colour picture the mean of its channels. */
  valueAt(voxel: Point): number {
    const image = this.viewer.volumes[0]!;
    const grid = this.grid!;
    const index = grid.start + voxel[0] * grid.step[0] + voxel[1] * grid.step[1] + voxel[2] * grid.step[2];
    const values = image.img!;
    if (image.hdr!.datatypeCode === 128) return (values[3 * index]! + values[3 * index + 1]! + values[3 * index + 2]!) / 3;
    const slope = image.hdr!.scl_slope;
    return slope ? values[index]! * slope + image.hdr!.scl_inter : values[index]!;
  }

  /** The voxel under a pointer, or null beside the slices. */
  at(event: { clientX: number; clientY: number }): Place | null {
    const area = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / area.width;
    const [x, y] = [(event.clientX - area.left) * ratio, (event.clientY - area.top) * ratio];
    const tile = this.viewer.tileIndex(x, y);
    const plane = tile < 0 ? undefined : this.viewer.screenSlices[tile]!.axCorSag;
    if (plane === undefined || plane > SLICE_TYPE.SAGITTAL) return null;
    const fraction = this.viewer.screenXY2TextureFrac(x, y, tile, true);
    if (fraction[0]! < 0) return null;
    const voxel = Array.from(this.viewer.frac2vox(fraction)) as Point;
    const axis = AXIS_OF_PLANE[plane as 0 | 1 | 2];
    voxel[axis] = this.position()[axis]!;
    return { voxel, axis };
  }

  /** Where a voxel's centre lies on the page, in the slice that cuts an axis; null where that slice is not shown. */
  onScreen(voxel: Point, axis: number): { x: number; y: number } | null {
    const plane = AXIS_OF_PLANE.indexOf(axis as 0 | 1 | 2) as SLICE_TYPE;
    const spot = this.viewer.frac2canvasPosWithTile(this.viewer.vox2frac(voxel), plane);
    if (!spot) return null;
    const area = this.canvas.getBoundingClientRect();
    const ratio = area.width / this.canvas.width;
    return { x: area.left + spot.pos[0]! * ratio, y: area.top + spot.pos[1]! * ratio };
  }

  /** Copies a box of the label to the graphics card, or all of it. */
  upload(box?: Box): void {
    const { gl } = this.viewer;
    if (!box || this.viewer.opts.is2DSliceShader) {
      this.viewer.drawBitmap = this.bitmap;
      this.viewer.refreshDrawing(false);
    } else if (box.high[0] >= box.low[0]) {
      const [nx, ny] = this.grid!.dims;
      gl.activeTexture(gl.TEXTURE7);
      gl.bindTexture(gl.TEXTURE_3D, this.viewer.drawTexture);
      const window: [number, number][] = [
        [gl.UNPACK_ALIGNMENT, 1],
        [gl.UNPACK_ROW_LENGTH, nx],
        [gl.UNPACK_IMAGE_HEIGHT, ny],
        [gl.UNPACK_SKIP_PIXELS, box.low[0]],
        [gl.UNPACK_SKIP_ROWS, box.low[1]],
        [gl.UNPACK_SKIP_IMAGES, box.low[2]],
      ];
      for (const [name, value] of window) gl.pixelStorei(name, value);
      const size = box.high.map((high, axis) => high - box.low[axis]! + 1) as Point;
      gl.texSubImage3D(gl.TEXTURE_3D, 0, ...box.low, ...size, gl.RED, gl.UNSIGNED_BYTE, this.bitmap);
      for (const [name] of window.slice(1)) gl.pixelStorei(name, 0);
    }
    this.redraw();
  }

  /** While a stroke is drawn the 3D view rests: it costs more than the three planes together. */
  setDrawing(drawing: boolean): void {
    this.viewer.opts.drawingEnabled = drawing;
    this.viewer.drawPenLocation = drawing ? [0, 0, 0] : [NaN, NaN, NaN];
    if (!drawing) this.redraw();
  }

  setMarks(marks: Mark[], frame: { box: [Point, Point]; axis: number } | null = null): void {
    this.drawn = marks;
    this.frame = frame;
    this.redraw();
  }

  setCursor(place: Place | null, radius = 0): void {
    this.cursor = place && radius > 0 ? { place, radius } : null;
    this.drawMarks();
  }

  /** Draws in the browser's next frame, once however often it is asked. */
  redraw(): void {
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame(() => {
      this.scheduled = 0;
      this.viewer.drawScene();
    });
  }

  private drawMarks(): void {
    const { canvas, marks, grid } = this;
    if (marks.width !== canvas.width || marks.height !== canvas.height) Object.assign(marks, { width: canvas.width, height: canvas.height });
    const context = marks.getContext("2d")!;
    context.clearRect(0, 0, marks.width, marks.height);
    if (!grid || (this.drawn.length === 0 && !this.frame && !this.cursor)) return;
    const area = canvas.getBoundingClientRect();
    const ratio = canvas.width / area.width;
    const spot = (voxel: Point, axis: number): [number, number] | null => {
      const place = this.onScreen(voxel, axis);
      return place && [(place.x - area.left) * ratio, (place.y - area.top) * ratio];
    };
    const now = this.position();
    for (const mark of this.drawn) {
      for (const axis of [0, 1, 2]) {
        const place = mark.voxel[axis] === now[axis] ? spot(mark.voxel, axis) : null;
        if (place) drawMark(context, place, mark, ratio);
      }
    }
    if (this.frame) {
      const corners = this.frame.box.map((voxel) => spot(voxel, this.frame!.axis));
      if (corners[0] && corners[1]) {
        const [[x0, y0], [x1, y1]] = corners as [[number, number], [number, number]];
        context.strokeStyle = "#ffe14d";
        context.lineWidth = 2 * ratio;
        context.strokeRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
      }
    }
    if (this.cursor) {
      const { place, radius } = this.cursor;
      const [u] = [0, 1, 2].filter((axis) => axis !== place.axis) as [number];
      const beside: Point = [...place.voxel];
      beside[u] = place.voxel[u]! + (place.voxel[u]! > 0 ? -1 : 1);
      const [centre, next] = [spot(place.voxel, place.axis), spot(beside, place.axis)];
      if (!centre || !next) return;
      const pixels = (Math.hypot(next[0] - centre[0], next[1] - centre[1]) / grid.spacing[u]!) * radius;
      context.strokeStyle = "#ffffff";
      context.lineWidth = ratio;
      context.beginPath();
      context.arc(...centre, Math.max(pixels, 3 * ratio), 0, 2 * Math.PI);
      context.stroke();
    }
  }
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

function gridOf(image: NVImage): Grid {
  const file = image.hdr!.dims;
  const size = image.hdr!.pixDims;
  const order = image.permRAS!.map(Math.abs);
  return {
    shape: [file[1]!, file[2]!, file[3]!],
    dims: image.dimsRAS!.slice(1, 4) as Point,
    start: image.img2RASstart!.reduce((sum, offset) => sum + offset, 0),
    step: image.img2RASstep!.slice() as Point,
    spacing: order.map((axis) => Math.abs(size[axis]!) || 1) as Point,
  };
}
