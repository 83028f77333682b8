// A scan on a canvas: NiiVue with a label on top, the voxel under a pointer, and marks drawn over the slices.
import { cmapper, DRAG_MODE, SLICE_TYPE } from "@niivue/niivue";
import type { Label } from "./api";
import type { Box } from "./brush";
import { type Frame, type Mark, MarksLayer } from "./marks";
import { AXIS_OF_PLANE, type Grid, type Point, toRasOrder, voxelCount } from "./geometry";
import { gridOf, type Range, readScan } from "./scan_image";
import { OPTIONS, ScanViewer } from "./viewer";

export type Layout = "planes" | "axial" | "coronal" | "sagittal" | "3d";

export interface Place {
  voxel: Point;
  /** The axis that the slice under the pointer cuts. */
  axis: number;
}

const SLICE_TYPES: Record<Layout, SLICE_TYPE> = {
  planes: SLICE_TYPE.MULTIPLANAR,
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  "3d": SLICE_TYPE.RENDER,
};

export class ScanCanvas {
  grid: Grid | null = null;
  bitmap: Uint8Array = new Uint8Array(0);
  /** Called when another slice is shown. */
  onMove: () => void = () => undefined;

  private readonly viewer: ScanViewer;
  private readonly layer: MarksLayer;
  private opacity = 0.5;
  private shown = true;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.viewer = new ScanViewer(OPTIONS);
    this.layer = new MarksLayer(canvas);
  }

  async attach(): Promise<void> {
    await this.viewer.attach(this.canvas);
    this.viewer.afterScene = () => this.drawMarks();
    this.viewer.onLocationChange = () => this.onMove();
  }

  /** Shows a scan (NIfTI bytes, whose header takes up the window) and an empty label. */
  async open(bytes: ArrayBuffer, window: Range | null): Promise<Grid> {
    const image = await readScan(bytes, window);
    for (const volume of [...this.viewer.volumes]) this.viewer.removeVolume(volume);
    this.viewer.closeDrawing();
    this.viewer.clearAllMeasurements();
    this.viewer.addVolume(image);
    this.grid = gridOf(image);
    this.startDrawing(this.grid);
    this.layer.cursor = null;
    this.setMarks([]);
    this.viewer.drawScene();
    return this.grid;
  }

  private startDrawing(grid: Grid): void {
    const { viewer } = this;
    if (viewer.opts.is2DSliceShader) {
      viewer.createEmptyDrawing();
    } else {
      viewer.drawBitmap = new Uint8Array(voxelCount(grid));
      viewer.drawTexture = viewer.r8Tex(viewer.drawTexture, viewer.gl.TEXTURE7, [0, ...grid.dims]); // new textures hold zeros
    }
    this.bitmap = viewer.drawBitmap!;
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
    this.copy(bitmap ?? this.bitmap, wholeBox(this.grid!));
    this.viewer.drawScene();
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

  /** Shows another canvas's label as strongly as this one's. */
  matchOpacity(other: ScanCanvas): void {
    other.setOpacity(this.opacity, this.shown);
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
    this.viewer.drawScene();
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
    if (this.viewer.opts.is2DSliceShader) this.viewer.updateGLVolume(); // which holds the shown slice alone
    else this.viewer.drawScene();
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
    if (this.viewer.strokePlane === null) this.viewer.drawNow(); // where the slices lie is known once they are drawn
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
    this.viewer.drawNow();
    return this.spot(voxel, axis);
  }

  private spot(voxel: Point, axis: number): { x: number; y: number } | null {
    const plane = AXIS_OF_PLANE.indexOf(axis as 0 | 1 | 2) as SLICE_TYPE;
    const spot = this.viewer.frac2canvasPosWithTile(this.viewer.vox2frac(voxel), plane);
    if (!spot) return null;
    const area = this.canvas.getBoundingClientRect();
    const ratio = area.width / this.canvas.width;
    return { x: area.left + spot.pos[0]! * ratio, y: area.top + spot.pos[1]! * ratio };
  }

  /** Copies a box of the label to the graphics card, or all of it. */
  upload(box = wholeBox(this.grid!)): void {
    if (box.high[0] >= box.low[0]) this.copy(this.bitmap, box);
    this.viewer.drawScene();
  }

  private copy(bitmap: Uint8Array, box: Box): void {
    const { gl } = this.viewer;
    if (this.viewer.opts.is2DSliceShader) {
      this.viewer.drawBitmap = bitmap;
      this.viewer.refreshDrawing(false);
      this.viewer.drawBitmap = this.bitmap;
      return;
    }
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
    gl.texSubImage3D(gl.TEXTURE_3D, 0, ...box.low, ...size, gl.RED, gl.UNSIGNED_BYTE, bitmap);
    for (const [name] of window.slice(1)) gl.pixelStorei(name, 0);
  }

  /** Whether a stroke is being drawn, and in the slice that cuts which axis. */
  setDrawing(axis: number | null): void {
    this.viewer.strokePlane = axis === null ? null : (AXIS_OF_PLANE.indexOf(axis as 0 | 1 | 2) as SLICE_TYPE);
    this.viewer.drawScene();
  }

  setMarks(marks: Mark[], frame: Frame | null = null): void {
    Object.assign(this.layer, { marks, frame });
    this.viewer.drawScene();
  }

  setCursor(place: Place | null, radius = 0): void {
    this.layer.cursor = place && radius > 0 ? { ...place, radius } : null;
    this.drawMarks();
  }

  private drawMarks(): void {
    if (this.grid) this.layer.draw(this.grid, this.position(), (voxel, axis) => this.spot(voxel, axis));
  }
}

function wholeBox(grid: Grid): Box {
  return { low: [0, 0, 0], high: grid.dims.map((size) => size - 1) as Point };
}
