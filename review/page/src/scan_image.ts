// A scan as NiiVue holds it, shown in a window that is known already.
import { NVImage } from "@niivue/niivue";

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
