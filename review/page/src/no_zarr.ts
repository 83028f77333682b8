// Stands in for zarrita, which NiiVue imports for pyramids of Zarr chunks: the server sends NIfTI only, and without
// zarrita's codecs the bundle is a third of its size.
function absent(): never {
  throw new Error("expected a NIfTI volume, got a Zarr store: this page reads NIfTI only");
}

export const open = absent;
export const root = absent;
export const get = absent;
export const slice = absent;
export const registry = new Map<string, unknown>();
export class FetchStore {
  constructor() {
    absent();
  }
}
