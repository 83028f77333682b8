// Labels as NIfTI-1 files. What is sent carries the volume's own header, so the geometry returns as it came.

const HEADER = 348;
const DATA = 352;
type Numbers = Uint8Array | Int16Array | Int32Array | Int8Array | Uint16Array;
type NumbersOf = new (buffer: ArrayBuffer) => Numbers;
const TYPES: Record<number, NumbersOf & { BYTES_PER_ELEMENT: number }> = { 2: Uint8Array, 4: Int16Array, 8: Int32Array, 256: Int8Array, 512: Uint16Array };

/** The values of the labels, by the number that stands for them in a drawing (0 is the background). */
export type LabelTable = number[];

/** The drawing numbers of a label file, in the order of the file. */
export function readLabel(bytes: ArrayBuffer, table: LabelTable, voxels: number): Uint8Array {
  const view = new DataView(bytes);
  const little = view.byteLength >= HEADER && view.getInt32(0, true) === HEADER;
  if (!little && (view.byteLength < HEADER || view.getInt32(0, false) !== HEADER)) {
    throw new Error("expected a label as NIfTI-1, got other bytes");
  }
  const type = view.getInt16(70, little);
  const Type = TYPES[type];
  if (!Type) throw new Error(`expected a label of whole numbers, got NIfTI data type ${type}`);
  const size = Type.BYTES_PER_ELEMENT;
  const start = view.getFloat32(108, little);
  if (view.byteLength < start + voxels * size) {
    throw new Error(`expected a label of ${voxels} voxels, got ${Math.floor((view.byteLength - start) / size)}`);
  }
  const data = bytes.slice(start, start + voxels * size);
  if (!little) swap(new Uint8Array(data), size);
  const values = new Type(data);
  const numbers = new Map(table.map((value, number) => [value, number]));
  const result = new Uint8Array(voxels);
  for (let index = 0; index < voxels; index++) {
    const value = values[index]!;
    if (value === 0) continue;
    const number = numbers.get(value);
    if (number === undefined) throw new Error(`expected a label of values ${table.join(", ")}, got ${value}`);
    result[index] = number;
  }
  return result;
}

/** Turns the bytes of each number around. */
function swap(bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

/** A label file: the volume's header, and values in the order of the file. */
export function writeLabel(volume: ArrayBuffer, numbers: Uint8Array, table: LabelTable): Uint8Array<ArrayBuffer> {
  const wide = Math.max(...table) > 255;
  const bytes = new Uint8Array(DATA + numbers.length * (wide ? 2 : 1));
  bytes.set(new Uint8Array(volume, 0, HEADER));
  const view = new DataView(bytes.buffer);
  const little = view.getInt32(0, true) === HEADER;
  view.setInt16(40, 3, little); // dimensions
  for (let axis = 4; axis <= 7; axis++) view.setInt16(40 + 2 * axis, 1, little);
  view.setInt16(68, 0, little); // intent
  view.setInt16(70, wide ? 4 : 2, little); // data type
  view.setInt16(72, wide ? 16 : 8, little); // bits a voxel
  view.setFloat32(108, DATA, little); // where the values start
  view.setFloat32(112, 1, little); // slope
  view.setFloat32(116, 0, little); // intercept
  view.setFloat32(124, 0, little); // display range
  view.setFloat32(128, 0, little);
  if (table.every((value, number) => value === number)) {
    bytes.set(numbers, DATA);
    return bytes;
  }
  for (let index = 0; index < numbers.length; index++) {
    const value = table[numbers[index]!]!;
    if (wide) view.setInt16(DATA + 2 * index, value, little);
    else bytes[DATA + index] = value;
  }
  return bytes;
}

export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
