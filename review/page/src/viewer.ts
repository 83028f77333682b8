// NiiVue with the page's options, drawing once a frame and no more than what changed.
import { DRAG_MODE, MULTIPLANAR_TYPE, Niivue, type NVConfigOptions, type NVImage, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";
import { greyTexture, isGrey } from "./grey";
import { compileLate } from "./programs";

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

/** Whether there is no graphics card, as far as the browser tells. */
function drawsByProcessor(): boolean {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const gl = canvas.getContext("webgl2");
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl?.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return BY_PROCESSOR.test(name);
}

export class ScanViewer extends Niivue {
  afterScene: () => void = () => undefined;
  /** Draw once a frame, however often NiiVue asks for it. */
  isLazy = false;
  /** The plane that a stroke is drawn in: meanwhile the other planes and the 3D view stay as they are. */
  strokePlane: SLICE_TYPE | null = null;
  // Surfaces are never shown, and their dozen shaders take a while to compile.
  override meshShaders: Niivue["meshShaders"] = [];
  private colouring: NVImage | null = null;
  private former: Niivue["screenSlices"] = [];
  private scheduled = 0;
  private isSlow = false;
  private isResting = false;
  private frame = 0;
  private timer = 0;

  async attach(canvas: HTMLCanvasElement): Promise<void> {
    this.isSlow = drawsByProcessor();
    // NiiVue takes the context that is there: one that keeps its picture between frames, and has smooth edges where a graphics
    // card draws them.
    const gl = canvas.getContext("webgl2", { antialias: !this.isSlow, preserveDrawingBuffer: true });
    if (gl) compileLate(gl);
    await this.attachToCanvas(canvas);
    this.isLazy = true;
  }

  /** Whether NiiVue shall leave the colouring of the scan that it refreshes to `rgbaTex`: build.mjs makes it ask. */
  get isColoured(): boolean {
    return this.colouring !== null;
  }

  override refreshLayers(image: NVImage, layer: number): void {
    this.colouring = layer === 0 && isGrey(image) ? image : null;
    super.refreshLayers(image, layer);
    this.colouring = null;
  }

  override rgbaTex(...args: Parameters<Niivue["rgbaTex"]>): WebGLTexture | null {
    const [former, unit] = args;
    const { gl } = this;
    if (!this.colouring || unit !== gl.TEXTURE0) return super.rgbaTex(...args);
    gl.deleteTexture(former);
    gl.activeTexture(unit);
    return greyTexture(gl, this.colouring);
  }

  // A picture for surfaces.
  override async loadDefaultMatCap(): Promise<null> {
    return null;
  }

  override drawScene(): void {
    if (!this.isLazy) super.drawScene();
    else if (!this.scheduled) this.scheduled = requestAnimationFrame(() => this.drawNow());
  }

  /** Draws what was asked for since the last frame. */
  drawNow(): void {
    if (!this.scheduled) return;
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    this.former = this.screenSlices;
    this.drawSceneCore();
    this.afterScene();
  }

  // During a stroke only its plane is wiped and drawn, once it was drawn as a whole.
  override draw2D(...args: Parameters<Niivue["draw2D"]>): void {
    const before = this.former.find((slice) => slice.axCorSag === args[1]);
    if (this.strokePlane === null || !before) {
      super.draw2D(...args);
    } else if (args[1] === this.strokePlane) {
      super.clearBounds(undefined, before.leftTopWidthHeight as [number, number, number, number]);
      super.draw2D(...args);
    } else {
      this.screenSlices.push(before);
    }
  }

  override clearBounds(...args: Parameters<Niivue["clearBounds"]>): void {
    if (this.strokePlane === null || this.former.length === 0) super.clearBounds(...args);
  }

  // Beside the three planes, the 3D view waits for the end of a stroke, and without a graphics card for a pause.
  override draw3D(...args: Parameters<Niivue["draw3D"]>): string | undefined {
    const alone = this.opts.sliceType === SLICE_TYPE.RENDER;
    const isStroking = this.strokePlane !== null;
    if (alone || (!isStroking && (this.isResting || !this.isSlow))) return super.draw3D(...args);
    const leftTopWidthHeight = [...(args[0] ?? [])];
    this.screenSlices.push({ leftTopWidthHeight, axCorSag: SLICE_TYPE.RENDER, sliceFrac: 0, AxyzMxy: [], leftTopMM: [], fovMM: [1, 0] });
    if (!isStroking) this.drawAfterRest();
    return undefined;
  }

  // The page keeps its own steps of undo; NiiVue's would compress the whole drawing after each stroke.
  override drawAddUndoBitmap(): void {}

  private drawAfterRest(): void {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    const draw = (): void => {
      if (this.strokePlane !== null) return; // the end of the stroke draws it
      this.isResting = true;
      this.drawSceneCore();
      this.isResting = false;
      this.afterScene();
    };
    // The next frame begins once this one is on the screen.
    this.frame = requestAnimationFrame(() => (this.timer = setTimeout(draw, REST_MS)));
  }
}
