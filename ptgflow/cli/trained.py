"""From a specification to what it asks for, trained, written and measured: the facts of its card."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from ptgflow.cli.train_view import View
from ptgflow.contracts import ModelCard
from ptgflow.engine.draft_models.drafter import ModelDrafter
from ptgflow.engine.edit.policies.deciding import Policies
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.train.adapting import adapt, hasten
from ptgflow.train.answers import answers_of
from ptgflow.train.card import (
    Facts,
    facts_of_draft,
    facts_of_hastened,
    facts_of_heads,
    facts_of_levenshtein,
    facts_of_masked,
    facts_of_oneshot,
)
from ptgflow.train.distilling import distill
from ptgflow.train.edit_spec import LevenshteinSpec
from ptgflow.train.job import train
from ptgflow.train.levenshtein import train_levenshtein
from ptgflow.train.measuring import acceptances
from ptgflow.train.measuring_edits import edit_quality
from ptgflow.train.oneshot import train_oneshot
from ptgflow.train.saving import save_draft, save_heads
from ptgflow.train.spec import DistillSpec, LearningSpec, MdmSpec, OneShotSpec, SdttSpec, TrainSpec

_MEASURED = "tokens a round on held-out prompts"
_WEIGHTS: Final = "stages.SLOT.weights={folder}"


class Way(NamedTuple):
    """How one specification is trained."""

    title: str
    kind: str
    """Of the card."""
    run: Callable[[View, LoadedModel], Facts]
    use: str
    """The overrides that use what is in the folder."""


def way_of(spec: LearningSpec) -> Way:
    """The way of an objective."""
    match spec:
        case TrainSpec():
            title = f"{spec.heads.kind} heads"
            return Way(title, spec.heads.kind, lambda view, model: trained_heads(spec, model, view), _WEIGHTS)
        case MdmSpec():
            title = "adapters for canvases"
            return Way(title, "masked", lambda view, model: trained_masked(spec, model, view), _WEIGHTS)
        case SdttSpec():
            title = "adapters for canvases that need fewer steps"
            return Way(title, "sdtt", lambda view, model: trained_hastened(spec, model, view), _WEIGHTS)
        case OneShotSpec():
            title = "one-shot generation"
            return Way(title, "oneshot", lambda view, model: trained_oneshot(spec, model, view), _WEIGHTS)
        case LevenshteinSpec():
            title = "policies of edits"
            return Way(title, "levenshtein", lambda view, model: trained_levenshtein(spec, model, view), _WEIGHTS)
        case DistillSpec():
            use = "stage@stages.SLOT=draft_verify/model stages.SLOT.draft={folder}"
            title = "a draft model"
            return Way(title, "distill_draft", lambda view, model: trained_draft(spec, model, view), use)
        case _:
            raise AssertionError(f"no objective has the options of {type(spec).__name__}")


def trained_heads(spec: TrainSpec, model: LoadedModel, view: View) -> Facts:
    """Heads, in the folder that the specification names."""
    folder = Path(spec.output)
    trained = train(spec, model, view)
    config = trained.objective.config
    save_heads(folder, config, trained.objective.network, trained.teacher.vocabulary)
    heads = load_heads(folder, model, kind=config.kind)
    found = acceptances(
        lambda builder, size: drafter_of(heads, model, builder, size=size),
        model,
        trained.held_out,
        max_tokens=spec.max_tokens,
        tell=lambda done, of: view.stage(_MEASURED, done, of),
    )
    return facts_of_heads(spec, model, trained, found)


def trained_draft(spec: DistillSpec, model: LoadedModel, view: View) -> Facts:
    """A draft model, in the folder that the specification names."""
    folder = Path(spec.output)
    made = distill(spec, model, view)
    save_draft(folder, made.student.network, made.student.tokenizer)
    card = ModelCard(name=str(folder), source=str(folder)).beside(spec.model)
    draft = load_model(card, spec.accelerate)
    found = acceptances(
        lambda builder, size: ModelDrafter(draft.open_pass(), builder, size=size, vocabulary=draft.vocab_size),
        model,
        made.trained.held_out,
        max_tokens=spec.max_tokens,
        tell=lambda done, of: view.stage(_MEASURED, done, of),
    )
    return facts_of_draft(spec, model, made, found)


def trained_masked(spec: MdmSpec, model: LoadedModel, view: View) -> Facts:
    """Adapters for canvases, in the folder that the specification names."""
    folder = Path(spec.output)
    trained = adapt(spec, model, view)
    save_heads(folder, trained.objective.config, trained.objective.network, trained.teacher.vocabulary)
    return facts_of_masked(spec, model, trained)


def trained_hastened(spec: SdttSpec, model: LoadedModel, view: View) -> Facts:
    """Adapters for canvases that need fewer steps, in the folder that the specification names."""
    folder = Path(spec.output)
    trained = hasten(spec, model, view)
    save_heads(folder, trained.objective.config, trained.objective.network, trained.teacher.vocabulary)
    return facts_of_hastened(spec, model, trained)


def trained_oneshot(spec: OneShotSpec, model: LoadedModel, view: View) -> Facts:
    """Adapters and heads for one-shot generation, in the folder that the specification names."""
    folder = Path(spec.output)
    trained, longer = train_oneshot(spec, model, view)
    save_heads(folder, trained.objective.config, trained.objective.network, trained.teacher.vocabulary)
    return facts_of_oneshot(spec, model, trained, longer)


def trained_levenshtein(spec: LevenshteinSpec, model: LoadedModel, view: View) -> Facts:
    """Policies of edits, in the folder that the specification names."""
    folder = Path(spec.output)
    trained, adapters = train_levenshtein(spec, model, view)
    save_heads(folder, trained.objective.config, trained.objective.network, trained.teacher.vocabulary)
    policies = Policies(load_heads(folder, model, kind="levenshtein"), adapters, model)
    answers = answers_of(
        model,
        trained.held_out,
        max_tokens=spec.max_tokens,
        tell=lambda done, of, tokens: view.stage("held-out answers", done, of, f"{tokens} tokens"),
    )
    view.stage("edits of held-out answers", 0, len(answers))
    return facts_of_levenshtein(spec, model, trained, edit_quality(policies, model, answers, seed=spec.seed))
