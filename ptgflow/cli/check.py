"""`ptgflow check`: compile and print the diagnostics. Loads no model and imports no torch."""

from ptgflow.cli.arguments import Arguments
from ptgflow.cli.compiled import Compiled, compiled, jobs, print_config
from ptgflow.cli.output import only, print_json, say, show


def main(arguments: Arguments) -> int:
    """0 when every job is valid, else 2."""
    if arguments.cfg is not None:
        return 0 if print_config(arguments) else 2
    results = [_check(compiled(overrides, arguments)) for overrides in jobs(arguments)]
    return 0 if all(results) else 2


def _check(job: Compiled) -> bool:
    if job.loaded is not None:
        only(job.loaded.spec.format, "text", "json")
    if job.loaded is not None and job.loaded.spec.format == "json":
        print_json(
            {
                "recipe": job.name,
                "valid": job.program is not None,
                "diagnostics": [one.as_dict() for one in job.report],
                "program": None if job.program is None else job.program.as_dict(),
            }
        )
        return job.program is not None
    show(job.report)
    errors, others = len(job.report.errors), len(job.report.findings) - len(job.report.errors)
    if job.program is None:
        say(f"\n{job.name}: rejected, {errors} error{'s' if errors != 1 else ''}")
        return False
    starts = " or ".join(kind.__name__ for kind in job.program.starts)
    noted = f" ({others} warning{'s' if others != 1 else ''})" if others else ""
    print(f"{job.name}: valid{noted}; starts from {starts}; guarantee {job.program.guarantee}")
    return True
