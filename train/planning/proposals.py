"""Filters that a dataset gives reason for: proposed, with the reason and the option, and never applied unasked."""

from collections.abc import Sequence

import numpy as np

from imaging.filters.denoising.noise import noise_deviation
from imaging.filters.standardise import SCALE, landmarks_of
from train.input.modality import is_ct

_SAMPLES = 20_000  # voxels that a bias field is fitted to
_BIAS_RANGE = 1.6  # brightest to darkest place, from which N4 is worth its time
_BIAS_SHARE = 0.35  # of the variance of the logarithm that a smooth field explains
_NOISE = 0.12  # deviation of the noise in units of the contrast (percentiles 5 to 95 of the body)
_SHAPE = 12.0  # points of 100 by which the median lies elsewhere between the first and the last landmark


def measure_quality(image) -> dict:
    """Noise, bias field and histogram of a scan.

    Args:
        image: a Scan.

    Returns:
        ``noise`` (deviation over contrast), ``bias`` (brightest over darkest place of the fitted field), ``bias_share``
        (of the logarithm's variance that it explains) and ``landmarks`` (11, from 0 to 100) of the first channel.
    """
    channel = image.voxels[..., 0]
    body = channel > channel.min()
    if np.count_nonzero(body) < 100:
        return {"noise": 0.0, "bias": 1.0, "bias_share": 0.0, "landmarks": np.zeros(11)}
    low, high = np.percentile(channel[body], (5, 95))
    noise = noise_deviation(channel, image.spacing) / float(high - low) if high > low else 0.0
    bias, share = _bias(channel)
    own = landmarks_of(channel, 1, 99)
    span = own[-1] - own[0]
    return {
        "noise": noise,
        "bias": bias,
        "bias_share": share,
        "landmarks": (own - own[0]) * (SCALE / span) if span > 0 else np.zeros(11),
    }


def summarise(qualities: Sequence[dict]) -> dict:
    """Medians over the cases, and how far apart the medians of their histograms lie (deviation, of 100)."""
    if not qualities:
        return {}
    summary = {name: float(np.median([q[name] for q in qualities])) for name in ("noise", "bias", "bias_share")}
    summary["histogram_shift"] = float(np.std([q["landmarks"][5] for q in qualities]))
    return {name: float(f"{value:.4g}") for name, value in summary.items()}


def propose(measured: dict, filters: Sequence = ()) -> dict[str, str]:
    """Filters worth trying: the text for ``--filter`` to the reason.

    Args:
        measured: the fingerprint.
        filters: steps that the user asked for already.
    """
    quality = measured.get("quality", {})
    chosen = {step.name for step in filters}
    ct = any(map(is_ct, measured["channels"]))
    proposals = {}
    if not quality:
        return proposals
    mr = measured["has_spacing"] and not ct
    if mr and quality["bias"] >= _BIAS_RANGE and quality["bias_share"] >= _BIAS_SHARE and "n4" not in chosen:
        proposals["n4"] = (
            f"the median scan is {quality['bias']:.1f} times as bright in one place as in another, by a smooth field "
            f"that explains {quality['bias_share']:.0%} of its variance: a bias field"
        )
    if quality["noise"] >= _NOISE and not chosen & {"nlm", "bilateral", "diffusion", "tv", "gaussian", "median"}:
        proposals["nlm"] = (
            f"the noise of the median scan is {quality['noise']:.0%} of its contrast, expected below {_NOISE:.0%}"
        )
    if mr and quality["histogram_shift"] >= _SHAPE and not chosen & {"nyul", "match"}:
        proposals["nyul"] = (
            f"histograms differ in shape, their medians by {quality['histogram_shift']:.0f} of 100, which no z-score "
            "makes alike: several scanners or protocols"
        )
    return proposals


def _bias(channel):
    """Range of a smooth field fitted to the logarithm of what is bright, and the share that it explains."""
    limit = max(float(channel.mean()) * 0.5, 0.0)
    places = np.flatnonzero(channel > limit)
    if len(places) < 200 or limit <= 0:
        return 1.0, 0.0
    places = places[:: 1 + len(places) // _SAMPLES]
    values = np.log(channel.ravel()[places].astype(np.float64))
    index = np.stack(np.unravel_index(places, channel.shape), -1) / np.maximum(np.array(channel.shape) - 1, 1) * 2 - 1
    columns = [np.ones(len(index)), *index.T]
    columns += [index[:, a] * index[:, b] for a in range(index.shape[1]) for b in range(a, index.shape[1])]
    matrix = np.stack(columns, -1)
    field = matrix @ np.linalg.lstsq(matrix, values, rcond=None)[0]
    variance = float(values.var())
    if not variance > 0:
        return 1.0, 0.0
    low, high = np.percentile(field, (2, 98))
    return float(np.exp(high - low)), float(field.var() / variance)
