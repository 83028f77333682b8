"""Golden numbers of weights, by MONAI 1.6.1 and nnU-Net's dynamic-network-architectures 0.4.

    pip install torch==2.13.0 monai==1.6.1 dynamic-network-architectures
    python tests/golden/monai/make_counts.py        writes counts.json beside this file

Counted are kernels, embeddings and bias tables, that is all but biases and the weights of normalisation and activation,
which implementations choose differently. ``OURS`` is read by the tests as well.
"""

import json
from pathlib import Path

FIVE = {"widths": (32, 32, 64, 128, 256), "depth": 5}

# id -> (entry without "3d", options, part of the weights' names that is counted, or None for all)
OURS = {
    "unet": ("unet", FIVE, None),
    "unet_plus_plus": ("unet_plus_plus", {**FIVE, "deep_supervision": True}, None),
    "attention_gates": ("attention_unet", {"width": 16, "depth": 4}, "gate"),
    "v_net": ("v_net", {"depth": 5, "kernels": 5, "blocks": (1, 1, 2, 3, 2), "decoder_blocks": (1, 1, 2, 2)}, "coder"),
    "segresnet": ("segresnet", {"width": 8, "depth": 4, "upsample": "linear"}, None),
    "plain_unet": ("plain_unet", {"width": 32, "depth": 5, "deep_supervision": True}, None),
    "res_unet": ("res_unet", {"width": 32, "depth": 5, "blocks": (1, 3, 4, 6, 6), "deep_supervision": True}, None),
    "unetr": ("unetr", {"width": 8, "hidden": 48, "heads": 4, "mlp": 96}, None),
    "swin_unetr": ("swin_unetr", {"width": 12}, None),
}


def reference(key: str, rank: int):
    """The other implementation's network, and the part of its weights' names that is counted."""
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
    from monai.networks import nets

    size = {"spatial_dims": rank, "in_channels": 1, "out_channels": 3}
    features = (32, 32, 64, 128, 256, 32)
    nnunet = {
        "input_channels": 1,
        "n_stages": 5,
        "features_per_stage": (32, 64, 128, 256, 320),
        "conv_op": torch.nn.Conv2d if rank == 2 else torch.nn.Conv3d,
        "kernel_sizes": 3,
        "strides": (1, 2, 2, 2, 2),
        "num_classes": 3,
        "deep_supervision": True,
        "norm_op": torch.nn.InstanceNorm2d if rank == 2 else torch.nn.InstanceNorm3d,
        "norm_op_kwargs": {"affine": True},
        "nonlin": torch.nn.LeakyReLU,
    }
    made = {
        "unet": lambda: nets.BasicUNet(**size, features=features),
        "unet_plus_plus": lambda: nets.BasicUNetPlusPlus(**size, features=features),
        "attention_gates": lambda: nets.AttentionUnet(**size, channels=(16, 32, 64, 128), strides=(2, 2, 2)),
        "v_net": lambda: nets.VNet(**size),
        "segresnet": lambda: nets.SegResNet(**size, init_filters=8, blocks_down=(1, 2, 2, 4)),
        "plain_unet": lambda: PlainConvUNet(**nnunet, n_conv_per_stage=2, n_conv_per_stage_decoder=2),
        "res_unet": lambda: ResidualEncoderUNet(
            **nnunet, n_blocks_per_stage=(1, 3, 4, 6, 6), n_conv_per_stage_decoder=1
        ),
        "unetr": lambda: nets.UNETR(
            **size, img_size=32, feature_size=8, hidden_size=48, mlp_dim=96, num_heads=4, norm_name="instance"
        ),
        "swin_unetr": lambda: nets.SwinUNETR(**size, feature_size=12),
    }
    part = {"attention_gates": ".attention.", "v_net": "_tr"}
    return made[key](), part.get(key)


def count(key: str, rank: int) -> int:
    """Kernel weights of the other implementation."""
    network, part = reference(key, rank)
    skipped = "out_tr"
    return sum(
        weight.numel()
        for name, weight in network.named_parameters()
        if weight.dim() > 1 and (part is None or (part in name and skipped not in name))
    )


def main() -> None:
    """Write the numbers."""
    values = {f"{key}_{rank}d": count(key, rank) for key in OURS for rank in (2, 3)}
    path = Path(__file__).with_name("counts.json")
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(f"{len(values)} numbers in {path.name}")


if __name__ == "__main__":
    main()
