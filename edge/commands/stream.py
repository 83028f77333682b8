"""``zoo-edge stream``: the frames of a video or a camera, segmented as they come."""

import contextlib
import sys
import time
from pathlib import Path

from edge.commands.arguments import add_runtime, add_threads, positive
from medseg import command
from medseg.claims import claimed
from medseg.errors import InputError, UsageError
from medseg.quiet import native_logs_hidden


def add_stream(commands) -> None:
    """Add ``stream``."""
    parser = commands.add_parser(
        "stream",
        help="segment a video or a camera",
        description="Segment the frames of a video file or a camera with a network of 2D images. Of a file every frame "
        "is segmented; of a camera the newest, and those that came too late are left out.",
    )
    parser.add_argument("artifact", metavar="ARTIFACT", help="artifact folder, or the name of a shipped one")
    parser.add_argument("source", metavar="VIDEO", help="video file, or camera:0 for the first camera")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="write the frames with outlines: .mp4, .avi, .mkv"
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="of a file: play it at its rate, and leave out what is late (a camera is live anyway)",
    )
    parser.add_argument(
        "--frames", type=positive, metavar="N", help="stop after so many (of a camera: Ctrl-C stops, too)"
    )
    parser.add_argument("--stall", type=float, default=5.0, metavar="S", help="seconds without a frame (default 5)")
    add_runtime(parser)
    command.add_trust(parser)
    add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print each frame's areas as a JSON line, and a summary")
    parser.set_defaults(handler=stream)


def stream(args) -> None:
    """Segment a stream and print what came of it."""
    from edge.runtime.segmenter import load
    from edge.runtime.stream import StreamOptions
    from imaging.io.video import check_writable_video, open_video, write_video

    if args.out is not None:
        check_writable_video(args.out)
        if args.out.resolve() == Path(args.source).resolve():
            raise UsageError(f"--out {args.out}: is the input and would be overwritten; choose another place")
    with native_logs_hidden():
        segmenter = load(args.artifact, args.threads, args.runtime, args.trust)
        if segmenter.manifest.recipe.rank != 2:
            raise UsageError(f"{args.artifact}: takes volumes; a stream needs a network of 2D images")
        video = open_video(args.source, segmenter.manifest.recipe.channels)
    live = video.live or args.live
    options = StreamOptions(live=live, stall_seconds=args.stall, same_size=True)
    frames = _paced(video) if args.live and not video.live else video
    with contextlib.closing(video), contextlib.ExitStack() as stack:
        writer = None
        if args.out is not None:
            stack.enter_context(claimed(args.out))
            writer = stack.enter_context(write_video(args.out, video.rate))
        counts, failure = _run(segmenter, segmenter.stream(frames, options), writer, args, video)
    if failure is not None:
        raise failure
    _summary(args, counts)


def _run(segmenter, frames, writer, args, video):
    """Take frames until the stream ends, enough were taken, or the user stops.

    Returns:
        What was counted, and the error that ended a live stream of which frames were recorded, to be raised once the
        recording is in its place: nobody can record them again.
    """
    from edge.outputs.overlay import draw, to_grey
    from medseg.progress import Bar

    values = [label.value for label in segmenter.manifest.labels[1:]]
    names = [label.name for label in segmenter.manifest.labels[1:]]
    began, done, missed, spent, failure = time.perf_counter(), 0, 0, 0.0, None
    bar, total = Bar("frames"), args.frames or video.frames
    try:
        for frame in frames:
            done, missed, spent = done + 1, missed + frame.missed, spent + frame.seconds
            if writer is not None:
                writer.write(draw(to_grey(frame.image), frame.labels, values))
            if args.json:
                pixels = {name: int((frame.labels == value).sum()) for name, value in zip(names, values, strict=True)}
                command.emit_json_line({"frame": frame.number, "pixels": pixels, "seconds": round(frame.seconds, 6)})
            elif total:
                bar(min(done, total), total)
            if args.frames is not None and done >= args.frames:
                break
    except KeyboardInterrupt:  # the way to end a camera; what was written so far is whole
        if not video.live:
            raise
        print("stopped", file=sys.stderr)
    except Exception as error:
        failure = _named(error, args.source)
        if not (video.live or args.live) or writer is None or not writer.frames:
            raise failure from None
        if isinstance(failure, InputError):
            failure = type(failure)(f"{failure} ({args.out} holds the {writer.frames} frames before)")
    finally:
        frames.close()
        bar.close()
    seconds = time.perf_counter() - began
    return {"frames": done, "left_out": missed, "seconds": seconds, "segmentation_seconds": spent}, failure


def _named(error, source):
    """An error that names the source of the frames, where it is about them."""
    if isinstance(error, InputError) and str(error).startswith(("frame", "stream")):
        return type(error)(f"{source}: {error}")
    return error


def _paced(video):
    """Frames of a file at its own rate, as a camera gives them."""
    began = time.monotonic()
    for number, frame in enumerate(video):
        time.sleep(max(0.0, began + number / video.rate - time.monotonic()))
        yield frame


def _summary(args, counts):
    rate = counts["frames"] / counts["seconds"] if counts["seconds"] else 0.0
    if args.json:
        command.emit_json_line({**counts, "frames_per_second": rate, "output": str(args.out) if args.out else None})
        return
    left = f", {counts['left_out']} left out" if counts["left_out"] else ""
    print(f"{counts['frames']} frames{left} in {counts['seconds']:.2f} s: {rate:.1f} a second")
    if args.out is not None and counts["frames"]:
        print(f"{args.out} written")
