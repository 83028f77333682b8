"""The training steps that training_step.py compares: each in a process of its own.

    python benchmarks/training/step_peers.py NAME JOB.json

It answers a number N on standard input with the seconds that N steps took, after a first line with the number of its
trainable weights. The PyTorch part imports nothing of the repository, so that it runs where only PyTorch is installed.
"""

import json
import os
import sys
import time

import numpy as np


def sample(job):
    """One batch: image (B, *patch, 1) float32 and class indices (B, *patch)."""
    random = np.random.default_rng(0)
    shape = (job["batch"], *job["patch"])
    return random.normal(size=(*shape, 1)).astype(np.float32), random.integers(0, job["classes"], shape)


def ours(job, plain: bool = False):
    """The step that ``zoo train`` makes; ``plain``: of the network and loss as Keras runs them by itself."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(job["threads"])
    from medseg.record import from_dict
    from train.fitting.fit import network, objective, optimizer
    from train.hardware.fused import fuse
    from train.planning.plan import Plan
    from zoo import losses

    plan = from_dict(Plan, job["plan"])
    model = network(plan, plan.training.precision)
    settings = {"loss": losses.get(plan.training.loss)} if plain else objective(plan, 1)
    model = model if plain else fuse(model)
    model.compile(optimizer=optimizer(plan), **settings, jit_compile=False)
    image, label = (tf.constant(a) for a in sample(job))
    label = tf.cast(label, tf.int32)
    weights = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    return weights, lambda: model.train_on_batch(image, label)


def keras(job):
    """The same network, optimizer and loss, none of its layers replaced and nothing compiled."""
    return ours(job, plain=True)


def torch(job, channels_last: bool = False):
    """The same network, loss and optimizer in PyTorch, bfloat16 by autocast."""
    import torch
    from torch import nn

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    classes, settings = job["classes"], job["plan"]["training"]

    def block(given, width):
        steps = []
        for channels in (given, width):
            steps += [nn.Conv3d(channels, width, 3, padding=1, bias=False), nn.BatchNorm3d(width, 1e-3, 0.1), nn.ReLU()]
        return nn.Sequential(*steps)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            widths = [16, 32, 64, 128]
            self.encoder = nn.ModuleList(block(a, b) for a, b in zip([1, *widths[:-1]], widths, strict=True))
            self.up = nn.ModuleList(nn.ConvTranspose3d(2 * w, w, 2, 2) for w in widths[:-1])
            self.decoder = nn.ModuleList(block(2 * w, w) for w in widths[:-1])
            self.logits = nn.Conv3d(widths[0], classes, 1)

        def forward(self, x):
            skips = []
            for level, stage in enumerate(self.encoder):
                x = stage(nn.functional.max_pool3d(x, 2) if level else x)
                skips.append(x)
            for level in reversed(range(len(self.up))):
                x = self.decoder[level](torch.cat([skips[level], self.up[level](x)], 1))
            with torch.autocast("cpu", enabled=False):
                return self.logits(x.float())

    model = UNet()
    image, label = (torch.from_numpy(a) for a in sample(job))
    image = image.movedim(-1, 1).contiguous()
    if channels_last:
        model, image = model.to(memory_format=torch.channels_last_3d), image.to(memory_format=torch.channels_last_3d)
    average = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), settings["learning_rate"], weight_decay=settings["weight_decay"])
    bfloat16 = settings["precision"] == "mixed_bfloat16"

    def loss_of(logits):
        truth = nn.functional.one_hot(label, classes).movedim(-1, 1).float()[:, 1:]
        guess = logits.softmax(1)[:, 1:]
        overlap, both = (truth * guess).sum((2, 3, 4)), truth.sum((2, 3, 4)) + guess.sum((2, 3, 4))
        dice = 1 - (2 * overlap + 1e-5) / (both + 1e-5)
        return dice.mean() + nn.functional.cross_entropy(logits, label)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(image)
        loss = loss_of(logits)
        loss.backward()
        if settings["clip_norm"]:
            nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        optimizer.step()
        if settings["ema"]:
            with torch.no_grad():
                torch._foreach_lerp_(average, [p.detach() for p in model.parameters()], 1 - settings["ema"])
        return loss.item()

    return sum(p.numel() for p in model.parameters()), step


def torch_channels_last(job):
    """The same with tensors in channels-last order."""
    return torch(job, channels_last=True)


MAKERS = {f.__name__: f for f in (ours, keras, torch, torch_channels_last)}


def main():
    """Serve the steps that the command line names."""
    with open(sys.argv[2], encoding="utf-8") as file:
        job = json.load(file)
    weights, step = MAKERS[sys.argv[1]](job)
    print(weights, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
