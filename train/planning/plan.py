"""The plan: everything that training needs to know, decided once and kept as JSON."""

from dataclasses import dataclass, field, fields, replace

from imaging.instances import CHANNELS, Decoding
from imaging.labels import Label, Region
from imaging.recipe import Recipe, of_pictures
from imaging.regions import region_classes, written_classes
from medseg import schema
from medseg.schema import PLAN


@dataclass(frozen=True)
class Network:
    """A registry entry and the keyword overrides given to ``zoo.get``.

    Attributes:
        name: of the entry.
        options: keyword overrides.
    """

    name: str
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Augmentation:
    """Random changes to a training patch; a ``*_chance`` is the share of patches that get the change.

    The defaults are nnU-Net's (Isensee et al., Nature Methods 2021, arXiv:1904.08128); elastic deformation, bias field,
    cutout, mixup and what mimics a scanner, which it has not or leaves off, are off. Presets turn these on, see
    ``train.input.augmentation_presets``.

    Attributes:
        rotation: largest angle about each axis in degrees (one number stands for all axes; 2D: the first). Angles are
            of mm, and only in planes whose axes are at most 3 times as long as one another, see
            ``train.input.anisotropy``.
        scale: smallest and largest magnification, along the axes of these planes.
        elastic: largest displacement in voxels of the finest axis; its field is drawn on a grid of ``elastic_grid``
            points per axis.
        noise: largest standard deviation of Gaussian noise, in units of the normalised intensity.
        blur: smallest and largest sigma in voxels of the finest axis; along coarser ones as many mm.
        brightness, contrast: smallest and largest factor.
        low_resolution: smallest and largest share of the resolution, the finest axis's, that is kept.
        gamma: smallest and largest exponent; ``gamma_inverted_chance`` is for the negative image.
        bias_field: largest coefficient of the polynomial of order ``bias_field_order`` whose exponential is the field.
        cutout: smallest and largest side of a box, as a share of the patch's; boxes are 1 to ``cutout_boxes``.
        mixup: alpha of the Beta distribution of the share of a patch that stays when it is blended with another.
        rician: largest standard deviation of the noise of magnitude images (MR), in units of the normalised intensity.
        window: smallest and largest distance from the mean at which values are cut off, in standard deviations (CT).
        sharpen: how often at most what a blur of one voxel takes away is added: a sharp kernel (CT).
        speckle: largest share of Rayleigh noise in the signal (ultrasound).
        gain: largest shift, as a share of the range, which saturates (ultrasound).
        attenuation: largest exponent of the signal's fall along the last axis (ultrasound).
        negative_chance: of the negative, what was bright being dark (microscopy: emitted and transmitted light).
        tint: how far at most the colours of what differs from the mean are mixed at random, 0 to 1 (stains).
        offset: largest value added to each channel or taken from it, in units of the normalised intensity: what else
            lies in the field of view moves the mean.
        preset: name of the set that the settings are of, where they are of one.
    """

    rotation_chance: float = 0.2
    rotation: tuple[float, ...] = (30.0,)
    scale_chance: float = 0.2
    scale: tuple[float, ...] = (0.7, 1.4)
    elastic_chance: float = 0.0
    elastic: float = 3.0
    elastic_grid: int = 4
    noise_chance: float = 0.1
    noise: float = 0.3
    blur_chance: float = 0.2
    blur: tuple[float, ...] = (0.5, 1.0)
    brightness_chance: float = 0.15
    brightness: tuple[float, ...] = (0.75, 1.25)
    contrast_chance: float = 0.15
    contrast: tuple[float, ...] = (0.75, 1.25)
    low_resolution_chance: float = 0.25
    low_resolution: tuple[float, ...] = (0.5, 1.0)
    gamma_chance: float = 0.3
    gamma_inverted_chance: float = 0.1
    gamma: tuple[float, ...] = (0.7, 1.5)
    bias_field_chance: float = 0.0
    bias_field: float = 0.5
    bias_field_order: int = 3
    cutout_chance: float = 0.0
    cutout: tuple[float, ...] = (0.1, 0.4)
    cutout_boxes: int = 3
    mixup_chance: float = 0.0
    mixup: float = 0.2
    rician_chance: float = 0.0
    rician: float = 0.3
    window_chance: float = 0.0
    window: tuple[float, ...] = (1.0, 3.0)
    sharpen_chance: float = 0.0
    sharpen: float = 1.5
    speckle_chance: float = 0.0
    speckle: float = 0.5
    gain_chance: float = 0.0
    gain: float = 0.15
    attenuation_chance: float = 0.0
    attenuation: float = 1.0
    negative_chance: float = 0.0
    tint_chance: float = 0.0
    tint: float = 1.0
    offset_chance: float = 0.0
    offset: float = 0.7
    preset: str = ""


@dataclass(frozen=True)
class Training:
    """How the network is fitted.

    Attributes:
        epochs: passes of ``steps_per_epoch`` batches; the learning rate falls to zero over all of them.
        steps_per_epoch: batches of an epoch.
        batch: patches of a batch.
        optimizer: "adamw" or "sgd" (with Nesterov momentum).
        learning_rate: highest.
        weight_decay: of the optimizer.
        loss: see ``zoo.losses.get``.
        seed: of the first weights, the draw of patches and the augmentation.
        augmentation: random changes to patches.
        minutes: instead of ``epochs``, the time that training may take; the schedule follows the clock.
        schedule: how the learning rate falls after the warm-up: "cosine", "poly" (power 0.9) or "constant".
        warmup: share of the training over which the learning rate rises from zero.
        ema: decay of the moving average of the weights that is evaluated and saved; 0 for none.
        clip_norm: largest norm of the whole gradient; 0 for no limit.
        precision: Keras' dtype policy: "float32", "mixed_bfloat16", "mixed_float16", or "auto": the run's plan then
            holds what the machine it started on is fastest with, float32 or mixed_bfloat16, by half a second of the
            plan's own step in each; the times are in ``run.json``.
        foreground: share of the patches that are centred on a voxel of a foreground class.
        mirror: spatial axes that a patch may be flipped along.
        accumulate: batches whose gradients are averaged for one step of the optimizer.
        class_weights: a factor per class in the loss, background first; none for equal ones.
        deep_supervision: train the coarser decoder levels as well; the trained network has one output all the same.
        start: run folder, weights file or shipped set whose layers of equal name and shape the network starts from.
        freeze: wildcards on the names of layers that are not trained, such as "encoder".
        quantize: train with fake quantization for int8, with "per-channel" or "per-tensor" scales; empty for none.
        quantize_format: the int8 format of ``zoo export`` that ``quantize`` trains for: "tflite-int8", "onnx-int8" or
            "openvino-int8". Empty where nothing is quantized, and in runs of before, which trained for tflite-int8.
        quantize_bits: of the weights in it; 0 for the format's own, 8 in TFLite and 7 in ONNX and OpenVINO files.
        patience: epochs without a lower validation loss (``validate_every``: a higher Dice) that end it; 0 for never.
        validate_every: epochs after which held-back cases are segmented whole and scored; 0 for never.
        validate_cases: how many of them, the first of the fold; 0 for all.
    """

    epochs: int = 60
    steps_per_epoch: int = 50
    batch: int = 4
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    ema: float = 0.99
    clip_norm: float = 12.0
    loss: str = "dice_ce"
    precision: str = "auto"
    foreground: float = 0.33
    mirror: tuple[int, ...] = ()
    seed: int = 0
    minutes: float | None = None
    augmentation: Augmentation = Augmentation()
    schedule: str = "cosine"
    accumulate: int = 1
    class_weights: tuple[float, ...] = ()
    deep_supervision: bool = False
    patience: int = 0
    start: str = ""
    freeze: tuple[str, ...] = ()
    quantize: str = ""
    quantize_format: str = ""
    quantize_bits: int = 0
    validate_every: int = 0
    validate_cases: int = 0


@dataclass(frozen=True)
class First:
    """The first network of a cascade, of low resolution; for all else the plan holds for both.

    Attributes:
        recipe, network, patch, training: as of a ``Plan``.
    """

    recipe: Recipe
    network: Network
    patch: tuple[int, ...]
    training: Training


@dataclass(frozen=True)
class Plan:
    """What a dataset asks for.

    Attributes:
        dataset: name of the dataset.
        labels: classes in order of class index, background first.
        channels: names of the input channels.
        recipe: preprocessing of every scan.
        network: the registry entry and its overrides.
        patch: spatial size of what the network sees, voxels; of a slice where the recipe says ``slices``.
        overlap: share of a patch that neighbouring tiles overlap by, 0 to 0.9.
        training: how it is fitted.
        folds: for each fold the names of its validation cases.
        fingerprint: what was measured of the dataset.
        reasons: field name to the rule that decided it, for ``zoo plan --explain``.
        schema: number of the format, see ``medseg.schema``.
        images_folder, labels_folder: those that were planned for (plain dataset layout).
        ignore: value of voxels in label files that count in no loss, draw of patches or score; None for none.
        bounds: what network and patch were chosen to keep to, by the names of ``zoo plan``'s options.
        regions: structures that may overlap, in the order in which a segmentation writes them (``imaging.regions``).
            The network then has a sigmoid channel for each, and ``labels`` are the values that they are made of. None
            where classes are disjoint.
        needs: the oldest version of medseg-zoo that reads the file.
        instances: how the network's answer, the channels of ``imaging.instances``, is cut into objects, where label
            files hold a number for every object of the one class. None for classes.
        configuration: "2d" (flat images, or volumes slice by slice), "2.5d" (with neighbouring slices as channels),
            "3d", "3d-low" (coarser) or "cascade" (the two in turn), see ``train.planning.configuration``; empty in
            plans of before.
        first: of a cascade, the network of low resolution whose segmentation this plan's network takes beside the
            scan; its channels are ``recipe.prior``. None where the scan alone is taken.
        average_flips: predictions are the mean over all flips along ``training.mirror``.
    """

    dataset: str
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    recipe: Recipe
    network: Network
    patch: tuple[int, ...]
    overlap: float
    training: Training
    folds: tuple[tuple[str, ...], ...]
    fingerprint: dict = field(default_factory=dict)
    reasons: dict = field(default_factory=dict)
    schema: int = PLAN.newest
    labels_folder: str = "labels"
    ignore: int | None = None
    bounds: dict = field(default_factory=dict)
    images_folder: str = "images"
    needs: str = PLAN.needs
    regions: tuple[Region, ...] = ()
    instances: Decoding | None = None
    configuration: str = ""
    first: First | None = None
    average_flips: bool = False

    def first_plan(self) -> "Plan | None":
        """The plan of the first network of a cascade, that of configuration "3d-low"; None of other plans."""
        if self.first is None:
            return None
        first = {field.name: getattr(self.first, field.name) for field in fields(First)}
        return replace(self, **first, configuration="3d-low", first=None, average_flips=False, reasons={})

    def flips(self, mirror: bool | None = None) -> tuple[int, ...]:
        """The axes over whose flips predictions are averaged: as planned, or with ``mirror`` all or none."""
        return self.training.mirror if self.averages(mirror) else ()

    def averages(self, mirror: bool | None) -> bool:
        """``mirror``, or where that is None what the plan says."""
        return self.average_flips if mirror is None else mirror

    @property
    def outputs(self) -> int:
        """Channels of the network: those of instances, or one for each region, or else for each class."""
        if self.instances is not None:
            return len(CHANNELS)
        return len(self.regions) or len(self.labels)

    @property
    def region_classes(self) -> tuple[tuple[int, ...], ...] | None:
        """The class indices that each region covers, for ``zoo.losses`` and ``zoo.metrics``; None without regions."""
        return region_classes(self.labels, self.regions) or None

    @property
    def written_classes(self) -> tuple[int, ...] | None:
        """The class index that each region writes, for ``imaging.restore_classes``; None without regions."""
        return written_classes(self.labels, self.regions)

    @property
    def ignore_class(self) -> int | None:
        """The class index of voxels that nobody has labelled, for ``zoo.losses`` and ``zoo.metrics``; None for none."""
        return None if self.ignore is None else len(self.labels)


def load_plan(path) -> Plan:
    """Read a ``plan.json``.

    Raises:
        InputError: if it cannot be read, has a schema that this version does not read, or a field is unknown, missing
            or of another type; the message names the file.
    """
    plan = schema.load(path, Plan, PLAN)
    if plan.fingerprint.get("has_spacing") is False:
        plan = replace(plan, recipe=of_pictures(plan.recipe))
    return plan
