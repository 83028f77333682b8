"""An artifact runs through the device runtime and must keep up with its network: on patches, then on labelled cases."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import edge
from edge.runtime.segmenter import Segmenter
from edge.trust.fingerprint import Fingerprint
from export.device import memory_advice
from export.errors import FidelityError, UnjudgedError
from export.quantize import calibration as calibrate
from export.source.source import Source, load_network, network_of
from export.verify import sanity
from export.verify.comparison import compare
from export.verify.fidelity import Fidelity
from export.verify.gate import UNJUDGED, refusal
from export.verify.training_scans import fingerprint
from imaging.io.dicom.reference import is_there
from imaging.regions import classes_of, written_classes

ANYWAY = "to write it all the same, --ship-anyway"


class NetworkRunner:
    """The float Keras network behind the device runtime's interface, so that both take the same path to a scan."""

    def __init__(self, model):
        self.model = model

    def run(self, patch: np.ndarray) -> np.ndarray:
        """Logits float32 (*patch, K) of a prepared patch float32 (*patch, C)."""
        return np.asarray(self.model.predict_on_batch(patch[None])[0], np.float32)


class _Watched:
    """A runner of which it is remembered whether its logits were finite, and ever differed from voxel to voxel."""

    def __init__(self, runner):
        self._runner, self._low, self._high = runner, np.inf, -np.inf
        self.finite = True

    def run(self, patch: np.ndarray) -> np.ndarray:
        logits = self._runner.run(patch)
        rows = logits.reshape(-1, logits.shape[-1])
        self.finite &= bool(np.isfinite(rows).all())
        self._low, self._high = np.minimum(self._low, rows.min(0)), np.maximum(self._high, rows.max(0))
        return logits

    @property
    def constant(self) -> bool:
        return bool(np.all(self._high - self._low <= 1e-6 * np.maximum(np.abs(self._high), 1e-3)))


@dataclass(frozen=True)
class Rules:
    """How an artifact is verified.

    Attributes:
        cases: compare it with the network on the source's validation cases; else on patches only.
        max_drop: the largest drop in mean Dice of any class, instead of the verdict's bounds; see
            ``export.verify.gate``.
        threads: processor threads for the artifact.
        flags: take the fingerprint of the training's scans as well.
    """

    cases: bool = True
    max_drop: float | None = None
    threads: int = 2
    flags: bool = True


@dataclass(frozen=True)
class Checked:
    """What came of the verification.

    Attributes:
        fidelity: on the validation cases; None where none were asked for.
        facts: entries of the manifest's ``source``.
        training: fingerprint of the scans; None where there are too few.
    """

    fidelity: Fidelity | None = None
    facts: dict = field(default_factory=dict)
    training: Fingerprint | None = None


class Verifier:
    """Compares artifacts of one network with it.

    Args:
        model: the Keras network that artifacts are made from. Where it was fine-tuned for int8, labelled cases compare
            the artifact with the float network before the fine-tuning.
        source: gives cases, classes and channels.
        rules: how.
        tell: takes a line of progress.
    """

    def __init__(self, model, source: Source, rules: Rules, tell: Callable[[str], None]):
        self.source, self.rules, self.tell = source, rules, tell
        self.exported = self.reference = model
        if source.reference is not None:
            self.reference = memory_advice.resized(
                load_network(source.reference), source.patch, memory_advice.built_from(source.provenance)
            )

    def check(self, folder: Path, patches: Sequence[np.ndarray] = (), anyway: bool = False) -> Checked:
        """Verify the artifact in ``folder``.

        Args:
            folder: of the artifact.
            patches: that it was calibrated with, (*patch, channels) each; none for one that was not.
            anyway: raise neither error, but record what is wrong.

        Raises:
            FidelityError: if it is not as good as the network; another conversion may be.
            UnjudgedError: if nothing can be said of it.
            InputError: if a validation case cannot be used.
        """
        artifact = edge.load(folder, self.rules.threads)
        facts = {}
        if patches or not self.rules.cases:
            facts["sanity"] = self._on_patches(artifact, patches, anyway).to_dict()
        fidelity = self._on_cases(artifact, anyway) if self.rules.cases else None
        training = fingerprint(artifact, self.source, self.rules.cases) if self.rules.flags else None
        return Checked(fidelity, facts, training)

    def _on_patches(self, artifact, patches, anyway) -> sanity.Sanity:
        patches, scans = self._scans_or_noise(patches)
        picks = np.unique(np.linspace(0, len(patches) - 1, min(sanity.PATCHES, len(patches))).round().astype(int))
        network = _Watched(NetworkRunner(self.exported))
        classes = [self._classes(network, patches[i]) for i in picks]
        if len(np.unique(np.stack(classes))) == 1:  # then all of them must be the same before that is said
            picks = range(len(patches))
            classes = [self._classes(network, patch) for patch in patches]
        problem = sanity.check_classes(
            classes,
            [self._classes(artifact.runner, patches[i]) for i in picks],
            [label.name for label in self.source.labels],
            # What is rare may be in none of the patches, labelled cases tell better; a constant is wrong in any case.
            network.constant or (scans and not self.rules.cases),
        )
        if not network.finite:
            logits = "the network's logits on patches are NaN or infinite; prepare scans as in training"
            problem = dataclasses.replace(problem, problem=logits)
        if problem.problem:
            error = UnjudgedError if problem.only or not network.finite else FidelityError
            self._refuse(error, f"{artifact.manifest.format}: {problem.problem}", anyway)
        return problem

    def _classes(self, runner, patch):
        return classes_of(runner.run(patch), written_classes(self.source.labels, self.source.regions))

    def _scans_or_noise(self, patches):
        """Calibration patches, or those that there would be, or noise where no scan is at hand."""
        if patches:
            return patches, True
        here = tuple(case for case in self.source.training if all(is_there(image) for image in case.images))
        if here:
            cases = calibrate.choose(here, sanity.PATCHES)
            return calibrate.patches(self.source, cases, sanity.PATCHES), True
        shape = (sanity.PATCHES, *self.source.patch, self.source.recipe.patch_channels)
        return list(np.random.default_rng(0).standard_normal(shape, np.float32)), False

    def _on_cases(self, artifact, anyway) -> Fidelity:
        labelled = tuple(case for case in self.source.validation if case.label is not None)
        first = artifact.first
        if first is not None:
            model = memory_advice.resized(
                network_of(self.source.first),
                first.manifest.patch,
                memory_advice.built_from(self.source.first.provenance),
            )
            first = dataclasses.replace(first, runner=NetworkRunner(model))
        network = Segmenter(artifact.manifest, NetworkRunner(self.reference), first=first)
        name = artifact.manifest.format
        self.tell(f"{name}: verifying on {len(labelled)} validation cases")
        fidelity = compare(
            lambda scan: network.predict(scan).labels.voxels[..., 0],
            lambda scan: artifact.predict(scan).labels.voxels[..., 0],
            labelled,
            self.source.labels,
            recipe=self.source.recipe,
            ignore=self.source.ignore,
            regions=self.source.regions,
        )
        self.tell(f"{name}: verdict {fidelity.verdict}, largest drop in mean Dice {fidelity.drop:+.4f}")
        if (objects := fidelity.objects) is not None:
            self.tell(
                f"{name}: average precision of objects {objects.ap_artifact:.4f}, network {objects.ap_network:.4f}"
            )
        if fidelity.unseen:
            self.tell(f"{name}: no case holds {', '.join(fidelity.unseen)}: nothing is known of them")
        reason = refusal(fidelity, self.rules.max_drop)
        if reason is None:
            return fidelity
        if fidelity.verdict == UNJUDGED:
            reason += "; check that the labels are those of the scans and their values those of the classes, or train "
            reason += "longer"
            self._refuse(UnjudgedError, f"{name}: {reason}", anyway)
        else:
            self._refuse(FidelityError, f"{name}: {reason}", anyway)
        return dataclasses.replace(fidelity, refused=reason)

    def _refuse(self, error, message, anyway):
        if not anyway:
            raise error(f"{message}; {ANYWAY}" if error is UnjudgedError else message)
        self.tell(f"{message}; written all the same, as was asked")
