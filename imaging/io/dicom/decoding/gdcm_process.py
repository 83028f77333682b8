"""GDCM in a process of its own: some damaged streams of lossless JPEG end the process that decodes them."""

import contextlib
import io
import json
import os
import subprocess
import sys

import numpy as np

from imaging.io.dicom.dataset import load_pydicom
from imaging.io.dicom.decoding.decoders import GDCM, decode_with
from medseg.process import environment, module_command


class GdcmProcess:
    """A process that decodes for this one; it starts when it is first asked and ends with the context.

    Both sides send a line of JSON with the number of bytes that follow, then those.
    """

    def __init__(self):
        self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with contextlib.suppress(OSError):  # what it was still to be sent, if it has ended
                self._process.stdin.close()
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def decode(self, content: bytes, indices) -> list[np.ndarray]:
        """Frames of a file.

        Args:
            content: of the file.
            indices: of the frames, from 0, ascending.

        Raises:
            RuntimeError: if GDCM cannot decode them, or its process ended.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                module_command("imaging.io.dicom.decoding.gdcm_process"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
            )
        try:
            _send(self._process.stdin, {"indices": list(indices)}, content)
            header, answer = _receive(self._process.stdout)
        except (OSError, ValueError):
            self.close()
            raise RuntimeError("the decoder ended") from None
        if "error" in header:
            raise RuntimeError(header["error"])
        frames = np.load(io.BytesIO(answer), allow_pickle=False)
        return list(frames)


def serve() -> None:
    """Decode what comes by standard input until that ends."""
    answers = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # GDCM writes to them
        os.dup2(silence, stream)
    while True:
        try:
            header, content = _receive(sys.stdin.buffer)
        except ValueError:
            return
        packed = io.BytesIO()
        try:
            dataset = load_pydicom().dcmread(io.BytesIO(content), force=True)
            np.save(packed, np.stack(decode_with(GDCM, dataset, header["indices"])))
        except Exception as error:  # of any type, as decoders raise it
            _send(answers, {"error": type(error).__name__}, b"")
        else:
            _send(answers, {}, packed.getvalue())


def _send(stream, header, content):
    stream.write(json.dumps(header | {"bytes": len(content)}).encode() + b"\n")
    stream.write(content)
    stream.flush()


def _receive(stream):
    header = json.loads(stream.readline())  # ValueError at the end, where the line is empty
    content = stream.read(header["bytes"])
    if len(content) != header["bytes"]:
        raise ValueError(f"expected {header['bytes']} bytes, got {len(content)}")
    return header, content


if __name__ == "__main__":
    serve()
