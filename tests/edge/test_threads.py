"""Threads that share an opened artifact get what one thread gets: thousands of calls on each runtime."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from edge_artifacts import graded_scan

import edge
from imaging.scan import Scan

THREADS = 8
ARTIFACTS = (
    ("folded-int8", "litert"),
    ("height-int8", "litert"),
    ("native-float", "litert"),
    ("onnx-folded-uint8", "onnxruntime"),
    ("onnx-native-float", "onnxruntime"),
    ("onnx-folded-uint8", "openvino"),
)


@pytest.mark.parametrize(("name", "runtime"), ARTIFACTS)
def test_a_runner_shared_by_threads(artifacts, name, runtime):
    manifest = edge.load_manifest(artifacts[name])
    runner = edge.open_runner(artifacts[name] / manifest.model, manifest, 1, runtime)
    patches = [graded_scan((8, 16, 12), seed)[..., None] for seed in range(16)]
    expected = [runner.run(patch) for patch in patches]

    def differs(call):
        return not np.array_equal(runner.run(patches[call % len(patches)]), expected[call % len(patches)])

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(differs, range(4000))) == 0


@pytest.mark.parametrize("name", ["folded-int8", "onnx-native-float"])
def test_a_segmenter_shared_by_threads(artifacts, name):
    segmenter = edge.load(artifacts[name], threads=1)
    scans = [Scan(graded_scan((13, 20, 15), seed)[..., None], np.diag([1, 2, 1.5, 1])) for seed in range(6)]
    expected = [segmenter.predict(scan) for scan in scans]

    def differs(call):
        index = call % len(scans)
        segmentation = segmenter.predict(scans[index])
        same = np.array_equal(segmentation.labels.voxels, expected[index].labels.voxels)
        return not same or segmentation.volumes_ml != expected[index].volumes_ml

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(differs, range(240))) == 0
