"""From a scan to its segmentation: recipe, tiles, network, and back to the scan's own geometry."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.first_pass import FirstAnswer, look
from edge.manifest import Manifest
from edge.measure import sizes
from edge.runtime.many import Outcome, predict_in_order
from edge.runtime.options import Options, axes_of, check_options
from edge.runtime.patches import patch_scores, reuse_constant
from edge.runtime.region import cut
from edge.runtime.restored import Answered, labels_of, restore
from edge.runtime.runner import Runner, open_runner
from edge.runtime.stream import Frame, StreamOptions, stream
from edge.segmentation import Segmentation
from edge.shipped import locate
from edge.trust.fingerprint import estimate, flags_of
from edge.trust.observation import Answer, AsRead, as_read, scan_features
from edge.trust.opening import read_first, read_own
from imaging.io.files import read
from imaging.prior import Prior, prior_of
from imaging.recipe import prepare
from imaging.scan import Scan, as_scan, grid_of
from imaging.slices import slice_box
from imaging.tiling import predict_slabs, predict_tiled
from medseg.errors import InputError, naming
from medseg.progress import Cancel, check_cancelled

Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class Segmenter:
    """An opened artifact. Threads may share it, see ``edge.runtime.runner``; results are those of one thread.

    Attributes:
        manifest: what is known of it.
        runner: its network, patch by patch.
        others: further networks of the same recipe, patch and classes, whose probabilities are averaged with its own.
        first: of a cascade, the network of low resolution whose answer is given to this one (``edge.cascade``).
    """

    manifest: Manifest
    runner: Runner
    others: tuple[Runner, ...] = ()
    first: "Segmenter | None" = None

    def __repr__(self):
        manifest = self.manifest
        patch = " x ".join(map(str, manifest.patch))
        labels = ", ".join(label.name for label in manifest.labels[1:])
        return f"<Segmenter {manifest.name}: {manifest.format}, patch {patch}, {labels}>"

    def logits(self, voxels: np.ndarray, progress: Progress = None, prior: Prior | None = None) -> np.ndarray:
        """Run the network over a prepared scan, tile by tile.

        Args:
            voxels: float32 (*spatial, C), as ``imaging.prepare`` makes them; may be smaller than the patch.
            progress: called after each tile with the number of tiles done and of all.
            prior: of a cascade, what its first network found there (``prior_of``).

        Returns:
            float32 (*spatial, K).
        """
        manifest = self.manifest
        slices = manifest.recipe.slices
        return predict_tiled(voxels, manifest.patch, manifest.overlap, self.runner.run, progress, slices, prior)

    def predict(
        self,
        scan: Scan | np.ndarray,
        progress: Progress = None,
        spacing=None,
        options: Options | None = None,
        cancel: Cancel = None,
    ) -> Segmentation:
        """Segment a scan.

        The scores of the network are never held whole: slices are classified as the tiles on them are done.

        Args:
            scan: as ``imaging.read`` returns it; any size, spacing and orientation. Or an array (*spatial) or
                (*spatial, C): its axes then run to the patient's right, front and head (RAS), in 2D along rows and
                columns; for one that lies otherwise give ``imaging.Scan(voxels, affine)``.
            progress: called after each tile with the number of tiles done and of all.
            spacing: of an array, voxel size in mm per spatial axis; may be left out in 2D, where it is then 1.
            options: flips, region and outputs; by default the artifact's own flips, and no other.
            cancel: a ``threading.Event``, or a function that returns whether to stop; looked at before each tile.

        Returns:
            The segmentation, in the scan's own geometry.

        Raises:
            InputError: if the scan's axes or channels are not the network's, or it holds NaN or infinite voxels.
            UsageError: if an array of a 3D scan has no spacing, a scan has one besides its affine, or options do not
                fit.
            CancelledError: if the caller cancelled it.

        Example:
            >>> labels = segmenter.predict(array, spacing=(0.8, 0.8, 2.5)).labels.voxels[..., 0]
        """
        began = time.perf_counter()
        options = self._checked(options)
        scan = as_scan(scan, self.manifest.recipe.rank, spacing)
        known, progress = look(self.first, options.region, scan, progress, cancel)
        prepared, source = prepare(scan, self.manifest.recipe), as_read(scan, self.manifest)
        return self._segment(prepared, source, known, options, progress, cancel, began)

    def predict_file(
        self, paths, progress: Progress = None, options: Options | None = None, cancel: Cancel = None
    ) -> Segmentation:
        """Segment a scan from its file; takes less memory than ``predict``, as the voxels read are freed early.

        Args:
            paths: a file, or a sequence of files of one channel each, as for ``imaging.read``.
            progress, options, cancel: as for ``predict``.

        Returns, raises:
            As ``predict``; errors name the file.
        """
        began = time.perf_counter()
        options, recipe = self._checked(options), self.manifest.recipe
        check_cancelled(cancel, str(paths))
        scans = [read(paths, recipe.channels, recipe.nan)]
        with naming(str(paths) if isinstance(paths, str | Path) else ",".join(map(str, paths))):
            grid = grid_of(scans[0])
            if grid.rank != recipe.rank:
                raise InputError(
                    f"shape {grid.shape} has {grid.rank} spatial axes, {self.manifest.name} takes {recipe.rank}; give "
                    f"a {recipe.rank}D scan"
                )
            known, progress = look(self.first, options.region, scans[0], progress, cancel)
            source = as_read(scans[0], self.manifest)
            # Popped, so that nobody holds the voxels read once ``prepare`` has its own copy.
            return self._segment(prepare(scans.pop(), recipe), source, known, options, progress, cancel, began)

    def predict_many(
        self, scans: Iterable, workers: int = 2, options: Options | None = None, cancel: Cancel = None
    ) -> Iterator[Outcome]:
        """Segment many scans, some at a time; a scan that fails does not cost the others.

        Args:
            scans: each a ``Scan``, a path, or a sequence of paths of one channel each; drawn as they are needed, at
                most twice as many as there are workers ahead of what was taken.
            workers: threads. Reading, preparing and restoring run beside the network of another scan.
            options, cancel: as for ``predict``.

        Yields:
            An ``Outcome`` each, in the order of the scans, with the segmentation or the error.

        Raises:
            CancelledError: if the caller cancelled it.
            UsageError: if ``workers`` is not a positive integer, or options do not fit.
        """
        options = self._checked(options)

        def segment(scan, stop):
            if isinstance(scan, Scan | np.ndarray):
                return self.predict(scan, options=options, cancel=stop)
            return self.predict_file(scan, options=options, cancel=stop)

        return predict_in_order(scans, segment, workers, cancel)

    def stream(
        self, frames: Iterable[np.ndarray], options: StreamOptions | None = None, cancel: Cancel = None
    ) -> Iterator[Frame]:
        """Segment the frames of a video or camera as they come, in 2D; see ``edge.runtime.stream``.

        Args:
            frames: arrays (rows, columns) or (rows, columns, C).
            options: queue, and whether frames that came too late are left out.
            cancel: as for ``predict``.

        Yields:
            Frames with their labels.
        """
        plain = replace(self, manifest=replace(self.manifest, training=None))  # frames carry no flags
        return stream(plain, frames, options or StreamOptions(), cancel)

    def answer(
        self,
        prepared: Scan,
        source: AsRead,
        box,
        options: Options,
        progress: Progress = None,
        cancel: Cancel = None,
        first_answer: FirstAnswer | None = None,
    ) -> Answered:
        """Tiles, network and the way back, of a prepared scan.

        Args:
            prepared: what the manifest's recipe made of the scan.
            source: the scan as read.
            box: the part of it that is looked at, slices per axis; None for all.
            options, progress, cancel: as for ``predict``.
            first_answer: of a cascade, what its first network found (``edge.first_pass``).
        """
        manifest, grid, mirror = self.manifest, source.grid, axes_of(options, self.manifest)
        slices = manifest.recipe.slices
        looked_at = prepared if box is None else cut(prepared, grid, box, slice_box(manifest.patch, slices))
        predict = patch_scores((self.runner, *self.others), mirror, bool(manifest.regions), options.outputs.variance)
        prior = None if first_answer is None else prior_of(first_answer.classes, grid, looked_at, manifest.recipe)
        spent = {"network": 0.0 if first_answer is None else first_answer.seconds}

        def timed(patch):
            check_cancelled(cancel, manifest.name)
            start = time.perf_counter()
            scores = predict(patch)
            spent["network"] += time.perf_counter() - start
            return scores

        patch_run = reuse_constant(timed)
        slabs = predict_slabs(looked_at.voxels, manifest.patch, manifest.overlap, patch_run, progress, slices, prior)
        averaged = bool(mirror or self.others)
        watching = None if manifest.training is None else Answer(manifest, averaged)
        if watching is not None:
            slabs = watching.watch(slabs)
        restored = restore(slabs, looked_at, grid, manifest, options.outputs, averaged)
        check_cancelled(cancel, manifest.name)
        features = dict(source.features)
        if watching is not None:
            features |= scan_features(prepared, manifest.training.layout) | watching.features(looked_at, box is None)
        return Answered(restored, features, spent["network"])

    def _checked(self, options):
        options = options or Options()
        check_options(options, 1 + len(self.others), self.manifest)
        return options

    def _segment(self, prepared, source, known, options, progress, cancel, began):
        """The segmentation of a prepared scan."""
        ready, first_answer = time.perf_counter(), known.first_answer
        answered = self.answer(prepared, source, known.box, options, progress, cancel, first_answer)
        labels = labels_of(answered.restored.classes, self.manifest, source.grid)
        empty = not (labels.voxels != self.manifest.labels[0].value).any()
        training, features = self.manifest.training, answered.features
        flags, quality = flags_of(features, training, empty), estimate(features, training)
        volumes, areas = sizes(labels, self.manifest)
        ended = time.perf_counter()
        second = answered.seconds - (0.0 if first_answer is None else first_answer.seconds)
        preparing, restoring = ready - began - (answered.seconds - second), ended - ready - second
        stages = {"prepare": preparing, "network": answered.seconds, "restore": restoring}
        maps = answered.restored.probabilities, answered.restored.uncertainty
        return Segmentation(labels, volumes, ended - began, stages, areas, *maps, flags, quality, features)


def load(folder, threads: int = 2, runtime: str = "auto", trust=None, checksum: str | None = None) -> Segmenter:
    """Open an artifact folder.

    Args:
        folder: as ``zoo export`` wrote it, or the name of a shipped artifact, such as "unet3d-hippocampus".
        threads: processor threads that the runtime may use.
        runtime: "litert", "onnxruntime", "openvino", or "auto" for the one that the artifact is made for.
        trust: PEM file of a public key, or a folder of them: only what one of these has signed is opened
            (``edge.trust.signature``). None opens what is not signed, too.
        checksum: SHA-256 that ``manifest.json`` must have, where that is known; the manifest holds the model's.

    Returns:
        A segmenter. With ``trust`` or ``checksum`` it is made of the very bytes that were checked, whatever becomes of
        the files meanwhile.

    Raises:
        InputError: if the folder is no artifact, its model file was altered, its runtime is not installed, or it is
            not signed by a trusted key.

    Example:
        >>> segmenter = edge.load("artifacts/hippo/tflite-int8")
        >>> segmentation = segmenter.predict(imaging.read("scan.nii.gz"))
        >>> imaging.write("segmentation.nii.gz", segmentation.labels)
    """
    folder = locate(folder)
    manifest, content = read_own(folder, trust, checksum)
    first = _load_first(folder, manifest, threads, runtime)
    return Segmenter(manifest, open_runner(folder / manifest.model, manifest, threads, runtime, content), first=first)


def _load_first(folder, manifest, threads, runtime) -> Segmenter | None:
    """The first network of a cascade; None of an artifact that is none."""
    read = read_first(folder, manifest)
    if read is None:
        return None
    place, first, content = read
    runner = open_runner(place / first.model, first, threads, runtime, content)
    return Segmenter(replace(first, training=None), runner)  # no flag is raised by its answer, which nobody sees
