"""DistillSpec (Zhou et al., arXiv 2310.08461): a draft model learns the target's distribution, on what it will meet.

Algorithm 1: in each step the batch is one of the target's answers, with probability lambda, or else the draft model
answers the prompts itself; at each token of an answer a divergence of the two distributions is made small.
"""

from dataclasses import replace
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from ptgflow.engine.randomness import Purpose, uniform
from ptgflow.train.batches import Batch, collated
from ptgflow.train.features import LONGEST, Example, states_over
from ptgflow.train.objectives.divergences import divergence_of
from ptgflow.train.objectives.objective import Loss, Teacher
from ptgflow.train.objectives.on_policy import sampled
from ptgflow.train.spec import DistillSpec

_STRIDE: Final = 1_000_003
"""Between the seeds of two runs: more than steps of a run."""


@final
class DistillObjective:
    """The target is frozen: its last states over an answer, times its whole output matrix, are what is learnt."""

    def __init__(self, student: PreTrainedModel, teacher: Teacher, spec: DistillSpec) -> None:
        """Train `student`, in the state that it is in, all of its weights.

        Args:
            student: the draft model, with the target's tokens.
            teacher: the target; every token can be drafted.
            spec: the divergence, and whose answers are learnt from.
        """
        self._student = student
        self._teacher = teacher
        self._spec = spec
        self._apart = divergence_of(spec.divergence, spec.beta)
        self._cap: float | None = getattr(student.config, "final_logit_softcapping", None)
        self._run = teacher.model.open_pass() if spec.fixed_data < 1.0 else None

    @property
    def network(self) -> PreTrainedModel:
        return self._student

    def loss(self, batch: Batch) -> Loss:
        if uniform(self._spec.seed, batch.step, Purpose.DRAFT) >= self._spec.fixed_data:
            batch = self._on_policy(batch)
        learnt = torch.zeros_like(batch.answers)
        learnt[:, :-1] = batch.answers[:, 1:]
        states = batch.states[..., -self._teacher.model.hidden_size :][learnt]
        # Not in bfloat16, which has eighths between 16 and 32: the logits of likely tokens differ by less than that.
        with torch.no_grad(), torch.autocast(states.device.type, enabled=False):
            p = self._law(states.float() @ self._teacher.output.T)
        found = self._student.get_decoder()(input_ids=batch.tokens, use_cache=False).last_hidden_state
        output = self._student.get_output_embeddings()
        assert output is not None, "a causal model has an output matrix"
        q = self._law(output(found[learnt]))
        value = self._apart(p, q).sum() / max(len(p), 1)
        hits = float((p.argmax(dim=-1) == q.argmax(dim=-1)).sum()) / max(len(p), 1)
        return Loss(value=value, hits=(hits,), tokens=len(p))

    def _law(self, logits: Float[Tensor, "lines vocab"]) -> Float[Tensor, "lines vocab"]:
        """Log-probabilities, with large logits capped where the architecture does that (Gemma 2)."""
        logits = logits.float()
        if self._cap is not None:
            logits = self._cap * torch.tanh(logits / self._cap)
        return logits.log_softmax(dim=-1)

    def _on_policy(self, batch: Batch) -> Batch:
        """The prompts of a batch, answered by the draft model as it is now, with the target's states over them."""
        assert self._run is not None, "a pass is open where answers of the draft model are learnt from"
        model = self._teacher.model
        rows = list(zip(batch.tokens.tolist(), batch.answers.tolist(), strict=True))
        prompts = [tokens[: answer.index(True)] for tokens, answer in rows if any(answer[1:]) and not answer[0]]
        if not prompts:
            return batch  # Answers so long that nothing of their prompts was kept.
        seed = self._spec.seed * _STRIDE + batch.step
        answers = sampled(
            self._student,
            prompts,
            max_tokens=self._spec.max_tokens,
            end_ids=model.codec.eos_ids,
            generator=torch.Generator().manual_seed(seed),
        )
        examples: list[Example] = []
        for prompt, answer in zip(prompts, answers, strict=True):
            ids = (*prompt, *answer)[-LONGEST:]
            states = states_over(self._run, ids, (model.layers,))
            examples.append(Example(torch.tensor(ids), max(len(ids) - len(answer), 0), states))
        return replace(collated(examples, batch.tokens.device), step=batch.step)
