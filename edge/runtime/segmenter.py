"""From a scan to its segmentation: recipe, tiles, network, and back to the scan's own geometry."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from edge.manifest import Manifest, load_manifest
from edge.measure import areas_mm2, volumes_ml
from edge.runtime.runner import Runner, open_runner
from edge.shipped import locate
from edge.trust.signature import check_signature
from imaging.cleaning import apply
from imaging.io.nifti import smallest
from imaging.recipe import prepare, restore_classes
from imaging.regions import written_classes
from imaging.scan import Scan, as_scan
from imaging.tiling import predict_tiled


@dataclass(frozen=True)
class Segmentation:
    """What a segmenter makes of a scan.

    Attributes:
        labels: label values (*spatial, 1) in the geometry of the source, the smallest integer type that holds them.
        volumes_ml: label name to volume in ml, without the background, and that of regions; empty in 2D.
        seconds: time that it took.
        stages: the same by stage: "prepare", "network", "restore".
        areas_mm2: label name to area in mm², without the background; empty in 3D and for pictures, whose pixels have
            no known size.
    """

    labels: Scan
    volumes_ml: dict[str, float]
    seconds: float
    stages: dict[str, float] = field(default_factory=dict)
    areas_mm2: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Segmenter:
    """An opened artifact. Threads may share it, see ``edge.runtime.runner``; results are those of one thread.

    Attributes:
        manifest: what is known of it.
        runner: its network, patch by patch.
    """

    manifest: Manifest
    runner: Runner

    def __repr__(self):
        manifest = self.manifest
        patch = " x ".join(map(str, manifest.patch))
        labels = ", ".join(label.name for label in manifest.labels[1:])
        return f"<Segmenter {manifest.name}: {manifest.format}, patch {patch}, {labels}>"

    def logits(self, voxels: np.ndarray, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """Run the network over a prepared scan, tile by tile.

        Args:
            voxels: float32 (*spatial, C), as ``imaging.prepare`` makes them; may be smaller than the patch.
            progress: called after each tile with the number of tiles done and of all.

        Returns:
            float32 (*spatial, K).
        """
        return predict_tiled(voxels, self.manifest.patch, self.manifest.overlap, self.runner.run, progress)

    def predict(
        self, scan: Scan | np.ndarray, progress: Callable[[int, int], None] | None = None, spacing=None
    ) -> Segmentation:
        """Segment a scan.

        Args:
            scan: as ``imaging.read`` returns it; any size, spacing and orientation. Or an array (*spatial) or
                (*spatial, C): its axes then run to the patient's right, front and head (RAS), in 2D along rows and
                columns; for one that lies otherwise give ``imaging.Scan(voxels, affine)``.
            progress: called after each tile with the number of tiles done and of all.
            spacing: of an array, voxel size in mm per spatial axis; may be left out in 2D, where it is then 1.

        Returns:
            The segmentation, in the scan's own geometry.

        Raises:
            InputError: if the scan's axes or channels are not the network's, or it holds NaN or infinite voxels.
            UsageError: if an array of a 3D scan has no spacing, or a scan has one besides its affine.

        Example:
            >>> labels = segmenter.predict(array, spacing=(0.8, 0.8, 2.5)).labels.voxels[..., 0]
        """
        began = time.perf_counter()
        scan = as_scan(scan, self.manifest.recipe.rank, spacing)
        prepared = prepare(scan, self.manifest.recipe)
        ready = time.perf_counter()
        scores = self.logits(prepared.voxels, progress)
        scored = time.perf_counter()
        written = written_classes(self.manifest.labels, self.manifest.regions)
        classes = restore_classes(scores, prepared, scan, written=written)
        classes = apply(classes, self.manifest.postprocessing, self.manifest.labels, scan.spacing)
        values = smallest(np.array([label.value for label in self.manifest.labels]))
        labels = replace(scan, voxels=values[classes][..., None])
        facts = labels, self.manifest.labels, self.manifest.regions
        volumes, areas = volumes_ml(*facts), areas_mm2(*facts)
        ended = time.perf_counter()
        stages = {"prepare": ready - began, "network": scored - ready, "restore": ended - scored}
        return Segmentation(labels, volumes, ended - began, stages, areas)


def load(folder, threads: int = 2, runtime: str = "auto", trust=None) -> Segmenter:
    """Open an artifact folder.

    Args:
        folder: as ``zoo export`` wrote it, or the name of a shipped artifact, such as "unet3d-hippocampus".
        threads: processor threads that the runtime may use.
        runtime: "litert", "onnxruntime", "openvino", or "auto" for the one that the artifact is made for.
        trust: PEM file of a public key, or a folder of them: only what one of these has signed is opened
            (``edge.trust.signature``). None opens what is not signed, too.

    Returns:
        A segmenter.

    Raises:
        InputError: if the folder is no artifact, its model file was altered, its runtime is not installed, or it is
            not signed by a trusted key.

    Example:
        >>> segmenter = edge.load("artifacts/hippo/tflite-int8")
        >>> segmentation = segmenter.predict(imaging.read("scan.nii.gz"))
        >>> imaging.write("segmentation.nii.gz", segmentation.labels)
    """
    folder = locate(folder)
    if trust is not None:
        check_signature(folder, trust)
    manifest = load_manifest(folder)
    return Segmenter(manifest, open_runner(folder / manifest.model, manifest, threads, runtime))
