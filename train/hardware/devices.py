"""Several devices or machines for one training, by the engines that Keras has; each device takes the plan's batch.

TensorFlow: ``tf.distribute.MirroredStrategy``, and ``MultiWorkerMirroredStrategy`` where ``TF_CONFIG`` names several
workers. JAX: ``keras.distribution.DataParallel``, over several processes where ``KERAS_DISTRIBUTION_JOB_ADDRESSES``,
``KERAS_DISTRIBUTION_NUM_PROCESSES`` and ``KERAS_DISTRIBUTION_PROCESS_ID`` name them.
"""

import contextlib
import dataclasses
import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from medseg.errors import UsageError
from train.input.pipeline import Part
from train.planning.plan import Plan

ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"


@dataclass(frozen=True)
class Engine:
    """What a training runs on.

    Attributes:
        devices: that share every step, those of all processes together.
        process: number of this process.
        processes: how many there are.
        strategy: Keras' or TensorFlow's, None for a single device.
        backend: of Keras.
    """

    devices: int = 1
    process: int = 0
    processes: int = 1
    strategy: object = None
    backend: str = ""

    @property
    def chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.process == 0

    @property
    def mirrors(self) -> bool:
        """Whether TensorFlow copies the network to every device, so that what concerns a batch must be gathered."""
        return self.strategy is not None and self.backend == "tensorflow"

    def building(self):
        """The context to build and restore a network in."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def running(self):
        """The context to call ``fit`` in."""
        return contextlib.nullcontext() if self.mirrors else self.building()

    def spread(self, plan: Plan) -> Plan:
        """``plan`` with the batch of all devices together."""
        training = dataclasses.replace(plan.training, batch=plan.training.batch * self.devices)
        return dataclasses.replace(plan, training=training)

    def data(self, make: Callable[[Part], object]):
        """What ``fit`` takes of a stream of batches.

        Args:
            make: function from a ``Part`` to the ``tf.data.Dataset`` of that part.
        """
        if self.mirrors:
            return self.strategy.distribute_datasets_from_function(
                lambda context: make(
                    Part(context.input_pipeline_id, context.num_input_pipelines, context.num_replicas_in_sync)
                )
            )
        return make(Part(self.process, self.processes, self.processes))

    def check(self, plan: Plan) -> None:
        """Require that a plan can be trained on these devices.

        Raises:
            UsageError: naming the field.
        """
        settings = plan.training
        if self.processes > 1 and plan.first is not None:
            raise UsageError(f"configuration cascade: its two networks train in 1 process, not {self.processes}")
        if self.processes > 1 and settings.minutes:
            raise UsageError(
                f"training.minutes {settings.minutes:g}: the clocks of {self.processes} processes differ; give --epochs"
            )
        if self.devices > 1 and settings.quantize:
            raise UsageError(f"training.quantize: fine-tuning for int8 takes 1 device, not {self.devices}")
        if self.mirrors and settings.accumulate > 1:
            raise UsageError(
                f"training.accumulate {settings.accumulate}: Keras cannot accumulate over several devices with "
                "TensorFlow; set it 1 (each device adds its batch already), or KERAS_BACKEND=jax"
            )
        if self.mirrors and settings.precision == "mixed_float16":
            raise UsageError(
                "training.precision 'mixed_float16': Keras cannot scale the loss over several devices with TensorFlow; "
                "expected mixed_bfloat16 or float32"
            )


def is_cluster() -> bool:
    """Whether the environment makes this process one of several that train together.

    Raises:
        UsageError: if it names them for another backend, or cannot be read.
    """
    import keras

    backend = keras.backend.backend()
    several = _tensorflow_workers() > 1
    if several and backend != "tensorflow":
        raise UsageError(
            f"TF_CONFIG: names several workers, but Keras runs on {backend}; with jax name them in {ADDRESSES}, "
            "KERAS_DISTRIBUTION_NUM_PROCESSES and KERAS_DISTRIBUTION_PROCESS_ID"
        )
    if ADDRESSES in os.environ and backend != "jax":
        raise UsageError(f"{ADDRESSES}: is set, but Keras runs on {backend}; with tensorflow name workers in TF_CONFIG")
    return several or ADDRESSES in os.environ


def open_engine(devices: int | str | None = None) -> Engine:
    """The engine for so many devices. Processes of a cluster call it before anything else is computed.

    Args:
        devices: how many, "all", or None for one; a process of a cluster gives all that it has.

    Raises:
        UsageError: if there are fewer, or Keras has no engine for several on its backend.
    """
    import keras

    if devices is not None and devices != "all" and (not isinstance(devices, int) or devices < 1):
        raise UsageError(f"devices {devices!r}: expected 1 or more, or all")
    backend = keras.backend.backend()
    if is_cluster():
        if devices not in (None, "all"):
            raise UsageError(
                f"--devices {devices}: a process of a cluster gives all that it has; leave it out, and choose with "
                "CUDA_VISIBLE_DEVICES"
            )
        return _tensorflow_cluster() if backend == "tensorflow" else _jax_cluster()
    if devices in (None, 1):
        return Engine(backend=backend)
    if backend not in ("tensorflow", "jax"):
        raise UsageError(
            f"--devices {devices}: Keras has no engine for several devices on {backend}; KERAS_BACKEND=tensorflow and "
            "KERAS_BACKEND=jax have one"
        )
    names = _names(backend)
    count = len(names) if devices == "all" else devices
    if count > len(names):
        raise UsageError(f"--devices {count}: expected at most {len(names)}, there are {', '.join(names)}; or all")
    if count == 1:
        return Engine(backend=backend)
    return Engine(count, strategy=_strategy(backend, names[:count]), backend=backend)


def has_graphics_card() -> bool:
    """Whether Keras computes on a graphics card here."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    return keras.backend.backend() == "jax" and any("gpu" in name for name in keras.distribution.list_devices())


def _names(backend):
    """The graphics cards, or else the processors."""
    if backend == "jax":
        import keras

        return keras.distribution.list_devices()
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]


def _strategy(backend, names):
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.distribute.MirroredStrategy(names)
    import keras

    # Every process makes its own part of a batch; Keras would make all of it in each and throw the rest away.
    return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)


def _tensorflow_workers() -> int:
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return 1
    try:
        config = json.loads(text)
        tasks = config.get("cluster", {})
        count = sum(len(tasks.get(kind, ())) for kind in ("chief", "worker"))
    except (ValueError, AttributeError, TypeError):
        raise UsageError(f"TF_CONFIG: cannot be read as a cluster and a task in JSON: {text[:80]}") from None
    strange = sorted(set(tasks) - {"chief", "worker"})
    if strange and count > 1:
        raise UsageError(f"TF_CONFIG: holds tasks of kind {strange[0]}; expected chief or worker")
    return count


@functools.cache  # collectives are set up once in a process
def _tensorflow_cluster():
    import tensorflow as tf

    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UsageError(
            f"TF_CONFIG: TensorFlow was used before the workers were joined ({error}); call "
            "train.hardware.devices.open_engine('all') first"
        ) from None
    resolver = strategy.cluster_resolver
    tasks = resolver.cluster_spec().as_dict()
    before = len(tasks.get("chief", ())) if resolver.task_type == "worker" else 0
    processes = sum(len(tasks.get(kind, ())) for kind in ("chief", "worker"))
    return Engine(strategy.num_replicas_in_sync, before + resolver.task_id, processes, strategy, "tensorflow")


@functools.cache
def _jax_cluster():
    import jax
    import keras

    try:
        keras.distribution.initialize()
    except RuntimeError as error:
        raise UsageError(
            f"{ADDRESSES}: JAX could not join the processes ({error}); call train.hardware.devices.open_engine('all') "
            "before anything is computed"
        ) from None
    names = keras.distribution.list_devices()
    return Engine(len(names), jax.process_index(), jax.process_count(), _strategy("jax", names), "jax")
