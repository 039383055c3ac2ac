"""`ptgflow calibrate`: measure what a pass costs on this device, and keep it for the runs that follow."""

from contextlib import nullcontext

from ptgflow.cli.arguments import Arguments
from ptgflow.cli.compiled import compiled, jobs, plan_of, print_config
from ptgflow.cli.live import Downloads, terminal
from ptgflow.cli.output import only, print_json, say, show, table
from ptgflow.contracts.cost_curve import CostCurve

REPEATS = 7
"""Of each pass; its time is their median."""


def main(arguments: Arguments) -> int:
    """0 when the model of every job was measured, else 2."""
    if arguments.cfg is not None:
        return 0 if print_config(arguments) else 2
    # Torch is imported here and not above, so that a mistake is told at once.
    code = 0
    for overrides in jobs(arguments):
        named = any(one.startswith("recipe=") for one in overrides)
        job = compiled(overrides if named else ("recipe=ar", *overrides), arguments)
        show(job.report)
        if job.program is None or job.loaded is None:
            code = 2
            continue
        only(job.loaded.spec.format, "text", "json")
        with Downloads(console) if (console := terminal()) is not None else nullcontext(None) as progress:
            from ptgflow.engine.costs.calibrate import calibrate
            from ptgflow.engine.costs.measure import FULL

            models = plan_of(job, progress=progress).executor.models
            curves = [calibrate(model, FULL, repeats=REPEATS, progress=progress) for model in models]
        for curve in curves:
            if job.loaded.spec.format == "json":
                print_json(curve.model_dump(mode="json"))
            else:
                print(describe(curve))
        say("\nstored; recipes that choose how much to draft use it from now on")
    return code


def describe(curve: CostCurve) -> str:
    """The measured points of a curve."""
    key = curve.key
    one = min(point.seconds for point in curve.points)
    rows = [("rows x width", "context", "ms a pass", "of the least", "new tokens/s")]
    rows += [
        (
            f"{point.rows} x {point.width}",
            f"{point.context}",
            f"{1000 * point.seconds:.1f}",
            f"{point.seconds / one:.2f}",
            f"{point.tokens / point.seconds:.0f}",
        )
        for point in sorted(curve.points, key=lambda point: (point.context, point.rows, point.width))
    ]
    head = f"{key.model}, weights in {key.dtype}, {key.forward} pass, on {key.device}, {key.threads} threads"
    return f"{head}\n{table(rows)}"
