"""The augmenters that pipeline_speed.py compares: each in a process of its own, in its own environment.

    python benchmarks/training/pipeline_peers.py NAME JOB.json

It makes batches for ever and answers a number N on standard input with the seconds that N batches took. This file
imports nothing of the repository but in ``ours``, so that it runs where only the peer is installed.
"""

import json
import math
import sys
import time

import numpy as np

RADIANS = math.pi / 180


class Regions:
    """Batches of regions a margin larger than the patch, cut from memory-mapped cases as nnU-Net's loader does."""

    def __init__(self, job, seed):
        self.job = job
        self.random = np.random.default_rng(seed)

    def read(self):
        """Image (C, *region) and label (1, *region), both float32."""
        folder = self.job["cases"][self.random.integers(len(self.job["cases"]))]
        image = np.load(f"{folder}/image.npy", mmap_mode="r")
        label = np.load(f"{folder}/label.npy", mmap_mode="r")
        shape, patch, region = (np.array(a) for a in (label.shape, self.job["patch"], self.job["region"]))
        start = (self.random.random(len(shape)) * np.maximum(shape - patch + 1, 1)).astype(int)
        if self.random.random() < self.job["foreground"]:
            positions, offsets = np.load(f"{folder}/positions.npy", mmap_mode="r"), np.load(f"{folder}/offsets.npy")
            present = np.flatnonzero(np.diff(offsets))
            if len(present):
                index = self.random.choice(present)
                start = positions[self.random.integers(offsets[index], offsets[index + 1])] - patch // 2
        start = np.where(shape > patch, np.clip(start, 0, np.maximum(shape - patch, 0)), -((patch - shape) // 2))
        start = start - (region - patch) // 2
        source = tuple(slice(max(a, 0), max(min(a + n, s), 0)) for a, n, s in zip(start, region, shape, strict=True))
        target = (0, *(slice(s.start - a, s.stop - a) for s, a in zip(source, start, strict=True)))
        data, seg = np.zeros((1, *region), np.float32), np.zeros((1, *region), np.float32)
        data[target], seg[target] = image[source][..., 0], label[source]
        return data, seg


def ours(job):
    """Batches of this repository's input pipeline."""
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job["workers"])
    tf.config.threading.set_inter_op_parallelism_threads(job["workers"])
    from pathlib import Path

    from medseg.record import from_dict
    from train.input.cache import CachedCase
    from train.input.pipeline import batches
    from train.planning.plan import Plan

    cases = [CachedCase(Path(f).name, Path(f), np.load(f"{f}/label.npy", mmap_mode="r").shape) for f in job["cases"]]
    return iter(batches(cases, from_dict(Plan, job["plan"]), training=True))


def batchgenerators(job, order: int = 3):
    """nnU-Net's augmenter (v1, and v2 until 2024), with its settings and ``order`` as its order of interpolation."""
    from batchgenerators.dataloading.data_loader import SlimDataLoaderBase
    from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
    from batchgenerators.transforms.abstract_transforms import Compose
    from batchgenerators.transforms.color_transforms import (
        BrightnessMultiplicativeTransform,
        ContrastAugmentationTransform,
        GammaTransform,
    )
    from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
    from batchgenerators.transforms.resample_transforms import SimulateLowResolutionTransform
    from batchgenerators.transforms.spatial_transforms import MirrorTransform, SpatialTransform

    class Loader(SlimDataLoaderBase):
        def generate_train_batch(self):
            regions = Regions(job, np.random.randint(2**31))
            data, seg = zip(*(regions.read() for _ in range(self.batch_size)), strict=True)
            return {"data": np.stack(data), "seg": np.stack(seg)}

    a = job["augmentation"]
    patch, angle = job["patch"], (-a["rotation"][0] * RADIANS, a["rotation"][0] * RADIANS)
    steps = [
        SpatialTransform(
            patch,
            [size // 2 for size in patch],
            do_elastic_deform=False,
            angle_x=angle,
            angle_y=angle,
            angle_z=angle,
            scale=a["scale"],
            border_mode_data="constant",
            border_cval_data=0,
            order_data=order,
            border_mode_seg="constant",
            border_cval_seg=0,
            order_seg=1,
            random_crop=False,
            p_rot_per_sample=a["rotation_chance"],
            p_scale_per_sample=a["scale_chance"],
        ),
        GaussianNoiseTransform((0, a["noise"]), p_per_sample=a["noise_chance"]),
        GaussianBlurTransform(
            a["blur"], different_sigma_per_channel=True, p_per_sample=a["blur_chance"], p_per_channel=0.5
        ),
        BrightnessMultiplicativeTransform(a["brightness"], p_per_sample=a["brightness_chance"]),
        ContrastAugmentationTransform(a["contrast"], p_per_sample=a["contrast_chance"]),
        SimulateLowResolutionTransform(
            a["low_resolution"],
            per_channel=True,
            p_per_channel=0.5,
            order_downsample=0,
            order_upsample=order,
            p_per_sample=a["low_resolution_chance"],
        ),
        GammaTransform(a["gamma"], True, True, retain_stats=True, p_per_sample=a["gamma_inverted_chance"]),
        GammaTransform(a["gamma"], False, True, retain_stats=True, p_per_sample=a["gamma_chance"]),
    ]
    if job["mirror"]:
        steps.append(MirrorTransform(tuple(job["mirror"])))
    loader = Loader(None, job["batch"], job["workers"])
    seeds = list(range(job["workers"]))
    return NonDetMultiThreadedAugmenter(loader, Compose(steps), job["workers"], 4, seeds, wait_time=0.002)


def batchgenerators_linear(job):
    """The same with linear interpolation of images, as ours."""
    return batchgenerators(job, order=1)


def batchgeneratorsv2(job):
    """nnU-Net's augmenter since 2024, in PyTorch, one thread in each of the worker processes."""
    import torch
    from batchgenerators.dataloading.data_loader import SlimDataLoaderBase
    from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    a = job["augmentation"]
    angle = (-a["rotation"][0] * RADIANS, a["rotation"][0] * RADIANS)

    def gamma(inverted, chance):
        step = GammaTransform(
            BGContrast(a["gamma"]), inverted, synchronize_channels=False, p_per_channel=1, p_retain_stats=1
        )
        return RandomTransform(step, apply_probability=chance)

    steps = [
        SpatialTransform(
            tuple(job["patch"]),
            patch_center_dist_from_border=0,
            random_crop=False,
            p_elastic_deform=0,
            p_rotation=a["rotation_chance"],
            rotation=angle,
            p_scaling=a["scale_chance"],
            scaling=tuple(a["scale"]),
            p_synchronize_scaling_across_axes=1,
            bg_style_seg_sampling=False,
        ),
        RandomTransform(GaussianNoiseTransform((0, a["noise"]), 1, True), apply_probability=a["noise_chance"]),
        RandomTransform(
            GaussianBlurTransform(a["blur"], synchronize_channels=False, synchronize_axes=False, p_per_channel=0.5),
            apply_probability=a["blur_chance"],
        ),
        RandomTransform(
            MultiplicativeBrightnessTransform(BGContrast(a["brightness"]), synchronize_channels=False, p_per_channel=1),
            apply_probability=a["brightness_chance"],
        ),
        RandomTransform(
            ContrastTransform(BGContrast(a["contrast"]), True, synchronize_channels=False, p_per_channel=1),
            apply_probability=a["contrast_chance"],
        ),
        RandomTransform(
            SimulateLowResolutionTransform(
                tuple(a["low_resolution"]), False, True, ignore_axes=None, allowed_channels=None, p_per_channel=0.5
            ),
            apply_probability=a["low_resolution_chance"],
        ),
        gamma(1, a["gamma_inverted_chance"]),
        gamma(0, a["gamma_chance"]),
    ]
    if job["mirror"]:
        steps.append(MirrorTransform(tuple(job["mirror"])))
    transform = ComposeTransforms(steps)

    class Loader(SlimDataLoaderBase):
        def generate_train_batch(self):
            regions = Regions(job, np.random.randint(2**31))
            made = []
            with torch.no_grad():
                for _ in range(self.batch_size):
                    data, seg = regions.read()
                    image, label = torch.from_numpy(data), torch.from_numpy(seg).to(torch.int16)
                    made.append(transform(image=image, segmentation=label))
            return {key: torch.stack([sample[key] for sample in made]).numpy() for key in ("image", "segmentation")}

    loader = Loader(None, job["batch"], job["workers"])
    return NonDetMultiThreadedAugmenter(loader, None, job["workers"], 4, list(range(job["workers"])), wait_time=0.002)


MAKERS = {f.__name__: f for f in (ours, batchgenerators, batchgenerators_linear, batchgeneratorsv2)}


def main():
    """Serve batches of the augmenter that the command line names."""
    with open(sys.argv[2], encoding="utf-8") as file:
        job = json.load(file)
    stream = MAKERS[sys.argv[1]](job)
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            next(stream)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
