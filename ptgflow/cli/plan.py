"""`ptgflow plan`: the compiled graph, where its loops run, and what they need at most."""

from ptgflow.api import Plan
from ptgflow.cli.arguments import Arguments
from ptgflow.cli.compiled import compiled, jobs, plan_of, print_config
from ptgflow.cli.output import print_json, say, show, table
from ptgflow.graph.draw import as_mermaid, as_svg, as_text


def main(arguments: Arguments) -> int:
    """0 when every job is valid, else 2."""
    if arguments.cfg is not None:
        return 0 if print_config(arguments) else 2
    code = 0
    for overrides in jobs(arguments):
        job = compiled(overrides, arguments)
        show(job.report)
        if job.program is None:
            say(f"\n{job.name}: rejected")
            code = 2
            continue
        assert job.loaded is not None, "a program was loaded from something"
        plan = plan_of(job)
        kind = job.loaded.spec.format
        start = " or ".join(one.__name__ for one in job.program.starts)
        if kind == "json":
            print_json({**job.program.as_dict(), "placement": plan.placement.as_dict()})
        elif kind == "mermaid":
            print(as_mermaid(job.program.graph, start))
        elif kind == "svg":
            print(as_svg(job.program.graph, start))
        else:
            print(describe(plan))
    return code


def describe(plan: Plan) -> str:
    """The plan for a reader."""
    program, placement = plan.program, plan.placement
    start = " or ".join(one.__name__ for one in program.starts)
    loops = table(
        (
            f"{one.loop.family} loop on {one.loop.model}",
            ", ".join(one.loop.slots),
            f"worker {one.worker} ({one.device})",
            f"weights {_size(one.weight_bytes)}, keys and values {_size(one.kv_bytes)}",
        )
        for one in placement.placed
    )
    rounds = "no bound" if placement.most_rounds is None else f"at most {placement.most_rounds}"
    lines = [
        f"{program.name} on {program.card.name}",
        "",
        as_text(program.graph, start),
        "",
        f"loops (rows of one loop are batched, {placement.batch_size} at most)",
        loops,
        "",
        f"memory     {_size(placement.memory_bytes)} for {placement.batch_size} rows of {placement.max_tokens} tokens",
        f"rounds     {rounds} on the longest path of a request, for {placement.max_tokens} tokens "
        f"(one token a round: {placement.max_tokens})",
        f"guarantee  {program.guarantee}",
    ]
    if program.pairs == "adjacent":
        lines.append("pairs      only neighbours were checked (compile.pairs=adjacent)")
    if program.unimplemented:
        slots = ", ".join(node.slot for node in program.unimplemented)
        lines.append(f"not yet    {slots}: declared and checked, but without an implementation")
    return "\n".join(lines)


def _size(count: int | None) -> str:
    if count is None:
        return "unknown"
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = round(count / 1000)
    return f"{count / 1000:.1f} GB" if count >= 1000 else f"{count} GB"
