"""nnU-Net trained for some minutes on a processor, and its segmentations; equal_minutes.py runs it by nnU-Net's Python.

    peers/bin/python benchmarks/comparison/nnunet_minutes.py --work FOLDER --configuration 2d --minutes 20 --scans SCANS

FOLDER/raw/Dataset001_set is a dataset in nnU-Net's own layout, FOLDER/splits_final.json its split. The plan is
nnU-Net's default, and so is its trainer but for what the budget asks for: the learning rate falls with the clock as
nnU-Net's falls with the epochs, and neither the validation after each epoch nor checkpoints take of the time. Planning
and preprocessing are not counted. Prints one JSON object.
"""

import argparse
import json
import os
import resource
import shutil
import time
from pathlib import Path

DATASET = "Dataset001_set"


def main():
    """Plan, preprocess, train, segment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--configuration", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument(
        "--scans", type=Path, required=True, help="folder of the held-back scans, as nnU-Net names them"
    )
    args = parser.parse_args()
    # nnU-Net reads these when it is imported.
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(args.work / name)
    os.environ.update(nnUNet_compile="false")
    plan(args.work, args.configuration)
    trainer, used = train(args)
    segment(trainer, args)
    print(json.dumps(used))


def plan(work: Path, configuration: str):
    """Fingerprint, default plan and preprocessed cases, unless they are there."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    folder = work / "preprocessed" / DATASET
    if not (folder / "splits_final.json").is_file():
        api.extract_fingerprints([1], num_processes=2)
        api.plan_experiments([1])
        api.preprocess([1], configurations=[configuration], num_processes=[2])
        shutil.copy(work / "splits_final.json", folder / "splits_final.json")


def train(args):
    """A trainer whose network has learnt for the minutes, and what that took."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    torch.set_num_threads(os.cpu_count())
    trainer = get_trainer_from_args("1", args.configuration, 0, device=torch.device("cpu"))
    trainer.on_train_start()
    trainer.network.train()
    before, steps, losses = processor_seconds(), 0, []
    began, budget = time.monotonic(), 60 * args.minutes
    while (elapsed := time.monotonic() - began) < budget:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - elapsed / budget) ** 0.9
        losses.append(float(trainer.train_step(next(trainer.dataloader_train))["loss"]))
        steps += 1
    used = {
        "steps": steps,
        "batch": trainer.batch_size,
        "patch": list(trainer.configuration_manager.patch_size),
        "parameters": sum(weights.numel() for weights in trainer.network.parameters()),
        "minutes": (time.monotonic() - began) / 60,
        # Workers that augment count once they have ended; they are asked to below.
        "loss": sum(losses[-10:]) / len(losses[-10:]),
    }
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):
            loader._finish()
    used["processor_minutes"] = (processor_seconds() - before) / 60
    return trainer, used


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def segment(trainer, args):
    """Segment the held-back scans as nnU-Net does: overlapping tiles, Gaussian weights, mirrored."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        "nnUNetTrainer",
        trainer.inference_allowed_mirroring_axes,
    )
    out = args.work / "segmented"
    out.mkdir(exist_ok=True)
    predictor.predict_from_files_sequential(str(args.scans), str(out))


if __name__ == "__main__":
    main()
