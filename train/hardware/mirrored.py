"""What makes several mirrored copies of a network train as one with their batches together (``tf.distribute``)."""

import keras
import tensorflow as tf


class _Gathered:
    """An optimizer that clips the gradient of the whole batch; Keras' own would clip that of each copy alone."""

    def apply(self, grads, trainable_variables=None):
        context = tf.distribute.get_replica_context()
        # Keras sums the gradients over the copies afterwards; of their means that gives the sum again.
        gathered = context.all_reduce(tf.distribute.ReduceOp.MEAN, list(grads))
        return super().apply(gathered, trainable_variables)


class GatheredAdamW(_Gathered, keras.optimizers.AdamW):
    """``keras.optimizers.AdamW``; its ``global_clipnorm`` is that of the mean over the copies."""


class GatheredSGD(_Gathered, keras.optimizers.SGD):
    """``keras.optimizers.SGD``; its ``global_clipnorm`` is that of the mean over the copies."""


class WorkerModel(keras.Model):
    """A functional model for ``MultiWorkerMirroredStrategy``, which Keras 3.15 cannot feed and whose scalars it cannot
    average (keras-team/keras issue 20585).
    """

    def train_step(self, data):
        return _as_vectors(super().train_step(data))

    def test_step(self, data):
        return _as_vectors(super().test_step(data))

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            first = self.distribute_strategy.experimental_local_results
            data_batch = tf.nest.map_structure(lambda value: first(value)[0], next(batches))
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)


def for_workers(model):
    """The same network as a ``WorkerModel``, to be called in the scope of the strategy."""
    outputs = model.outputs if len(model.outputs) > 1 else model.outputs[0]
    return WorkerModel(model.inputs[0], outputs, name=model.name)


def _as_vectors(logs):
    """Keras averages them over the workers along an axis, which a scalar lacks."""
    return {name: value[None] for name, value in logs.items()}
