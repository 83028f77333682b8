// NiiVue keeps a drawing in the order of the scan's axes closest to right, anterior, superior ("RAS order"); files hold
// it in the scan's own order. The step and start of each axis, in voxels of the file, turn one into the other exactly.

export type Point = [number, number, number];

export interface Grid {
  /** Voxels along each axis of the file. */
  shape: Point;
  /** Voxels along each axis in RAS order. */
  dims: Point;
  /** Index in the file of the first voxel in RAS order, and how far each RAS axis moves it. */
  start: number;
  step: Point;
  /** Millimetres along each RAS axis. */
  spacing: Point;
}

/** The slice planes, by the RAS axis that they cut: NiiVue's axial 0, coronal 1, sagittal 2. */
export const AXIS_OF_PLANE = [2, 1, 0] as const;

export function voxelCount(grid: Grid): number {
  return grid.dims[0] * grid.dims[1] * grid.dims[2];
}

/** Index in RAS order of a voxel. */
export function indexOf(grid: Grid, [x, y, z]: Point): number {
  return x + grid.dims[0] * (y + grid.dims[1] * z);
}

/** Voxel of an index in RAS order. */
export function voxelAt(grid: Grid, index: number): Point {
  const [nx, ny] = grid.dims;
  return [index % nx, Math.floor(index / nx) % ny, Math.floor(index / (nx * ny))];
}

/** Index in the file of a voxel in RAS order. */
export function fileIndex(grid: Grid, [x, y, z]: Point): number {
  return grid.start + x * grid.step[0] + y * grid.step[1] + z * grid.step[2];
}

/** [i, j, k] in the file of a voxel in RAS order. */
export function toFile(grid: Grid, voxel: Point): Point {
  const index = fileIndex(grid, voxel);
  const [ni, nj] = grid.shape;
  return [index % ni, Math.floor(index / ni) % nj, Math.floor(index / (ni * nj))];
}

/** The axis of the file that lies along an axis in RAS order. */
export function fileAxis(grid: Grid, axis: number): number {
  const strides = [1, grid.shape[0], grid.shape[0] * grid.shape[1]];
  return strides.findIndex((stride, i) => stride === Math.abs(grid.step[axis]!) && grid.shape[i] === grid.dims[axis]);
}

/** Values in the order of the file, from values in RAS order. */
export function toFileOrder(grid: Grid, bitmap: Uint8Array): Uint8Array {
  const values = new Uint8Array(bitmap.length);
  const [nx, ny, nz] = grid.dims;
  const step = grid.step[0];
  for (let z = 0, ras = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0, file = fileIndex(grid, [0, y, z]); x < nx; x++, ras++, file += step) values[file] = bitmap[ras]!;
    }
  }
  return values;
}

/** Values in RAS order, from values in the order of the file. */
export function toRasOrder(grid: Grid, values: Uint8Array): Uint8Array {
  const bitmap = new Uint8Array(values.length);
  const [nx, ny, nz] = grid.dims;
  const step = grid.step[0];
  for (let z = 0, ras = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0, file = fileIndex(grid, [0, y, z]); x < nx; x++, ras++, file += step) bitmap[ras] = values[file]!;
    }
  }
  return bitmap;
}
