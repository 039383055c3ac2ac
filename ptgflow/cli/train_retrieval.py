"""`ptgflow train retrieval`: a datastore for the drafter of that name, from texts."""

from contextlib import nullcontext

from ptgflow.cli.arguments import Arguments
from ptgflow.cli.compiled import spec_or_code
from ptgflow.cli.live import Downloads, terminal
from ptgflow.cli.output import only, print_json, say
from ptgflow.cli.train_view import View
from ptgflow.train.load import load_spec
from ptgflow.train.retrieval import RetrievalSpec, build_datastore


def main(arguments: Arguments) -> int:
    """0 when the datastore was written, else 2."""
    spec = spec_or_code(
        lambda report: load_spec(
            RetrievalSpec, "retrieval", arguments.overrides, config_dir=arguments.config_dir, report=report
        ),
        arguments,
    )
    if isinstance(spec, int):
        return spec
    only(spec.format, "text", "json")
    # Torch is imported here and not above, so that a mistake is told at once.
    from ptgflow.engine.models.tokenizer import load_codec

    console = terminal()
    with Downloads(console) if console is not None else nullcontext(None) as downloads:
        codec = load_codec(spec.model, progress=downloads)
    with View(console, f"datastore for {spec.model.name}") as view:
        made = build_datastore(spec, codec, view.stage)
    if spec.format == "json":
        print_json(made.model_dump(mode="json"))
    else:
        print(f"{made.tokens} tokens of {made.texts} texts, for the tokenizer {made.tokenizer} ({made.model})")
    say(f"\nwritten to {spec.output}; use it with  stages.SLOT.datastore={spec.output}")
    return 0
