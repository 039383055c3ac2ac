"""`ptgflow stages`: every method of every paradigm, with its options and its reference."""

from ptgflow.cli.arguments import Arguments
from ptgflow.contracts import MethodSpec
from ptgflow.contracts.paradigms import BRIDGES, PARADIGMS, SIX
from ptgflow.stages.methods import method_table


def main(arguments: Arguments) -> int:
    """The methods, paradigm by paradigm; `ptgflow stages mtp` shows one paradigm."""
    wanted = set(arguments.overrides)
    blocks = []
    for paradigm in (*SIX, *BRIDGES):
        if wanted and str(paradigm) not in wanted:
            continue
        spec = PARADIGMS[paradigm]
        blocks.append(f"{spec.title} ({paradigm}, chosen by {spec.axis}=): {spec.idea}\n  {spec.contract}")
        blocks += [_method(method) for method in method_table().of(paradigm).values()]
    if not blocks:
        print(f"there is no such paradigm; choices: {', '.join(str(one) for one in (*SIX, *BRIDGES))}")
        return 2
    print("\n\n".join(blocks))
    return 0


def _method(spec: MethodSpec) -> str:
    state = "" if spec.implementation else "   (not yet implemented)"
    fields = spec.options.model_fields.items()
    options = ", ".join(f"{name}={'null' if one.default is None else one.default}" for name, one in fields)
    return f"  {spec.key}{state}\n    {spec.summary}\n    options: {options}\n    {spec.reference}"
