"""Dataset folder to plan to ``tf.data`` to ``keras.fit`` to run folder to evaluation; names load when first used."""

import importlib

from medseg.shadowing import guard

guard("train", "zoo", "imaging")

_NAMES = {
    "Case": "data.dataset",
    "Dataset": "data.dataset",
    "Plan": "planning.plan",
    "evaluate": "evaluation.evaluate",
    "finetune": "fitting.finetuning",
    "fit": "fitting.fit",
    "make_plan": "planning.planner",
    "open_dataset": "data.dataset",
    "open_run": "fitting.run",
    "pipeline": "input.pipeline",
    "split": "planning.split",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"train.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'train' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return __all__
