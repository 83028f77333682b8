// What a brush, an eraser and an outline change in a drawing. All in voxels of RAS order.
import { type Grid, type Point, indexOf } from "./geometry";

/** Corners of the voxels that were touched, both inclusive. */
export interface Box {
  low: Point;
  high: Point;
}

export interface Stroke {
  grid: Grid;
  bitmap: Uint8Array;
  /** The number that is painted; 0 erases. */
  number: number;
  /** Millimetres. */
  radius: number;
  /** The axis that the slice cuts; the brush is a disc in it, or a ball. */
  axis: number;
  ball: boolean;
  /** Whether a voxel of this index may be painted. */
  allowed?: (voxel: Point) => boolean;
}

export function emptyBox(): Box {
  return { low: [Infinity, Infinity, Infinity], high: [-1, -1, -1] };
}

export function include(box: Box, voxel: Point): void {
  for (let axis = 0; axis < 3; axis++) {
    box.low[axis] = Math.min(box.low[axis]!, voxel[axis]!);
    box.high[axis] = Math.max(box.high[axis]!, voxel[axis]!);
  }
}

/** Paints the disc or ball around a voxel: all voxels whose centres lie within the radius. */
export function stamp(stroke: Stroke, centre: Point, touched: Box): void {
  const { grid, bitmap, number, radius, axis, ball, allowed } = stroke;
  const reach = grid.spacing.map((mm, a) => (!ball && a === axis ? 0 : Math.floor(radius / mm))) as Point;
  const low = centre.map((c, a) => Math.max(0, c - reach[a]!)) as Point;
  const high = centre.map((c, a) => Math.min(grid.dims[a]! - 1, c + reach[a]!)) as Point;
  const limit = radius * radius + 1e-6;
  for (let z = low[2]; z <= high[2]; z++) {
    for (let y = low[1]; y <= high[1]; y++) {
      for (let x = low[0]; x <= high[0]; x++) {
        const dx = (x - centre[0]) * grid.spacing[0];
        const dy = (y - centre[1]) * grid.spacing[1];
        const dz = (z - centre[2]) * grid.spacing[2];
        if (dx * dx + dy * dy + dz * dz > limit) continue;
        if (allowed && !allowed([x, y, z])) continue;
        bitmap[indexOf(grid, [x, y, z])] = number;
        include(touched, [x, y, z]);
      }
    }
  }
}

/** The voxels of the straight line between two, both included. */
export function line(from: Point, to: Point): Point[] {
  const steps = Math.max(...from.map((c, axis) => Math.abs(to[axis]! - c)), 1);
  return Array.from({ length: steps + 1 }, (_, n) => from.map((c, axis) => Math.round(c + ((to[axis]! - c) * n) / steps)) as Point);
}

/** Paints the inside of a closed outline, its voxels included, in the slice that it was drawn in. */
export function fillOutline(stroke: Stroke, outline: Point[], touched: Box): void {
  const [u, v] = [0, 1, 2].filter((axis) => axis !== stroke.axis) as [number, number];
  const closed = [...outline, outline[0]!];
  const low = Math.min(...outline.map((p) => p[v]!));
  const high = Math.max(...outline.map((p) => p[v]!));
  const paint = (voxel: Point): void => {
    if (stroke.allowed && !stroke.allowed(voxel)) return;
    stroke.bitmap[indexOf(stroke.grid, voxel)] = stroke.number;
    include(touched, voxel);
  };
  for (let row = low; row <= high; row++) {
    const crossings: number[] = [];
    for (let n = 0; n < outline.length; n++) {
      const [a, b] = [closed[n]!, closed[n + 1]!];
      if (a[v]! <= row !== b[v]! <= row) crossings.push(a[u]! + ((row - a[v]!) / (b[v]! - a[v]!)) * (b[u]! - a[u]!));
    }
    crossings.sort((a, b) => a - b);
    for (let n = 0; n + 1 < crossings.length; n += 2) {
      for (let column = Math.ceil(crossings[n]!); column <= crossings[n + 1]!; column++) {
        const voxel: Point = [...outline[0]!];
        voxel[u] = column;
        voxel[v] = row;
        paint(voxel);
      }
    }
  }
  for (let n = 0; n < outline.length; n++) line(closed[n]!, closed[n + 1]!).forEach(paint);
}

/** Fills the background in a label's holes in a slice: what no path from the slice's border reaches without crossing the label. */
export function fillHoles(stroke: Stroke, slice: number, touched: Box): void {
  const { grid, bitmap, number } = stroke;
  const [u, v] = [0, 1, 2].filter((axis) => axis !== stroke.axis) as [number, number];
  const [nu, nv] = [grid.dims[u]!, grid.dims[v]!];
  const voxel = (a: number, b: number): Point => {
    const result: Point = [0, 0, 0];
    result[u] = a;
    result[v] = b;
    result[stroke.axis] = slice;
    return result;
  };
  const outside = new Uint8Array(nu * nv);
  const queue: number[] = [];
  const reach = (a: number, b: number): void => {
    if (a < 0 || b < 0 || a >= nu || b >= nv || outside[a + nu * b]) return;
    if (bitmap[indexOf(grid, voxel(a, b))] === number) return;
    outside[a + nu * b] = 1;
    queue.push(a + nu * b);
  };
  for (let a = 0; a < nu; a++) [0, nv - 1].forEach((b) => reach(a, b));
  for (let b = 0; b < nv; b++) [0, nu - 1].forEach((a) => reach(a, b));
  while (queue.length > 0) {
    const at = queue.pop()!;
    const [a, b] = [at % nu, Math.floor(at / nu)];
    reach(a - 1, b);
    reach(a + 1, b);
    reach(a, b - 1);
    reach(a, b + 1);
  }
  for (let b = 0; b < nv; b++) {
    for (let a = 0; a < nu; a++) {
      const index = indexOf(grid, voxel(a, b));
      if (outside[a + nu * b] || bitmap[index] !== 0) continue;
      bitmap[index] = number;
      include(touched, voxel(a, b));
    }
  }
}
