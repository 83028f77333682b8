"""A whole volume: an int8 artifact on the device beside the same network under MONAI's sliding window in PyTorch.

    python3 -m venv peers && peers/bin/pip install torch monai onnx
    python benchmarks/device/sliding_window.py --artifact artifacts/hippocampus/tflite-int8 \
        --onnx artifacts/hippocampus/onnx-float32 --python peers/bin/python --shape 256 256 128

Both cover the volume with the same patch and overlap, blended with Gaussian weights, on as many threads. PyTorch runs
the ONNX artifact's network in float32, built by export/bench/runtimes/pytorch.py, in the memory layout that is quicker
on a patch. Of ours the table holds the network and what stands around it (reading and writing files excepted):
preparing, flags, labels in the scan's own geometry. Prints a Markdown table; the goals are 30 % beside the network, and
6 times as quick.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np

PEER = """
import json, sys, time
import numpy, onnx, torch
from monai.inferers import sliding_window_inference
sys.path.insert(0, sys.argv[1])
import pytorch
model, prepared, patch, overlap, threads, rounds = (json.loads(word) for word in sys.argv[2:])
torch.set_num_threads(threads)
volume = torch.from_numpy(numpy.load(prepared))[None, None]
shape = [d.dim_value for d in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
window = torch.zeros(1, 1, *patch)
best = None
for name, layout in pytorch.LAYOUTS.items():
    network = pytorch.Network(onnx.load(model), layout, torch.float32).eval()
    def predictor(window, network=network):
        answer = network(window.reshape(shape)).reshape(1, *patch, -1)
        return answer.permute(0, 4, 1, 2, 3)
    with torch.inference_mode():
        predictor(window)
        began = time.perf_counter()
        for _ in range(5):
            predictor(window)
        seconds = time.perf_counter() - began
    if best is None or seconds < best[0]:
        best = seconds, name, predictor
times = []
for _ in range(rounds):
    began = time.perf_counter()
    with torch.inference_mode():
        sliding_window_inference(volume, patch, 1, best[2], overlap, mode="gaussian").argmax(1)
    times.append(time.perf_counter() - began)
print(json.dumps([best[1], times]))
"""


def main():
    """Time both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, required=True, help="artifact folder of a 3D network of one channel")
    parser.add_argument("--onnx", type=Path, required=True, help="onnx-float32 artifact of the same network")
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has torch, monai and onnx")
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 256, 128))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-rounds", type=int, default=1, help="of PyTorch, which takes minutes")
    args = parser.parse_args()
    import edge
    import imaging

    segmenter = edge.load(args.artifact, threads=args.threads)
    manifest = segmenter.manifest
    scan = imaging.Scan(volume(args.shape), np.diag([*(manifest.recipe.spacing or (1, 1, 1)), 1.0]))
    segmenter.predict(scan)
    results = [segmenter.predict(scan) for _ in range(args.rounds)]
    network = statistics.median(result.stages["network"] for result in results)
    whole = statistics.median(sum(result.stages.values()) for result in results)
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.npy"
        voxels = np.asarray(imaging.prepare(scan, manifest.recipe).voxels, np.float32)
        np.save(prepared, voxels[..., 0])
        runtimes = Path(__file__).resolve().parents[2] / "export" / "bench" / "runtimes"
        given = (str(args.onnx / "model.onnx"), str(prepared), manifest.patch, manifest.overlap)
        words = [json.dumps(word) for word in (*given, args.threads, args.peer_rounds)]
        command = [str(args.python), "-c", PEER, str(runtimes), *words]
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    layout, times = json.loads(ended.stdout)
    peer = statistics.median(times)
    print(f"{' × '.join(map(str, args.shape))} voxels, patch {' × '.join(map(str, manifest.patch))}\n")
    print("| | seconds | of which network | beside the network | times as quick as PyTorch |\n|---|---|---|---|---|")
    share, ratio = whole / network - 1, peer / whole
    print(f"| {manifest.format}, whole prediction | {whole:.2f} | {network:.2f} | {share:.0%} | {ratio:.1f} |")
    print(f"| MONAI, PyTorch float32, {layout} | {peer:.2f} | | | 1.0 |")


def volume(shape) -> np.ndarray:
    """A bright ball in noise, float32 (X, Y, Z, 1)."""
    grids = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    ball = sum(axis**2 for axis in grids) < 0.3
    noise = np.random.default_rng(0).normal(100, 20, shape)
    return (noise + 200 * ball).astype(np.float32)[..., None]


if __name__ == "__main__":
    main()
