"""What was trained on disk: heads by the public names of their weights, draft models as checkpoints of their own."""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Int
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ptgflow.diagnostics.codes.runtime import FILE_PROBLEM
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.eagle import draft_to_target
from ptgflow.engine.heads.head_weights import OFFSETS
from ptgflow.engine.heads.loading import CONFIG, WEIGHTS
from ptgflow.engine.models.quiet import quiet
from ptgflow.errors import RunError


def save_heads(folder: Path, config: HeadConfig, network: nn.Module, vocabulary: Int[Tensor, " draft_vocab"]) -> None:
    """Write heads in bfloat16, each file whole or not at all.

    Raises:
        RunError: FILE_PROBLEM, when the folder cannot be written.
    """
    tensors = {name: one.detach().to("cpu", torch.bfloat16).contiguous() for name, one in network.state_dict().items()}
    if config.is_reduced:
        tensors[OFFSETS] = draft_to_target(vocabulary.cpu())
        members = torch.zeros(config.base.vocab_size, dtype=torch.bool)
        members[vocabulary.cpu()] = True
        tensors["t2d"] = members
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / f"{WEIGHTS}.part")
        (folder / f"{WEIGHTS}.part").replace(folder / WEIGHTS)
        part = folder / f"{CONFIG}.part"
        part.write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")
        part.replace(folder / CONFIG)
    except OSError as error:
        raise RunError([FILE_PROBLEM(action="write", file=str(folder), reason=error.strerror or error)]) from error


def save_draft(folder: Path, network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write a draft model in bfloat16 as transformers does: configuration, weights and tokenizer, each file whole.

    Raises:
        RunError: FILE_PROBLEM, when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix="part-") as beside, quiet():
            # As a plain module: the stubs of `PreTrainedModel.to` know no type of numbers.
            made = copy.deepcopy(network)
            nn.Module.to(made, torch.bfloat16)
            made.save_pretrained(beside)
            tokenizer.save_pretrained(beside)
            # The weights last: a folder with weights has all that they need.
            for file in sorted(Path(beside).iterdir(), key=lambda one: one.suffix == ".safetensors"):
                file.replace(folder / file.name)
    except OSError as error:
        raise RunError([FILE_PROBLEM(action="write", file=str(folder), reason=error.strerror or error)]) from error
