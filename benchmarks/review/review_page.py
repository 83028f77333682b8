"""How quick the page of ``zoo review`` is, in Chromium without a graphics card.

    python benchmarks/review/review_page.py
    python benchmarks/review/review_page.py --shape 512 512 300 --artifact artifacts/ct/tflite-int8

A made-up scan (a bright ball in noise, oblique axes), labelled with a smaller ball, is opened in the browser. Prints
one Markdown row: seconds from the request of the page until the first case is drawn; milliseconds from a click with the
click tool until its answer is on the screen (median of ``--clicks``); frames a second while a brush is drawn over the
three planes; and what the browser's processes used of the processor for opening, for moving the cross-hair and for a
frame of the brush, which a busy machine changes less. WebGL runs on the processor (SwiftShader): with a graphics card
all but the second is quicker.

Drawn is the first case once the whole scan and its label lie in the three planes, a person can draw on them, and the
process that draws has finished: a pixel is read back from it. (This script once stopped at the next frame of the page,
when that process could be at work still.) The 3D view comes after a pause, as after every move, and does not count.
"""

import argparse
import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "review")]
# Seconds since the page was asked for, once the next frame is drawn.
DRAWN = """async () => {
  await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
  const gl = document.getElementById('scan').getContext('webgl2');
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  return performance.now() / 1000;
}"""
# Counts animation frames while the brush moves along a circle, one step a frame.
BRUSH = """async ([x, y, radius, frames]) => {
  const area = document.getElementById('scan');
  const send = (kind, n) => area.dispatchEvent(new PointerEvent(kind, {bubbles: true, pointerId: 1, button: 0,
    clientX: x + radius * Math.cos(n / 10), clientY: y + radius * Math.sin(n / 10)}));
  document.getElementById('main-pane').setPointerCapture = () => undefined;
  send('pointerdown', 0);
  const start = performance.now();
  for (let n = 1; n <= frames; n++) { send('pointermove', n); await new Promise(requestAnimationFrame); }
  const seconds = (performance.now() - start) / 1000;
  send('pointerup', frames);
  return frames / seconds;
}"""


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--artifact", default="unet3d-hippocampus", help="artifact folder, or the name of a shipped one"
    )
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 256, 128), metavar="N")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--frames", type=int, default=120)
    args = parser.parse_args()
    from page_browser import Person, Server, chromium

    with tempfile.TemporaryDirectory() as folder, chromium(shutil.which("chromium")) as browser:
        scans = Path(folder) / "scans"
        for kind, image in zip(("images", "labels"), ball(tuple(args.shape)), strict=True):
            (scans / kind).mkdir(parents=True)
            nibabel.save(image, scans / kind / "case.nii.gz")
        server = Server(scans, args.artifact)
        try:
            figures = measure(Person(browser, server.address), args.clicks, args.frames)
        finally:
            server.stop()
    shape = "×".join(map(str, args.shape))
    print("| scan | first case, s | click, ms | brush, frames/s | processor: opening, s | moving, s | a frame, ms |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {shape} | {figures['open']:.2f} | {figures['click']:.0f} | {figures['brush']:.0f} |"
        f" {figures['open processor']:.1f} | {figures['move processor']:.2f} | {figures['brush processor']:.0f} |"
    )


def ball(shape) -> tuple[nibabel.Nifti1Image, nibabel.Nifti1Image]:
    """A bright ball in noise, on oblique axes, and a label that is too small."""
    random = np.random.default_rng(0)
    axes = np.ogrid[tuple(slice(0, size) for size in shape)]
    away = np.sqrt(sum((axis - size / 2) ** 2 for axis, size in zip(axes, shape, strict=True)))
    voxels = random.normal(0, 20, shape) + 200 * (away < min(shape) / 4)
    affine = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.3, 0.2, 0.1), [-90, -90, -60])
    label = (away < min(shape) / 5).astype(np.uint8)
    return nibabel.Nifti1Image(voxels.astype(np.int16), affine), nibabel.Nifti1Image(label, affine)


def measure(person, clicks: int, frames: int) -> dict[str, float]:
    """Open the page, click, and draw."""
    import requests

    while not requests.get(f"{person.address}api/cases", timeout=60).json()["cases"][0]["version"]:
        person.page.wait_for_timeout(500)
    before = processor_seconds()
    person.page.goto(person.address)
    person.until("window.review && review.openCase()", 120)
    opened = person.page.evaluate(DRAWN)
    open_processor = processor_seconds() - before
    rest()
    centre = np.array(person.page.evaluate("review.bitmap().dims")) // 2
    person.tool("c")
    for number in range(clicks):
        person.click(centre + np.array((number, -number, 0)) * 2)
        person.until(f"review.answers().length === {number + 1}", 120)
    rest()
    before = processor_seconds()
    x, y = person.place(centre, 2)
    rest()
    move_processor = processor_seconds() - before
    person.tool("b")
    rest()
    before = processor_seconds()
    brush = person.page.evaluate(BRUSH, [x, y, 60, frames])
    return {
        "open": opened,
        "click": statistics.median(person.page.evaluate("review.answers()")),
        "brush": brush,
        "open processor": open_processor,
        "move processor": move_processor,
        "brush processor": 1000 * (processor_seconds() - before) / frames,
    }


def processor_seconds() -> float:
    """What the browser's processes have used of the processor."""
    used = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if "chrom" in process.name():
                times = process.cpu_times()
                used += times.user + times.system
    return used


def rest() -> None:
    """Wait until the browser draws nothing more, the 3D view for instance."""
    quiet, last = 0, processor_seconds()
    while quiet < 3:
        time.sleep(0.7)
        now = processor_seconds()
        quiet, last = (quiet + 1 if now - last < 0.05 else 0), now


if __name__ == "__main__":
    main()
