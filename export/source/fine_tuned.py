"""What a run was fine-tuned for, and what an int8 format asks of a fine-tuning."""


def finetuning(training: dict) -> dict:
    """What a fine-tuning for int8 was for: granularity of the weights, format and bits; {} without one."""
    if not training.get("quantize"):
        return {}
    name, bits = target_of(training)
    return {"finetuned_for": training["quantize"], "finetuned_format": name, "finetuned_bits": bits}


def target_of(training: dict) -> tuple[str, int]:
    """Format that a plan's ``training`` is fine-tuned for and bits of its weights; runs of before name none."""
    from zoo.quantization import target

    name = training.get("quantize_format") or "tflite-int8"
    return name, target(name, training.get("quantize_bits", 0))[1]


def mismatched_rounding(provenance: dict, name: str, processor: str | None) -> str | None:
    """How a fine-tuned network was rounded, where that is not how a format rounds; else None.

    Args:
        provenance: of the source that is exported.
        name: of the format.
        processor: that it is exported for.
    """
    from zoo.quantization import target
    from zoo.quantization.targets import FORMATS

    if "finetuned_format" not in provenance or name not in FORMATS:
        return None
    trained = target(provenance["finetuned_format"], provenance["finetuned_bits"])
    if trained == target(name, weight_bits(name, processor)):
        return None
    return f"{provenance['finetuned_format']} with weights of {trained[1]} bits"


def rounding_warning(provenance: dict, formats, processor: str | None) -> str | None:
    """What to tell before a network is exported that was fine-tuned for another rounding; None where it was not.

    Args:
        provenance: of the source that is exported.
        formats: names of the formats asked for.
        processor: that they are exported for.
    """
    for name in formats:
        rounding = mismatched_rounding(provenance, name, processor)
        if rounding is not None:
            return f"{name}: the run was fine-tuned for {rounding}, which rounds at other places or to other steps"
    return None


def weight_bits(name: str, processor: str | None) -> int:
    """Bits of an int8 format's weights for a processor, as ``zoo finetune --weight-bits`` takes them: 0 for its own."""
    return 8 if processor == "amx" and not name.startswith("tflite") else 0
