// A scan as NiiVue holds it, shown in a window that is known already.
import { NVImage } from "@niivue/niivue";
import type { Grid, Point } from "./geometry";

export interface Range {
  low: number;
  high: number;
}

const searchRange = NVImage.prototype.calMinMax;
// NiiVue sorts a scan's voxels for a window; where the header names one that takes seconds for nothing.
NVImage.prototype.calMinMax = function (...args: Parameters<NVImage["calMinMax"]>): number[] {
  const { hdr } = this;
  if (!hdr || !(hdr.cal_min < hdr.cal_max)) return searchRange.apply(this, args);
  const [low, high] = [hdr.cal_min, hdr.cal_max];
  Object.assign(this, { cal_min: low, cal_max: high, robust_min: low, robust_max: high, global_min: low, global_max: high });
  return [low, high, low, high];
};

/** Reads a scan (NIfTI-1 bytes), whose window is written into its header; without one NiiVue looks for it. */
export function readScan(bytes: ArrayBuffer, window: Range | null): Promise<NVImage> {
  if (window && window.low < window.high) {
    const view = new DataView(bytes);
    const little = view.getInt32(0, true) === 348;
    view.setFloat32(124, window.high, little);
    view.setFloat32(128, window.low, little);
  }
  return NVImage.loadFromUrl({ url: bytes, name: "scan.nii", colormap: "gray" });
}

/** How the voxels of a scan lie. */
export function gridOf(image: NVImage): Grid {
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
