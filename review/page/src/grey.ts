// A scan as a texture of grey values, looked up by the processor. NiiVue would send the voxels to the graphics card and draw each
// slice into a texture of colours: four times the work where the processor is the graphics card, and twice the memory anywhere.
import { cmapper, type NVImage } from "@niivue/niivue";
import { fileIndex } from "./geometry";
import { gridOf } from "./scan_image";

const INT16 = 4;
const UINT16 = 512;
const BITS = [2, INT16, UINT16]; // NIfTI's codes of the types that a table has a place for every value of
const REALS = [16, 64];

/** Whether a scan's voxels are single numbers, shown in grey. */
export function isGrey(image: NVImage): boolean {
  const type = image.hdr?.datatypeCode ?? 0;
  return image.colormap === "gray" && (BITS.includes(type) || REALS.includes(type));
}

/** Brightness (low byte) and opacity in 3D (high byte) of a value: what NiiVue's colouring shader gives it. */
function colouring(image: NVImage): (value: number) => number {
  const { scl_slope: slope, scl_inter: inter } = image.hdr!;
  const [low, high] = [Math.min(image.cal_min!, image.cal_max!), Math.max(image.cal_min!, image.cal_max!)];
  const scale = 256 / Math.max(1e-5, high - low);
  const greys = cmapper.colormap("gray");
  const words = Uint16Array.from({ length: 256 }, (_, n) => greys[4 * n]! | (greys[4 * n + 3]! << 8));
  return (stored) => {
    const value = slope * stored + inter;
    const place = (value - low) * scale;
    return words[Math.round(Math.min(255, Math.max(0, (value > low ? Math.max(2, place) : place) - 0.5)))] ?? words[0]!;
  };
}

/** A new texture of brightness and opacity, at the unit that is active. */
export function greyTexture(gl: WebGL2RenderingContext, image: NVImage): WebGLTexture {
  const grid = gridOf(image);
  const values = image.img!;
  const type = image.hdr!.datatypeCode;
  const colour = colouring(image);
  const table = BITS.includes(type) ? Uint16Array.from({ length: 2 ** 16 }, (_, n) => colour(type === INT16 ? (n << 16) >> 16 : n)) : null;
  const [nx, ny, nz] = grid.dims;
  const step = grid.step[0];
  const words = new Uint16Array(nx * ny * nz);
  for (let z = 0, at = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      let file = fileIndex(grid, [0, y, z]);
      if (table) for (const end = at + nx; at < end; at++, file += step) words[at] = table[values[file]! & 0xffff]!;
      else for (const end = at + nx; at < end; at++, file += step) words[at] = colour(values[file]!);
    }
  }
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_3D, texture);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_3D, name, gl.LINEAR);
  for (const name of [gl.TEXTURE_WRAP_R, gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_3D, name, gl.CLAMP_TO_EDGE);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.texImage3D(gl.TEXTURE_3D, 0, gl.LUMINANCE_ALPHA, nx, ny, nz, 0, gl.LUMINANCE_ALPHA, gl.UNSIGNED_BYTE, new Uint8Array(words.buffer));
  return texture;
}
