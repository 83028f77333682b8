"""Streams: every frame of a file, the newest of a camera, and one line for whatever goes wrong."""

import json
import resource
import threading
import time

import cv2
import numpy as np
import pytest
from edge_artifacts import graded_scan, values_of

import edge
from edge.cli import main
from edge.runtime.stream import StreamOptions
from imaging.io.video import open_video, write_video
from medseg.errors import InputError, UsageError
from medseg.progress import CancelledError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def segmenter(artifacts):
    return edge.load(artifacts["flat-int8"], 1)


def images(count, shape=(32, 48)):
    return [graded_scan(shape, seed).astype(np.uint8) for seed in range(count)]


def film(path, count=6, shape=(48, 112)):
    """A video of grey frames whose classes survive the compression: blocks of it that are all dark or all bright."""
    with write_video(path, 10.0) as writer:
        for number in range(count):
            image = np.zeros((*shape, 3), np.uint8)
            image[16:32, 16 : 16 * min(number % 6 + 2, 6)] = 200
            writer.write(image)


def test_every_frame_in_order(segmenter):
    given = images(9)
    frames = list(segmenter.stream(iter(given), StreamOptions(queue=2)))
    assert [frame.number for frame in frames] == list(range(9))
    assert {frame.missed for frame in frames} == {0}
    for frame, image in zip(frames, given, strict=True):
        np.testing.assert_array_equal(frame.labels, values_of(image))
        np.testing.assert_array_equal(frame.image, image)


def test_the_newest_frame_of_a_live_source_wins(segmenter):
    taken = threading.Event()

    def source():
        for number, image in enumerate(images(20)):
            yield image
            if number == 0:
                taken.wait(5)

    frames = segmenter.stream(source(), StreamOptions(live=True))
    first = next(frames)
    assert first.number == 0
    taken.set()
    time.sleep(0.3)  # all the others come while nobody takes any
    second = next(frames, None)
    rest = [] if second is None else [second, *frames]
    assert len(rest) <= 2
    assert first.missed + sum(frame.missed for frame in rest) + 1 + len(rest) <= 20


def test_the_queue_is_bounded(segmenter):
    drawn = []
    source = (drawn.append(n) or image for n, image in enumerate(images(50)))
    frames = segmenter.stream(source, StreamOptions(queue=3))
    next(frames)
    time.sleep(0.3)
    assert len(drawn) <= 6
    frames.close()


def test_a_stalled_source(segmenter):
    def source():
        yield images(1)[0]
        time.sleep(30)

    frames = segmenter.stream(source(), StreamOptions(stall_seconds=0.3))
    next(frames)
    with pytest.raises(InputError, match=r"stream: no frame for 0.3 s after 1 frames"):
        next(frames)


def test_frames_that_change_their_size(segmenter):
    given = [*images(2), images(1, (20, 30))[0]]
    assert len(list(segmenter.stream(iter(given)))) == 3
    with pytest.raises(InputError, match="frame 2: is 30 x 20, those before were 48 x 32"):
        list(segmenter.stream(iter(given), StreamOptions(same_size=True)))


@pytest.mark.parametrize(
    ("frames", "options", "error", "message"),
    [
        ([np.zeros((9, 9, 3))], StreamOptions(), InputError, "frame 0: .*3 channels; the recipe takes 1"),
        ([np.zeros(9)], StreamOptions(), InputError, r"frame 0: an array of shape \(9,\)"),
        ([], StreamOptions(queue=0), UsageError, "queue 0"),
        ([], StreamOptions(stall_seconds=0), UsageError, "stall_seconds 0"),
    ],
)
def test_what_is_no_stream(segmenter, frames, options, error, message):
    with pytest.raises(error, match=message):
        list(segmenter.stream(iter(frames), options))


def test_what_the_source_raises_is_raised(segmenter):
    def source():
        yield images(1)[0]
        raise InputError("camera:0: unplugged")

    with pytest.raises(InputError, match="unplugged"):
        list(segmenter.stream(source()))


def test_a_stream_can_be_cancelled(segmenter):
    stop = threading.Event()
    frames = segmenter.stream(iter(images(9)), cancel=stop)
    next(frames)
    stop.set()
    with pytest.raises(CancelledError):
        next(frames)


def test_volumes_are_no_stream(artifacts):
    with pytest.raises(UsageError, match="takes volumes"):
        edge.load(artifacts["folded-int8"]).stream(iter([]))


def test_a_video_with_outlines(artifacts, here, capfd):
    film(here / "in.avi")
    assert main(["stream", str(artifacts["flat-int8"]), "in.avi", "-o", "out/seg.mp4", "--json"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["frame"] for line in lines[:-1]] == list(range(6))
    pixels = [line["pixels"]["rim"] for line in lines[:-1]]
    np.testing.assert_allclose(pixels, [16 * 16 * min(n + 1, 5) for n in range(6)], rtol=0.1)
    assert lines[-1]["frames"] == 6
    assert lines[-1]["left_out"] == 0
    video = open_video("out/seg.mp4", 3)
    drawn = list(video)
    assert len(drawn) == 6
    assert drawn[0].shape == (48, 112, 3)
    colours = drawn[-1][16:32, 16:96].reshape(-1, 3).mean(0)
    assert colours[2] > colours[0] + 10  # the second label is blue
    assert [path.name for path in (here / "out").iterdir()] == ["seg.mp4"]


def test_some_frames_of_a_video_in_words(artifacts, here, capfd):
    film(here / "in.avi", shape=(31, 47))
    assert main(["stream", str(artifacts["flat-int8"]), "in.avi", "-o", "seg.avi", "--frames", "3"]) == 0
    out, _ = capfd.readouterr()
    assert out.startswith("3 frames in ")
    assert "seg.avi written" in out
    assert len(list(open_video("seg.avi", 1))) == 3


def test_a_live_file_leaves_out_what_is_late(artifacts, here, capfd, monkeypatch):
    film(here / "in.avi", 8)
    run = edge.Segmenter.predict

    def slow(*arguments, **options):
        time.sleep(0.25)
        return run(*arguments, **options)

    monkeypatch.setattr(edge.Segmenter, "predict", slow)
    assert main(["stream", str(artifacts["flat-int8"]), "in.avi", "--live", "--json"]) == 0
    summary = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert summary["left_out"] > 0
    assert summary["frames"] + summary["left_out"] <= 8


def test_a_video_that_is_cut_short(artifacts, here, capfd):
    film(here / "whole.avi", 40, (64, 96))
    content = (here / "whole.avi").read_bytes()
    (here / "cut.avi").write_bytes(content[: len(content) // 2])
    assert main(["stream", str(artifacts["flat-int8"]), "cut.avi", "-o", "seg.mp4"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "cut.avi: " in err
    assert sorted(path.name for path in here.iterdir()) == ["cut.avi", "whole.avi"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["absent.avi"], 1, "absent.avi: no such file; give a video file, or camera:0"),
        (["text.avi"], 1, "text.avi: cannot be read as a video"),
        (["camera:x"], 2, "camera:x: expected the number of a camera"),
        (["camera:77"], 1, "camera:77: no such camera"),
        (["in.avi", "-o", "seg.png"], 2, "--out seg.png: expected a name ending in .mp4, .avi, .mkv"),
        (["in.avi", "-o", "in.avi"], 2, "--out in.avi: is the input"),
        (["in.avi", "--stall", "0"], 2, "stall_seconds 0"),
    ],
)
def test_mistakes(artifacts, here, capfd, words, status, message):
    film(here / "in.avi", 2)
    (here / "text.avi").write_text("no video")
    before = (here / "in.avi").read_bytes()
    assert main(["stream", str(artifacts["flat-int8"]), *words]) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert (here / "in.avi").read_bytes() == before
    assert sorted(path.name for path in here.iterdir()) == ["in.avi", "text.avi"]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_video_that_the_disk_has_no_room_for(here, suffix):
    """OpenCV's encoders say nothing of it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def film_noise(room):
        with write_video(here / f"noise{suffix}", 10.0) as writer:
            for seed in range(60):
                writer.write(np.random.default_rng(seed).integers(0, 255, (96, 128, 3), np.uint8))
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))

    try:
        with pytest.raises(InputError, match=r"noise.* cannot be written, \d+ of 60 frames .* is it full\?"):
            film_noise(150_000)
        assert not list(here.iterdir())
        film_noise(before[0])
        assert [path.name for path in here.iterdir()] == [f"noise{suffix}"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_volume_network_takes_no_video(artifacts, here, capfd):
    film(here / "in.avi", 2)
    assert main(["stream", str(artifacts["folded-int8"]), "in.avi"]) == 2
    assert "takes volumes; a stream needs a network of 2D images" in capfd.readouterr().err


def test_opencv_resizes_as_the_weights_say():
    """Where grids share their extent OpenCV interpolates flat scores; its values are ours but for the last digits."""
    from imaging.geometry.interpolation import apply_axis, axis_weights, interpolate

    random = np.random.default_rng(0)
    for length, shape in (((256, 256), (540, 800)), ((32, 24), (33, 71)), ((100, 90), (50, 30)), ((7, 5), (7, 40))):
        scores = random.normal(size=(*length, 2)).astype(np.float32)
        scale = [n / m for n, m in zip(length, shape, strict=True)]
        offset = [(s - 1) / 2 for s in scale]
        ours = scores
        for axis in (0, 1):
            weights = axis_weights(shape[axis], length[axis], scale[axis], offset[axis], False)
            ours = apply_axis(ours, axis, *weights)
        theirs = interpolate(scores, shape, scale, offset)
        np.testing.assert_allclose(theirs, ours, atol=2e-4)
        sure = np.abs(ours[..., 1] - ours[..., 0]) > 1e-3
        assert sure.mean() > 0.99
        np.testing.assert_array_equal(theirs.argmax(-1)[sure], ours.argmax(-1)[sure])


def test_opencv_reads_what_was_written(here):
    film(here / "a.mkv", 3)
    capture = cv2.VideoCapture("a.mkv")
    assert capture.read()[1].shape == (48, 112, 3)
    capture.release()
