"""A training run from prompts to a folder with heads, in steps of which each can be killed and gone on with."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH
from ptgflow.engine.heads.config import Base, HeadConfig
from ptgflow.engine.heads.gated_model import written_of
from ptgflow.engine.heads.loading import Heads, load_heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.precision import resolved
from ptgflow.errors import RunError
from ptgflow.train.answers import Answer, answers_of
from ptgflow.train.features import FeatureStore
from ptgflow.train.invented import invented_prompts
from ptgflow.train.objectives.blockwise import BlockwiseObjective
from ptgflow.train.objectives.eagle import EagleObjective
from ptgflow.train.objectives.gated_lora import GatedLoraObjective
from ptgflow.train.objectives.hydra import HydraObjective
from ptgflow.train.objectives.medusa import MedusaObjective
from ptgflow.train.objectives.objective import Objective, Teacher
from ptgflow.train.prompts import read_prompts
from ptgflow.train.spec import TrainSpec
from ptgflow.train.trainer import Progress, Schedule, Trainer

_CHECKPOINT: Final = "checkpoint.pt"


class Watcher(Protocol):
    """Who is told how a run goes."""

    def stage(self, text: str, done: int, total: int, note: str = "") -> None:
        """Prompts are answered, or states are computed."""
        ...

    def training(self, progress: Progress) -> None:
        """Heads learn."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Heads at the end of a run, and what is known of how they came about."""

    objective: Objective
    teacher: Teacher
    examples: int
    held_out: tuple[str, ...]
    """Prompts that were not trained on."""
    answer_tokens: int
    """In the data, each counted once."""
    data: tuple[tuple[str, str], ...]
    """Files and their SHA-256."""
    first_loss: float
    loss: float
    hits: tuple[float, ...]
    seconds: float
    tokens: int
    """Learnt from, over all epochs."""


def train(
    spec: TrainSpec, model: LoadedModel, watch: Watcher, *, answers: "Callable[..., list[Answer]]" = answers_of
) -> Trained:
    """Train heads.

    Raises:
        RunError: data that cannot be read, a folder that cannot be written, or a checkpoint of another run.
    """
    config, taps = head_config(spec, model)
    known = None if spec.start is None else heads_to_start_from(Path(spec.start), config, model)
    prompts = _prompts(spec, model, watch)[: spec.prompts]
    held_out, prompts = prompts[: spec.held_out], prompts[spec.held_out :]
    texts = answers(
        model,
        prompts,
        max_tokens=spec.max_tokens,
        tell=lambda done, of, tokens: watch.stage("answers of the target", done, of, f"{tokens} tokens"),
    )
    store = FeatureStore(model, taps)
    store.fill(texts, lambda done, of: watch.stage("states of the target", done, of))
    ids = draft_vocabulary(texts, config.draft_vocab_size, model) if known is None else known.vocabulary
    teacher = teacher_of(model, ids)
    torch.manual_seed(spec.seed)
    objective = objective_of(spec, config, teacher)
    if known is not None:
        objective.network.load_state_dict({name: known.tensors[name] for name in objective.network.state_dict()})
    trainer = _trainer(spec, objective, texts, store, model)
    trainer.run(watch.training)
    return Trained(
        objective=objective,
        teacher=teacher,
        examples=len(texts),
        held_out=tuple(held_out),
        answer_tokens=sum(len(text.token_ids) for text in texts),
        data=tuple(_digests(spec.data)),
        first_loss=trainer.totals.first_loss,
        loss=trainer.totals.last_loss,
        hits=trainer.totals.hits,
        seconds=trainer.totals.seconds,
        tokens=trainer.totals.tokens,
    )


def _prompts(spec: TrainSpec, model: LoadedModel, watch: Watcher) -> list[str]:
    """Those of the data and those that the model makes up, in an order that the seed decides."""
    found = read_prompts([Path(one) for one in spec.data], seed=spec.seed) if spec.data else []
    if spec.invent:
        found += invented_prompts(
            model, spec.invent, seed=spec.seed, tell=lambda done, of, _: watch.stage("prompts made up", done, of)
        )
        random.Random(spec.seed).shuffle(found)
    return list(dict.fromkeys(found))


def _trainer(
    spec: TrainSpec, objective: Objective, texts: Sequence[Answer], store: FeatureStore, model: LoadedModel
) -> Trainer:
    lengths = [(len(text.prompt_ids), len(text.prompt_ids) + len(text.token_ids)) for text in texts]
    digest = hashlib.sha256(json.dumps([[one.prompt_ids, one.token_ids] for one in texts]).encode()).hexdigest()
    # Nothing whose order differs from one process to the next, as that of a set does.
    of_the_model = {"capabilities", "description", "device"}
    settings = spec.model_dump_json(exclude={"output": True, "threads": True, "format": True, "model": of_the_model})
    return Trainer(
        objective,
        [partial(store.read, text) for text in texts],
        lengths,
        Schedule(
            epochs=spec.epochs,
            batch_size=spec.batch_size,
            rate=spec.rate,
            warmup=spec.warmup,
            clip=spec.clip,
            seed=spec.seed,
        ),
        device=model.device,
        checkpoint=Path(spec.output) / _CHECKPOINT,
        key=f"{digest} {objective.config.model_dump_json()} {settings}",
        mixed=resolved("auto" if spec.precision == "auto" else spec.precision, model.device, written=True)
        == "bfloat16",
    )


def head_config(spec: TrainSpec, model: LoadedModel) -> tuple[HeadConfig, tuple[int, ...]]:
    """What is trained, and at which taps the target is read: those of eagle, and then the last.

    Raises:
        RunError: UNSUPPORTED_MODEL, for gated_lora heads of a model whose pass is not written out.
    """
    heads = spec.heads
    base = Base(
        name=model.name,
        tokenizer=model.codec.fingerprint,
        parameters=model.parameters,
        hidden_size=model.hidden_size,
        vocab_size=model.vocab_size,
        layers=model.layers,
    )
    size = min(heads.draft_vocab_size or model.vocab_size, model.vocab_size)
    # All kinds share the stored states.
    taps = eagle_taps(model.layers)
    if heads.kind == "gated_lora":
        written_of(model)
        made = HeadConfig(
            kind="gated_lora",
            base=base,
            draft_vocab_size=size,
            heads=heads.heads,
            taps=(),
            own_output=False,
            rank=heads.rank,
            **_layer_sizes(model),
        )
        return made, (*taps, model.layers)
    if heads.kind != "eagle":
        made = HeadConfig(
            kind=heads.kind,
            base=base,
            draft_vocab_size=size,
            heads=heads.heads,
            layers=heads.layers,
            taps=(model.layers,),
            own_output=heads.own_output and heads.kind != "blockwise",
            intermediate_size=(heads.width or model.hidden_size) if heads.kind == "blockwise" else None,
        )
        return made, (*taps, model.layers)
    made = HeadConfig(
        kind="eagle",
        base=base,
        draft_vocab_size=size,
        taps=taps,
        **_layer_sizes(model),
        rms_norm_eps=model.config.rms_norm_eps,
        rope_parameters=dict(model.config.rope_parameters),
        max_position_embeddings=model.config.max_position_embeddings,
    )
    return made, (*taps, model.layers)


def _layer_sizes(model: LoadedModel) -> dict[str, Any]:
    """Those of the target's own layers."""
    config = model.config
    return {
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
    }


def eagle_taps(layers: int) -> tuple[int, int, int]:
    """Low, middle and high, as the reference implementation has them; nearer together in a model of few layers."""
    return min(2, layers - 1), layers // 2, max(layers - 3, 0)


def heads_to_start_from(folder: Path, config: HeadConfig, model: LoadedModel) -> Heads:
    """Trained heads of the shape that is asked for.

    Raises:
        RunError: HEADS_UNREADABLE or HEADS_MISMATCH.
    """
    known = load_heads(folder, model, kind=config.kind)
    asked, there = config.model_dump(), known.config.model_dump()
    # All other settings follow from the base, and that is the model's.
    findings = [
        HEADS_MISMATCH(path=str(folder), what=name, want=asked[name], have=there[name])
        for name in ("heads", "layers", "draft_vocab_size", "own_output", "intermediate_size", "rank", "taps")
        if asked[name] != there[name]
    ]
    if findings:
        raise RunError(findings)
    return known


def draft_vocabulary(texts: Sequence[Answer], size: int, model: LoadedModel) -> Int[Tensor, " draft_vocab"]:
    """The commonest tokens of the answers, and the end tokens; the lowest ids where there are not enough."""
    counts = Counter(token for text in texts for token in text.token_ids)
    counts.update(dict.fromkeys(model.codec.eos_ids, 1 << 40))
    order = sorted(range(model.vocab_size), key=lambda token: (-counts[token], token))
    return torch.tensor(sorted(order[:size]), device=model.device)


def teacher_of(model: LoadedModel, ids: Int[Tensor, " draft_vocab"]) -> Teacher:
    """The target with a draft vocabulary."""
    drafted = torch.full((model.vocab_size,), -1, dtype=torch.long, device=model.device)
    drafted[ids] = torch.arange(len(ids), device=model.device)
    return Teacher(model=model, vocabulary=ids, output=model.output_rows(ids), drafted=drafted)


def objective_of(spec: TrainSpec, config: HeadConfig, teacher: Teacher) -> Objective:
    """The loss of a kind of heads."""
    made: Objective
    if config.kind == "eagle":
        made = EagleObjective(config, teacher, steps=spec.heads.steps)
    elif config.kind == "gated_lora":
        made = GatedLoraObjective(config, teacher, anchors=spec.heads.anchors, seed=spec.seed)
    elif config.kind == "hydra":
        made = HydraObjective(config, teacher)
    elif config.kind == "blockwise":
        made = BlockwiseObjective(config, teacher, sub_loss=spec.heads.sub_loss, seed=spec.seed)
    else:
        made = MedusaObjective(config, teacher)
    made.network.to(teacher.model.device)
    return made


def _digests(paths: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for given in paths:
        path = Path(given)
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        found += ((file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files)
    return found
