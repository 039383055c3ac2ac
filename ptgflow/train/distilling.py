"""Distillation of a draft model: what it is, what it learns from, and the run."""

from dataclasses import dataclass

from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.models.progress import Progress
from ptgflow.train.answers import answers_of
from ptgflow.train.job import whole_teacher
from ptgflow.train.learning import AnswersOf, Trained, Watcher, gathered, learned
from ptgflow.train.objectives.distill_draft import DistillObjective
from ptgflow.train.spec import DistillSpec
from ptgflow.train.student import Student, student_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """A draft model at the end of a run."""

    student: Student
    trained: Trained[DistillObjective]


def distill(
    spec: DistillSpec,
    model: LoadedModel,
    watch: Watcher,
    *,
    answers: AnswersOf = answers_of,
    progress: Progress | None = None,
) -> Distilled:
    """Distil a draft model.

    Raises:
        RecipeError: INVALID_VALUE, for a shape that does not follow from the target's.
        RunError: data that cannot be read, a folder that cannot be written, or a checkpoint of another run.
        KeyboardInterrupt: somebody wanted to stop; the checkpoint is written.
    """
    student = student_of(spec.model, spec.student, model.device, seed=spec.seed, progress=progress)
    # The last state is all that the target's distribution is computed from.
    material = gathered(spec, model, (model.layers,), watch, answers=answers)
    teacher = whole_teacher(model)
    objective = DistillObjective(student.network, teacher, spec)
    what = student.network.config.to_json_string()
    return Distilled(student=student, trained=learned(spec, model, material, objective, teacher, watch, what=what))
