"""Fitting: what a plan says, done with ``keras.fit``, interruptible at any moment."""

import dataclasses
import functools
import hashlib
import json
import sys
from pathlib import Path
from types import EllipsisType

from imaging.prior import FOLDER
from medseg import record
from medseg.atomic import moved_into_place
from medseg.errors import InputError, UsageError
from train.evaluation.segmenting import first_segmenter
from train.fitting.checkpoint import has_checkpoint
from train.fitting.checks import check, check_fold
from train.fitting.compiling import objective, optimizer
from train.fitting.resuming import dataset_folder, exchanged_text, require_same_fold, require_same_plan
from train.fitting.run import Run, create_run, open_run
from train.fitting.step_time import open_small_step, open_step
from train.fitting.warm_start import Start, freeze, load_start, source_weights, start_text
from train.hardware.devices import Engine, has_graphics_card, is_cluster, open_engine
from train.hardware.precision import check_computable, choose, with_precision
from train.input.cache import at_a_time, cache_cases
from train.input.pipeline import batches, cases_of_step, fold_cases, validation_steps
from train.input.prior_cache import with_priors
from train.planning.filter_learning import learn_filters
from train.planning.plan import Plan

NO_END = 1_000_000  # epochs


def fit(
    plan: Plan | None,
    dataset,
    out,
    fold: int | EllipsisType | None = ...,
    resume: bool = False,
    cache=None,
    verbose: bool = True,
    devices: int | str | Engine | None = None,
) -> Run:
    """Train a plan's network on a dataset.

    Interrupted at any moment, ``resume=True`` continues from the last complete epoch with the same batches and the same
    schedule.

    Args:
        plan: what to train; with ``resume`` None takes the run folder's own.
        dataset: an open ``Dataset`` with the plan's cases.
        out: the run folder to write.
        fold: whose validation cases are held back; None trains on every case. By default 0, with ``resume`` the run's.
        resume: continue the run in ``out``; plan, fold and dataset must be those that it was begun with.
        cache: folder of preprocessed cases, the user's cache by default.
        verbose: show progress.
        devices: how many share every step, each with a batch of the plan's; "all"; or an engine that is open already.
            By default one, or with ``resume`` as many as before. See ``train.hardware.devices`` for several processes,
            of which the first writes ``out``.

    Returns:
        The finished run.

    Raises:
        InputError: if the data cannot be used, ``out`` cannot be written, or the loss is not a number.
        UsageError: if the plan names what does not exist.
    """
    out = Path(out)
    engine = devices if isinstance(devices, Engine) else open_engine(devices) if is_cluster() else None
    if resume and (out / "plan.json").is_file():
        run = open_run(out)
        if plan is not None:
            require_same_plan(run, plan)
        if fold is not ...:
            require_same_fold(run, fold)
        dataset_folder(run, dataset.folder)
        plan, fold = run.plan, run.fold
    elif plan is None:
        raise InputError(f"{out}: holds no run to resume, plan.json is missing")
    else:
        run = None
        fold = 0 if fold is ... else fold
    check(plan, dataset)
    check_fold(plan, fold)
    training, validation = fold_cases(dataset, plan, fold)
    chief = engine is None or engine.chief
    if run is not None and verbose and chief and (line := exchanged_text(run, training)):
        print(line, file=sys.stderr, flush=True)
    if run is not None and run.model_file.is_file():
        return run
    engine = engine or open_engine(run.devices if run is not None and devices is None else devices)
    engine.check(plan)
    if plan.training.precision.startswith("mixed"):
        check_computable(plan.training.precision, open_small_step(plan.recipe.patch_rank, plan.training.precision))
    if run is None:
        plan = dataclasses.replace(plan, recipe=learn_filters(plan.recipe, training, verbose))
        _prepare(_buildable(plan), plan)  # what cannot work is told before there is a run folder
        precision = choose(plan, functools.partial(open_step, network), has_graphics_card(), engine.devices > 1)
        if (precision.milliseconds or precision.refused) and verbose and engine.chief:
            print(precision)
        plan, times = with_precision(plan, precision.chosen), precision.milliseconds
        if engine.chief:
            folder = str(dataset.folder.resolve())
            run = create_run(out, plan, fold, folder, training, validation, engine.devices, times)
        else:
            run = Run(out, plan, fold, str(dataset.folder.resolve()), engine.devices)
    elif run.devices != engine.devices:
        raise UsageError(
            f"{out}: was begun on {run.devices} devices, whose batches {engine.devices} would not repeat; resume with "
            f"--devices {run.devices}"
        )
    everything = (*training, *validation)
    first = None if plan.first is None else _fit_first(run, dataset, cache, verbose, engine)
    how = {"ignore": plan.ignore, "workers": at_a_time(plan.fingerprint)}
    cases = cache_cases(everything, plan.recipe, plan.labels, cache, verbose, **how)
    if first is not None:
        find = first_segmenter(run, plan)
        cases = with_priors(everything, cases, find, _key(first), plan, cache, verbose and engine.chief)
    return _train(run, cases[: len(training)], cases[len(training) :], verbose and engine.chief, engine)


def _fit_first(run: Run, dataset, cache, verbose, engine) -> Run:
    """Train the first network of a cascade, or what is left of that, on the same cases."""
    folder = run.folder / FOLDER
    if verbose:
        print(f"first network of the cascade, of low resolution: {folder}", flush=True)
    begun = (folder / "plan.json").is_file()
    first = fit(run.plan.first_plan(), dataset, folder, run.fold, begun, cache, verbose, engine)
    if verbose:
        print("second network of the cascade", flush=True)
    return first


def _key(first: Run) -> str:
    """What names the first network of a cascade, and how it prepares and tiles a scan."""
    plan = first.plan
    settings = json.dumps([record.to_dict(plan.recipe), plan.patch, plan.overlap])
    return hashlib.sha256(settings.encode() + first.model_file.read_bytes()).hexdigest()


def network(plan: Plan, precision: str = "float32", deep_supervision: bool = False):
    """The plan's network with fresh weights, drawn by the plan's seed.

    Args:
        plan: names the network, its patch, channels and classes.
        precision: Keras' dtype policy to build it under.
        deep_supervision: give the logits of the coarser decoder levels as well.
    """
    import keras

    import zoo

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(plan.training.seed)
    try:
        shape = (*plan.patch, plan.recipe.patch_channels)
        options = plan.network.options | ({"deep_supervision": True} if deep_supervision else {})
        return zoo.get(plan.network.name, shape, classes=plan.outputs, **options)
    finally:
        keras.config.set_dtype_policy(before)


def _train(run, training, validation, verbose, engine):
    import keras

    from train.fitting import callbacks, quantization_aware
    from train.fitting.checkpoint import restore_checkpoint
    from train.hardware.fused import fuse

    plan = engine.spread(run.plan)
    settings = plan.training
    judged = network(plan) if settings.validate_every else None
    with engine.building():
        model = network(plan, settings.precision, settings.deep_supervision)
        if settings.quantize:
            _start(run, model, verbose)
            if not has_checkpoint(run):
                quantization_aware.keep_reference(model, run)
            patches = quantization_aware.calibration(training, plan)
            model = quantization_aware.prepared(model, plan, patches)
        else:
            model = fuse(model, engine.mirrors)
            _start(run, model, verbose, engine.chief)
        if engine.mirrors and engine.processes > 1:
            from train.hardware.mirrored import for_workers

            model = for_workers(model)
        model.compile(
            optimizer=optimizer(plan, engine.devices if engine.mirrors else 1),
            **objective(plan, len(model.outputs)),
            jit_compile=keras.backend.backend() == "jax",
        )
        model.optimizer.build(model.trainable_variables)
        state = restore_checkpoint(run, model)
    per_epoch = settings.steps_per_epoch
    held_steps = validation_steps(validation, plan) if validation else None

    def stream(part, *, cases, **options):
        data = batches(cases, plan, part=part, **options)
        several = len(model.outputs)
        return data if several == 1 else data.map(lambda image, label: (image, (label,) * several))

    learnt = functools.partial(stream, cases=training, training=True, first=state.epoch * per_epoch)

    def held(part):
        data = stream(part, cases=validation, training=False, steps=held_steps)
        return data.repeat() if engine.devices > 1 else data  # Keras looks past the end of a distributed one

    clock = callbacks.Clock(settings, state)
    reacting = [
        clock,
        callbacks.Schedule(settings, clock),
        callbacks.StopWithoutNumber(lambda step: cases_of_step(training, plan, step), run.folder, per_epoch),
    ]
    if settings.ema:
        reacting.append(keras.callbacks.SwapEMAWeights())
    logs = run.folder / "tensorboard"
    if settings.validate_every:
        from train.fitting.validation import Validation

        copy = functools.partial(_copy, plan)
        reacting.append(Validation(judged, copy, validation, plan, logs if engine.chief else None, verbose))
    if engine.chief:
        reacting.append(keras.callbacks.TensorBoard(logs, write_graph=False, update_freq="epoch"))
    if settings.quantize:
        reacting.append(quantization_aware.Recalibrate(patches))
    reacting.append(callbacks.Record(run, state, clock, engine.chief))
    if verbose:
        reacting.append(callbacks.Progress(settings, clock))
    try:
        with engine.running():
            model.fit(
                engine.data(learnt),
                # Time alone ends a training by the clock. A finished one runs no epoch, which still puts the average
                # in.
                epochs=state.epoch if state.finished else NO_END if settings.minutes else settings.epochs,
                initial_epoch=state.epoch,
                steps_per_epoch=per_epoch,
                validation_data=engine.data(held) if validation else None,
                validation_steps=held_steps if engine.devices > 1 else None,
                shuffle=False,
                verbose=0,
                callbacks=reacting,
            )
        if engine.chief:
            _save_model(run, model)
    except OSError as error:
        raise InputError(
            f"{run.folder}: cannot be written ({error.strerror or error}); free some room and continue with --resume"
        ) from None
    return run


def _buildable(plan):
    try:
        return network(plan)
    except (ValueError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise UsageError(f"plan: network.options {plan.network.options} with patch {plan.patch}: {first}") from None


def _prepare(model, plan, has_weights=False) -> Start:
    """Load what the plan starts from, unless the weights are there already, and freeze what it names."""
    settings = plan.training
    start = Start(settings.start)
    if settings.start and not has_weights:
        start = load_start(model, source_weights(settings.start, plan.network.name), settings.start)
        if settings.quantize and start.fresh:
            raise UsageError(f"training.quantize: {start.source} is another network; it lacks {start.fresh[0]}")
    return dataclasses.replace(start, frozen=freeze(model, settings.freeze))


def _start(run, model, verbose, write=True):
    resumed = has_checkpoint(run)
    start = _prepare(model, run.plan, resumed)
    if write and not resumed and (start.source or start.frozen):
        record.save(run.folder / "start.json", start)
        if verbose:
            print(start_text(start))


def _save_model(run, trained):
    """Write ``model.keras``: the plain float32 network with the trained weights."""
    model = network(run.plan)
    _copy(run.plan, trained, model)
    with moved_into_place(run.model_file) as temporary:
        model.save(temporary)


def _copy(plan, trained, model):
    """Give the plan's plain network the weights of the one that is trained."""
    if plan.training.quantize:
        from zoo import quantization

        quantization.release(trained, model)
        return
    values = {weight.path: weight for weight in trained.weights}  # with deep supervision it has further heads
    for weight in model.weights:
        weight.assign(values[weight.path].numpy())
