"""`ptgflow recipes`: what there is to run."""

from ptgflow.cli.arguments import Arguments
from ptgflow.cli.output import table
from ptgflow.diagnostics import Report
from ptgflow.recipe.recipe_file import SHIPPED, RecipeFile, read_recipe
from ptgflow.stages.methods import method_table


def main(arguments: Arguments) -> int:
    """One line a recipe: name, flow, description, and whether it runs today."""
    folders = [folder for folder in (arguments.config_dir, SHIPPED) if folder is not None]
    paths = {path.stem: path for folder in reversed(folders) for path in sorted((folder / "recipe").glob("*.yaml"))}
    found = [recipe for name in sorted(paths) if (recipe := read_recipe(paths[name], Report())) is not None]
    rows = [
        (recipe.name, str(recipe.data.get("flow", "")), f"{recipe.data.get('description', '')}{_missing(recipe)}")
        for recipe in found
    ]
    print(table(rows))
    print("\nptgflow run recipe=NAME prompt='...' runs one; (not yet) marks stages without an implementation.")
    return 0


def _missing(recipe: RecipeFile) -> str:
    ready = {spec.key for spec in method_table() if spec.implementation is not None}
    known = {spec.key for spec in method_table()}
    listed = recipe.data.get("defaults") or []
    used = [str(value) for entry in listed if isinstance(entry, dict) for value in entry.values()]
    absent = [key for key in used if key in known - ready]
    return f" (not yet: {', '.join(absent)})" if absent else ""
