"""`ptgflow train`: heads or a draft model for a model, from prompts that it answers itself; or a datastore."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from ptgflow.cli.arguments import Arguments, UsageError
from ptgflow.cli.compiled import spec_or_code
from ptgflow.cli.live import Downloads, terminal
from ptgflow.cli.output import only, print_json, say
from ptgflow.cli.train_view import View
from ptgflow.train.load import load_train
from ptgflow.train.spec import LearningSpec


def main(arguments: Arguments) -> int:
    """0 when heads or a draft model were trained or the datastore was built, else 2."""
    if arguments.multirun:
        raise UsageError("train runs once\n   help: leave -m out, and call it once for each objective")
    what, *overrides = arguments.overrides or ("",)
    if what == "retrieval":
        from ptgflow.cli.train_retrieval import main as train_retrieval

        return train_retrieval(replace(arguments, overrides=tuple(overrides)))
    spec = spec_or_code(
        lambda report: load_train(arguments.overrides, config_dir=arguments.config_dir, report=report), arguments
    )
    if isinstance(spec, int):
        return spec
    only(spec.format, "text", "json")
    try:
        _train(spec)
    except KeyboardInterrupt:
        # Torch is loaded by now, if anything was written.
        from ptgflow.train.learning import CHECKPOINT

        if (Path(spec.output) / CHECKPOINT).is_file():
            say(f"\nwhat was learnt is in {spec.output}; the same command goes on from there")
        raise
    return 0


def _train(spec: LearningSpec) -> None:
    # Torch is imported here and not above, so that a mistake is told at once.
    import torch

    from ptgflow.cli.trained import way_of
    from ptgflow.engine.models.model import load_model
    from ptgflow.train.card_page import markdown, save_card, top1_of
    from ptgflow.train.learning import CHECKPOINT

    if spec.threads is not None:
        torch.set_num_threads(spec.threads)
    console, folder = terminal(), Path(spec.output)
    with Downloads(console) if console is not None else nullcontext(None) as downloads:
        model = load_model(spec.model, spec.accelerate, progress=downloads)
    # Every objective teaches from, or adapts, a model that writes from left to right.
    model.check_causal()
    way = way_of(spec)
    with View(console, f"{way.title} for {model.name}", hits=top1_of(way.kind)) as view:
        facts = way.run(view, model)
    save_card(folder, facts)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    if spec.format == "json":
        print_json(facts)
    else:
        print(markdown(facts), end="")
    say(f"\nwritten to {folder}; use it with  {way.use.format(folder=folder)}")
