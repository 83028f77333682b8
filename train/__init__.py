"""Dataset folder to plan to ``tf.data`` to ``keras.fit`` to run folder to evaluation; names load when first used."""

from medseg.packages.lazy import lazy_names
from medseg.packages.shadowing import guard

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

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
