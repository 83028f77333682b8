"""Several artifacts as one network: the mean of their probabilities."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.first_pass import ask
from edge.manifest import Manifest
from edge.measure import sizes
from edge.runtime.many import Outcome, predict_in_order
from edge.runtime.options import Options, Outputs, axes_of, check_options
from edge.runtime.patches import entropy
from edge.runtime.restored import labels_of
from edge.runtime.runner import Runner
from edge.runtime.segmenter import Progress, Segmenter, load
from edge.segmentation import Segmentation
from edge.trust.fingerprint import estimate, flags_of
from edge.trust.observation import as_read
from imaging.cleaning import Postprocessing
from imaging.io.files import read
from imaging.recipe import prepare
from imaging.regions import classes_of, written_classes
from imaging.scan import Scan, as_scan, grid_of
from medseg.errors import InputError, UsageError, naming
from medseg.progress import Cancel, check_cancelled, in_turn

SAME = ("labels", "regions", "instances", "channels")
SAME_PATCHES = ("recipe", "patch", "overlap", "mirror")


@dataclass(frozen=True)
class Ensemble:
    """Networks that prepare or tile a scan differently, such as one of slices and one of whole volumes.

    Each answers by itself, as it does alone; the mean of the probabilities is taken on the scan's own grid, every
    network counting alike.

    Attributes:
        members: of the same classes and channels; each may itself be several networks of one recipe.
    """

    members: tuple[Segmenter, ...]

    @property
    def manifest(self) -> Manifest:
        """That of the first: classes, channels and post-processing are those of all."""
        return self.members[0].manifest

    @property
    def others(self) -> tuple[Runner, ...]:
        """The networks beside the first."""
        return tuple(runner for member in self.members for runner in (member.runner, *member.others))[1:]

    def predict(
        self,
        scan: Scan | np.ndarray,
        progress: Progress = None,
        spacing=None,
        options: Options | None = None,
        cancel: Cancel = None,
    ) -> Segmentation:
        """Segment a scan, as ``edge.Segmenter.predict`` does; the probabilities are held whole on the scan's grid.

        Args:
            scan, progress, spacing, cancel: as there.
            options: as there; flips are along all axes of each network, or none, or by default its own.

        Returns:
            The segmentation: the variance is over networks and flips, the flags are those of every network's answer,
            the predicted quality is the lowest, features are those of the first.

        Raises:
            As ``edge.Segmenter.predict``; InputError too if the probabilities would take more memory than the limit.
        """
        began = time.perf_counter()
        options = options or Options()
        flipped = self._flipped(options)
        scan = as_scan(scan, self.manifest.recipe.rank, spacing)
        return self._segment(scan, flipped, options, progress, cancel, began)

    def predict_file(
        self, paths, progress: Progress = None, options: Options | None = None, cancel: Cancel = None
    ) -> Segmentation:
        """Segment a scan from its file or files, as ``edge.Segmenter.predict_file`` does; errors name the file."""
        began = time.perf_counter()
        options, recipe = options or Options(), self.manifest.recipe
        flipped = self._flipped(options)
        check_cancelled(cancel, str(paths))
        scan = read(paths, recipe.channels, recipe.nan)
        with naming(str(paths) if isinstance(paths, str | Path) else ",".join(map(str, paths))):
            return self._segment(scan, flipped, options, progress, cancel, began)

    def predict_many(
        self, scans: Iterable, workers: int = 2, options: Options | None = None, cancel: Cancel = None
    ) -> Iterator[Outcome]:
        """Segment many scans, some at a time, as ``edge.Segmenter.predict_many`` does."""
        self._flipped(options or Options())

        def segment(scan, stop):
            if isinstance(scan, Scan | np.ndarray):
                return self.predict(scan, options=options, cancel=stop)
            return self.predict_file(scan, options=options, cancel=stop)

        return predict_in_order(scans, segment, workers, cancel)

    def _flipped(self, options) -> list[Options]:
        """The options of each member, whose axes differ."""
        rank = self.manifest.recipe.patch_rank
        check_options(options, 1 + len(self.others), self.manifest)
        if options.mirror and options.mirror != tuple(range(rank)):
            raise UsageError(
                f"mirror {options.mirror}: the networks have different axes; expected all of them, or none"
            )
        alone = replace(options, region=None)
        if not options.mirror:
            return [replace(alone, mirror=axes_of(alone, member.manifest)) for member in self.members]
        ranks = [member.manifest.recipe.patch_rank for member in self.members]
        return [replace(alone, mirror=tuple(range(rank))) for rank in ranks]

    def _segment(self, scan, flipped, options, progress, cancel, began):
        """The segmentation of a scan; ``flipped`` are the options of each member."""
        manifest, grid = self.manifest, grid_of(scan)
        box = options.region.find(scan, cancel) if options.region else None
        mean = _Mean(grid, manifest, options.outputs.variance)
        answers, ended, asked = [], [], 0.0
        for member, how, part in zip(self.members, flipped, in_turn(progress, len(flipped)), strict=True):
            first_answer, own_part = ask(member.first, scan, part, cancel)
            asked += 0.0 if first_answer is None else first_answer.seconds
            prepared = prepare(scan, member.manifest.recipe)
            ended.append(time.perf_counter())
            how = replace(how, outputs=mean.needed(bool(how.mirror or member.others)))
            answer = member.answer(prepared, as_read(scan, member.manifest), box, how, own_part, cancel, first_answer)
            mean.add(answer.restored, 1 + len(member.others))
            answers.append((answer.features, member.manifest.training, answer.seconds))
            ended.append(time.perf_counter())
        classes, probabilities, uncertainty = mean.result(options.outputs)
        labels = labels_of(classes, manifest, grid)
        empty = not (labels.voxels != manifest.labels[0].value).any()
        flags = [flag for features, training, _ in answers for flag in flags_of(features, training, empty)]
        estimates = [estimate(features, training) for features, training, _ in answers]
        known = sorted((each for each in estimates if each is not None), key=lambda each: each.dice)
        network = sum(seconds for _, _, seconds in answers)
        preparing = ended[0] - began - asked + sum(b - a for a, b in zip(ended[1::2], ended[2::2], strict=False))
        volumes, areas = sizes(labels, manifest)
        seconds = time.perf_counter() - began
        stages = {"prepare": preparing, "network": network, "restore": seconds - preparing - network}
        return Segmentation(
            labels,
            volumes,
            seconds,
            stages,
            areas,
            probabilities,
            uncertainty,
            tuple(dict.fromkeys(flags)),
            known[0] if known else None,
            answers[0][0],
        )


class _Mean:
    """Adds up probabilities on the grid of a scan.

    Args:
        grid: of the scan.
        manifest: of the networks.
        variance: whether the variance over networks and flips is wanted too.
    """

    def __init__(self, grid: Scan, manifest: Manifest, variance: bool):
        self.grid, self.manifest, self.variance = grid, manifest, variance
        self.count = 0
        self.total = np.zeros((*grid.shape, len(manifest.regions) or len(manifest.labels)), np.float32)
        self.squares = np.zeros(grid.shape if variance else (), np.float32)

    def needed(self, averaged: bool) -> Outputs:
        """What is needed of a member, which has a variance of its own where it is the mean of something."""
        return Outputs(probabilities=True, variance=self.variance and averaged)

    def add(self, restored, networks: int) -> None:
        """Take the answer of a member, that is the mean of so many networks."""
        chances = restored.probabilities.voxels
        if self.variance:
            # The mean square of networks and flips is the square of their mean and their variance about it.
            spread = np.square(chances).sum(axis=-1)
            if "variance" in restored.uncertainty:
                spread += restored.uncertainty["variance"].voxels[..., 0]
            self.squares += networks * spread
        chances *= networks
        self.total += chances
        self.count += networks

    def result(self, outputs: Outputs) -> tuple[np.ndarray, Scan | None, dict[str, Scan]]:
        """Classes uint8 (*spatial), and probabilities and uncertainty as far as they were asked for."""
        regions = bool(self.manifest.regions)
        chances = self.total
        chances /= self.count
        written = written_classes(self.manifest.labels, self.manifest.regions)
        classes = np.empty(self.grid.shape, np.uint8)
        maps = {}
        if outputs.entropy:
            maps["entropy"] = np.empty(self.grid.shape, np.float32)
        for index, here in enumerate(chances):  # slice by slice: a region is where its probability is above a half
            classes[index] = classes_of(here - 0.5 if regions else here, written)
            if outputs.entropy:
                maps["entropy"][index] = entropy(here, regions)
        if outputs.variance:
            maps["variance"] = np.maximum(self.squares / self.count - np.square(chances).sum(axis=-1), 0)
        scans = {name: replace(self.grid, voxels=voxels[..., None]) for name, voxels in maps.items()}
        return classes, replace(self.grid, voxels=chances) if outputs.probabilities else None, scans


def load_ensemble(folders: Sequence, threads: int = 2, runtime: str = "auto", trust=None) -> Segmenter | Ensemble:
    """Open one artifact, or several whose probabilities are averaged.

    Those that prepare and tile a scan alike, such as the folds of a cross-validation, are averaged patch by patch;
    others, such as a 2D and a 3D network of one dataset, on the scan's own grid. What all clean up alike is cleaned up.

    Args:
        folders: artifact folders or names of shipped artifacts.
        threads, runtime, trust: as for ``edge.load``.

    Returns:
        A segmenter with the manifest of the first, but for its post-processing.

    Raises:
        InputError: as ``edge.load``, or if the artifacts differ in what they take or tell apart; the message names the
            field.
    """
    opened = [load(folder, threads, runtime, trust) for folder in folders]
    first = opened[0].manifest
    for folder, segmenter in zip(folders[1:], opened[1:], strict=True):
        _check_same(first, segmenter.manifest, f"{folder}", f"{folders[0]}")
    opened = _cleaning_alike(opened)
    groups: list[list[Segmenter]] = []
    for segmenter in opened:
        alike = [group for group in groups if _tiles_alike(group[0].manifest, segmenter.manifest)]
        if alike:
            alike[0].append(segmenter)
        else:
            groups.append([segmenter])
    members = [replace(each, others=tuple(member.runner for member in others)) for each, *others in groups]
    if len(members) > 1 and first.instances is not None:
        raise InputError(
            f"{folders[0]}: finds objects, whose networks are averaged patch by patch; expected artifacts of one plan"
        )
    return members[0] if len(members) == 1 else Ensemble(tuple(members))


def _cleaning_alike(opened: list[Segmenter]) -> list[Segmenter]:
    """The same segmenters with the post-processing that they share: each rests on the answers of one network."""
    cleanings = [segmenter.manifest.postprocessing.classes for segmenter in opened]
    shared = Postprocessing(tuple(each for each in cleanings[0] if all(each in classes for classes in cleanings)))
    return [replace(each, manifest=replace(each.manifest, postprocessing=shared)) for each in opened]


def _check_same(first, manifest, folder, of) -> None:
    """Require two artifacts to take the same scans and find the same classes."""
    pairs = {name: (getattr(first, name), getattr(manifest, name)) for name in SAME}
    pairs |= {
        f"recipe.{name}": (getattr(first.recipe, name), getattr(manifest.recipe, name)) for name in ("rank", "nan")
    }
    for name, (here, there) in pairs.items():
        if here != there:
            raise InputError(
                f"{folder}: {name} differs from that of {of}; expected artifacts of one dataset, such as the folds of "
                "a cross-validation or the pair of a zoo train --configuration all"
            )


def _tiles_alike(first, manifest) -> bool:
    if first.first is not None or manifest.first is not None:  # each is told something else of the scan
        return False
    return all(getattr(first, name) == getattr(manifest, name) for name in SAME_PATCHES)
