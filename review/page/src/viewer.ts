// NiiVue with the page's options, drawing once a frame.
import { DRAG_MODE, MULTIPLANAR_TYPE, Niivue, type NVConfigOptions, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";

export const OPTIONS: Partial<NVConfigOptions> = {
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
  multiplanarLayout: MULTIPLANAR_TYPE.AUTO,
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
};

/** WebGL by the processor: the 3D view of a large scan takes seconds there. */
const BY_PROCESSOR = /swiftshader|llvmpipe|softpipe|basic render/i;
const REST_MS = 400;

export class ScanViewer extends Niivue {
  afterScene: () => void = () => undefined;
  /** Draw once a frame, however often NiiVue asks for it. */
  isLazy = false;
  /** While a stroke is drawn the 3D view rests. */
  isStroking = false;
  private scheduled = 0;
  private isSlow: boolean | null = null;
  private isResting = false;
  private timer = 0;

  override drawScene(): void {
    if (!this.isLazy) super.drawScene();
    else if (!this.scheduled) this.scheduled = requestAnimationFrame(() => this.drawNow());
  }

  /** Draws what was asked for since the last frame. */
  drawNow(): void {
    if (!this.scheduled) return;
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    super.drawScene();
    this.afterScene();
  }

  // Beside the three planes, the 3D view waits for the end of a stroke, and without a graphics card for a pause.
  override draw3D(...args: Parameters<Niivue["draw3D"]>): string | undefined {
    const alone = this.opts.sliceType === SLICE_TYPE.RENDER;
    if (alone || (!this.isStroking && (this.isResting || !this.drawsSlowly()))) return super.draw3D(...args);
    const leftTopWidthHeight = [...(args[0] ?? [])];
    this.screenSlices.push({ leftTopWidthHeight, axCorSag: SLICE_TYPE.RENDER, sliceFrac: 0, AxyzMxy: [], leftTopMM: [], fovMM: [1, 0] });
    if (!this.isStroking) this.drawAfterRest();
    return undefined;
  }

  // The page keeps its own steps of undo; NiiVue's would compress the whole drawing after each stroke.
  override drawAddUndoBitmap(): void {}

  private drawsSlowly(): boolean {
    if (this.isSlow === null) {
      const names = this.gl.getExtension("WEBGL_debug_renderer_info");
      this.isSlow = BY_PROCESSOR.test(String(this.gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : this.gl.RENDERER)));
    }
    return this.isSlow;
  }

  private drawAfterRest(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.isResting = true;
      super.drawScene();
      this.isResting = false;
      this.afterScene();
    }, REST_MS);
  }
}
