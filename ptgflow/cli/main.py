"""Entry point: find the command, run it, and turn every mistake into one message and an exit code.

0: done. 2: a mistake of the user's. 130: interrupted. 1: a mistake of ptgflow's own.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ptgflow.cli.arguments import UsageError, parse_arguments
from ptgflow.cli.output import say
from ptgflow.diagnostics.suggest import hint
from ptgflow.errors import InternalError, PtgError

OK, INTERNAL, MISTAKE, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it does, one example, and the module whose `main` runs it."""

    summary: str
    example: str
    module: str


COMMANDS: dict[str, Command] = {
    "run": Command(
        "generate text",
        'ptgflow run recipe=decomp_dv prompt="Give me five tips for a first marathon."',
        "ptgflow.cli.run",
    ),
    "check": Command(
        "compile a recipe and print what is wrong with it", "ptgflow check recipe=my.yaml", "ptgflow.cli.check"
    ),
    "plan": Command(
        "show the compiled graph, its placement and its bounds",
        "ptgflow plan recipe=decomp_dv format=mermaid",
        "ptgflow.cli.plan",
    ),
    "calibrate": Command(
        "measure what passes of a model cost on this device",
        "ptgflow calibrate model=smollm2-135m",
        "ptgflow.cli.calibrate",
    ),
    "train": Command(
        "train prediction heads for a model, distil a draft model (objective=distill_draft), or build a datastore "
        "(train retrieval)",
        "ptgflow train heads=medusa model=smollm2-135m data=prompts.jsonl output=heads",
        "ptgflow.cli.train",
    ),
    "bench": Command(
        "compare recipes on the same requests, side by side: speed and quality",
        "ptgflow bench recipes=[ar,decomp_mtp_edit] data=prompts.jsonl baseline=transformers",
        "ptgflow.cli.bench",
    ),
    "matrix": Command(
        "show which paradigms and accelerators compose, and why others do not",
        "ptgflow matrix format=json",
        "ptgflow.cli.matrix",
    ),
    "explain": Command("explain a diagnostic code", "ptgflow explain PTG101", "ptgflow.cli.explain"),
    "recipes": Command("list the recipes", "ptgflow recipes", "ptgflow.cli.recipes"),
    "stages": Command("list the methods of each paradigm", "ptgflow stages", "ptgflow.cli.stages"),
    "models": Command("list the model cards", "ptgflow models", "ptgflow.cli.models"),
}


def run() -> None:
    """What the installed script calls."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        return _dispatch(argv)
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; a second complaint at shutdown would help nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except UsageError as error:
        say(f"error: {error}")
        return MISTAKE
    except InternalError as error:
        say(str(error))
        return INTERNAL
    except PtgError as error:
        say(str(error))
        return MISTAKE


def _dispatch(argv: Sequence[str]) -> int:
    broken = next((word for word in argv if not _is_text(word)), None)
    if broken is not None:
        raise UsageError(f"an argument is not UTF-8 text: {broken!a}\n   help: check the encoding of the terminal")
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview())
        return OK
    name, *rest = argv
    if name in ("-V", "--version"):
        print(_version())
        return OK
    command = COMMANDS.get(name)
    if command is None:
        raise UsageError(f"there is no command {name!r}\n   help: {hint(name, COMMANDS, write='ptgflow {}')}")
    arguments = parse_arguments(name, rest, summary=command.summary, example=command.example)
    if arguments is None:
        return OK
    handler = importlib.import_module(command.module).main
    code = handler(arguments)
    assert isinstance(code, int), "a command returns its exit code"
    return code


def _is_text(word: str) -> bool:
    """Whether bytes of an argument that are no UTF-8 were left in it as lone surrogates."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in word)


def overview() -> str:
    """What `ptgflow --help` prints."""
    lines = ["ptgflow COMMAND [key=value ...]", "", "Compose parallel text generation, check it, run it.", ""]
    for name, command in COMMANDS.items():
        lines += [f"  {name:<10}{command.summary}", f"            $ {command.example}"]
    lines += [
        "",
        "After the command stand Hydra overrides: recipe=NAME or recipe=FILE.yaml, model=NAME, temperature=0.7,",
        "stages.SLOT.OPTION=VALUE, stage@stages.SLOT=PARADIGM/METHOD. Flags: -m runs every combination of a sweep",
        "such as seed=1,2,3; --config-dir DIR adds your own recipes; --cfg job prints the composed configuration.",
        "ptgflow COMMAND --help says more about one command.",
    ]
    return "\n".join(lines)


def _version() -> str:
    from importlib.metadata import version

    return f"ptgflow {version('ptgflow')}"
