"""Dataset folder to plan to ``tf.data`` to ``keras.fit`` to run folder to evaluation.

``train.pipeline``, ``train.fit``, ``train.evaluate`` and ``train.split`` are the functions, not the modules of the same
name; write ``from train.pipeline import ...`` for what else such a module holds.
"""

import importlib
import sys
import types

from medseg.shadowing import guard

guard("train", "zoo", "imaging")

_PLACES = {
    "Case": "train.dataset",
    "Dataset": "train.dataset",
    "Plan": "train.plan",
    "evaluate": "train.evaluate",
    "finetune": "train.finetuning",
    "fit": "train.fit",
    "make_plan": "train.planning",
    "open_dataset": "train.dataset",
    "open_run": "train.run",
    "pipeline": "train.pipeline",
    "split": "train.split",
}


class _Package(types.ModuleType):
    """Names are loaded when first used. Properties, because importing ``train.pipeline`` sets the package's attribute
    ``pipeline`` to the module, which must not hide the function.
    """


def _lazy(name):
    def get(_):
        return getattr(importlib.import_module(_PLACES[name]), name)

    return property(get, lambda _, module: None)


for _name in _PLACES:
    setattr(_Package, _name, _lazy(_name))
sys.modules[__name__].__class__ = _Package

__all__ = sorted(_PLACES)
