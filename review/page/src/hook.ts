// window.review: what tests and measurements read from the page. It only reads, and no part of the page uses it.
import type { ScanCanvas } from "./canvas";
import type { Editor } from "./editor";
import type { Point } from "./geometry";

declare global {
  interface Window {
    review?: ReturnType<typeof hook>;
  }
}

export function hook(canvas: ScanCanvas, editor: Editor) {
  return {
    /** The drawing as NiiVue holds it: voxels along right, anterior, superior, and their numbers, first axis fastest, in base 64. */
    bitmap(): { dims: Point; base64: string } {
      let text = "";
      const { bitmap } = canvas;
      for (let at = 0; at < bitmap.length; at += 0x8000) text += String.fromCharCode(...bitmap.subarray(at, at + 0x8000));
      return { dims: canvas.grid!.dims, base64: btoa(text) };
    },
    /** Id of the open case, null where none is open. */
    openCase: (): string | null => editor.session?.id ?? null,
    /** Whether the server has acknowledged the newest edit. */
    saved: (): boolean => editor.session?.autosave.isSaved ?? true,
    /** Where a voxel's centre lies on the page (CSS pixels), in the slice that cuts an axis. */
    onScreen: (voxel: Point, axis: number) => canvas.onScreen(voxel, axis),
    moveTo: (voxel: Point): void => canvas.moveTo(voxel),
    position: (): Point => canvas.position(),
    /** Milliseconds of the answers of the server's tools. */
    answers: (): number[] => [...editor.answers],
    /** Millimetres of the lines that were measured. */
    measured: (): number[] => canvas.measured(),
  };
}
