"""Cameras that end, stall or fail: what they gave until then is a whole file, and one line says where it lies."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from edge.cli import main
from imaging.io.video import Video
from medseg.errors import InputError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Unplugged:
    """A camera that gives two frames and then none."""

    def __init__(self):
        self.left = 2

    def read(self):
        self.left -= 1
        return self.left >= 0, np.zeros((32, 48, 3), np.uint8)

    def release(self):
        pass


def test_a_camera_that_is_unplugged():
    with pytest.raises(InputError, match="camera:0: gave no more frames after 2; is it still connected"):
        list(Video("camera:0", Unplugged(), True, 25.0, 0, 1))


class Camera:
    """A camera that gives four frames, and then ``ends``."""

    def __init__(self, ends):
        self.given, self.ends = 0, ends

    def read(self):
        time.sleep(0.05)
        self.given += 1
        if self.given > 4:
            return self.ends()
        return True, np.full((32, 48, 3), 40 * self.given, np.uint8)

    def release(self):
        pass


def stalls():
    time.sleep(20)
    return False, None


def fails():
    raise cv2.error("the driver failed")


def recorded(path):
    """Frames of a video, by OpenCV alone."""
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        yield read[1]
    capture.release()


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (stalls, "stream: no frame for 0.4 s after "),
        (lambda: (False, None), "gave no more frames after 4; is it still connected?"),
        (lambda: (True, np.zeros((30, 40, 3), np.uint8)), "frame 4: is 40 x 30 of 1 channels, those before were 48 x"),
        (fails, "frame 4 cannot be read (the driver failed)"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_what_a_camera_gave_before_it_failed_is_kept(artifacts, here, capfd, monkeypatch, ends, message, suffix):
    camera = Video("camera:0", Camera(ends), True, 10.0, 0, 1)
    monkeypatch.setattr("imaging.io.video.open_video", lambda *arguments: camera)
    command = ["stream", str(artifacts["flat-int8"]), "camera:0", "-o", f"seg{suffix}", "--stall"]
    command.append("0.4" if ends is stalls else "60")
    assert main(command) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"camera:0: {message}" in err
    frames = list(recorded(f"seg{suffix}"))
    assert f"(seg{suffix} holds the {len(frames)} frames before)" in err
    assert 1 <= len(frames) <= 4  # those that came while one was segmented are left out
    assert frames[0].shape == (32, 48, 3)
    assert [path.name for path in here.iterdir()] == [f"seg{suffix}"]


def test_a_camera_that_fails_before_its_first_frame(artifacts, here, capfd, monkeypatch):
    camera = Camera(stalls)
    camera.given = 4
    video = Video("camera:0", camera, True, 10.0, 0, 1)
    monkeypatch.setattr("imaging.io.video.open_video", lambda *arguments: video)
    assert main(["stream", str(artifacts["flat-int8"]), "camera:0", "-o", "seg.mp4", "--stall", "0.4"]) == 1
    assert "no frame for 0.4 s after 0 frames" in capfd.readouterr().err
    assert not list(here.iterdir())


def test_a_recording_that_is_terminated_is_kept(artifacts, here):
    """As by systemctl stop, which sends SIGTERM."""
    program = """
import sys, time
import numpy as np
import imaging.io.video as video

class Camera:
    def read(self):
        time.sleep(0.05)
        return True, np.full((32, 48, 3), 80, np.uint8)
    def release(self):
        pass

video.open_video = lambda *arguments: video.Video("camera:0", Camera(), True, 10.0, 0, 1)
from edge.cli import main
sys.exit(main())
"""
    words = ["stream", str(artifacts["flat-int8"]), "camera:0", "-o", "seg.mp4", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    frames = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [frame["frame"] for frame in frames] == sorted(frame["frame"] for frame in frames)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "stopped\n"), err
    frames_counted = json.loads(out.splitlines()[-1])["frames"]
    assert len(list(recorded("seg.mp4"))) == frames_counted >= 3
    assert [path.name for path in here.iterdir()] == ["seg.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_recording_ends_before_its_disk_is_full(artifacts, here, capfd, monkeypatch, suffix):
    """Encoders would go on without a word, and leave a file that nothing can read."""
    usage = shutil.disk_usage(here)
    left = iter([100, 50, 12])
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=next(left) * 2**20))
    source = Camera(None)
    source.read = lambda: (time.sleep(0.02), (True, np.full((32, 48, 3), 80, np.uint8)))[1]
    camera = Video("camera:0", source, True, 10.0, 0, 1)
    monkeypatch.setattr("imaging.io.video.open_video", lambda *arguments: camera)
    assert main(["stream", str(artifacts["flat-int8"]), "camera:0", "-o", f"seg{suffix}"]) == 1
    assert capfd.readouterr().err == (
        f"zoo-edge: error: seg{suffix}: its disk has only 12 MB left, so no more frames are written; make room "
        f"(seg{suffix} holds the 24 frames before)\n"
    )
    assert len(list(recorded(f"seg{suffix}"))) == 24
