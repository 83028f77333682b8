"""Frames a second of a stream: ultrasound of 800×540 in, mask and overlay of 800×540 out.

    python benchmarks/device/stream.py
    python benchmarks/device/stream.py --artifact artifacts/hc18/openvino-int8 --data hc18/images --profile

Frames are the pictures in ``--data`` (all resized to the size of the first), or else made up: a bright ellipse in
speckle. Prints one Markdown row: frames a second of ``Segmenter.stream`` without and with the overlay drawn, and the
milliseconds of a frame by stage. ``--profile`` prints where the rest of the time goes (cProfile) as well.
"""

import argparse
import cProfile
import pstats
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

import edge
from edge.outputs.overlay import draw, to_grey
from medseg.quiet import native_logs_hidden

SIZE = (540, 800)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", default="unet-hc18", help="artifact folder, or the name of a shipped one")
    parser.add_argument("--data", type=Path, help="folder of pictures that are taken for frames")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    with native_logs_hidden():
        segmenter = edge.load(args.artifact, args.threads)
    pictures = read_pictures(args.data) if args.data else [ellipse(number) for number in range(8)]
    frames = [pictures[number % len(pictures)] for number in range(args.frames)]
    list(segmenter.stream(frames[:5]))
    bare, drawn = rate(segmenter, frames, False), rate(segmenter, frames, True)
    plain = replace(segmenter, manifest=replace(segmenter.manifest, training=None))  # frames carry no flags
    stages = [plain.predict(frame).stages for frame in frames[:20]]
    milliseconds = {name: 1e3 * float(np.median([each[name] for each in stages])) for name in stages[0]}
    rows, columns = frames[0].shape[:2]
    print(
        "| artifact | frame | frames a second | with overlay | " + " | ".join(f"{n}, ms" for n in milliseconds) + " |"
    )
    print("|---" * (4 + len(milliseconds)) + "|")
    numbers = " | ".join(f"{value:.2f}" for value in milliseconds.values())
    print(f"| {args.artifact} | {columns}×{rows} | {bare:.1f} | {drawn:.1f} | {numbers} |")
    if args.profile:
        profile = cProfile.Profile()
        profile.enable()
        for frame in frames[:30]:
            plain.predict(frame)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)


def rate(segmenter, frames, overlay: bool) -> float:
    """Frames a second through the stream."""
    values = [label.value for label in segmenter.manifest.labels[1:]]
    began = time.perf_counter()
    for frame in segmenter.stream(frames):
        if overlay:
            draw(to_grey(frame.image), frame.labels, values)
    return len(frames) / (time.perf_counter() - began)


def ellipse(seed: int) -> np.ndarray:
    """A grey frame (540, 800, 1) with a bright outline in speckle."""
    random = np.random.default_rng(seed)
    frame = cv2.GaussianBlur(random.gamma(2.0, 25.0, SIZE).astype(np.float32), (0, 0), 1.5)
    centre = tuple(int(c) for c in random.integers((330, 230), (470, 310)))
    cv2.ellipse(frame, centre, (220, 160), float(random.uniform(-30, 30)), 0, 360, 220.0, 12)
    return np.clip(frame, 0, 255).astype(np.uint8)[..., None]


def read_pictures(folder: Path) -> list[np.ndarray]:
    """The grey pictures of a folder, of the size of the first."""
    paths = [path for path in sorted(folder.glob("*.png")) if not path.stem.lower().endswith("mask")][:50]
    pictures = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    size = pictures[0].shape[::-1]
    return [cv2.resize(picture, size)[..., None] for picture in pictures]


if __name__ == "__main__":
    main()
