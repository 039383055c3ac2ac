"""Loading a checkpoint folder: what must be in it, what must not, and a network with every weight in its place."""

import json
from pathlib import Path
from typing import Any, Final

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
)

from ptgflow.contracts import ModelCard
from ptgflow.contracts.masked_model import family_of
from ptgflow.diagnostics.codes.runtime import REMOTE_CODE, SOURCE_NOT_FOUND, UNSAFE_WEIGHTS, UNSUPPORTED_MODEL
from ptgflow.engine.models.quiet import quiet
from ptgflow.engine.models.translated.loading import is_translated, translated_config, translated_network
from ptgflow.engine.models.translated.names import TranslationError
from ptgflow.errors import RunError

FAMILIES: Final = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text"})
"""`model_type` of the architectures whose keys and values the engine keeps by position."""
_SAME_PASS: Final = {"mimo": "qwen2"}
"""Architectures whose pass is another one's; what they have beside it is read by `heads.native`. The Python files that
they bring for it are not run."""
_MASKED_HELP: Final = "use a masked model that docs/masked.md lists"
_PICKLES: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_CONFIG_ERRORS: Final = (StrictDataclassError, ValueError, KeyError, TypeError)
_READ_ERRORS: Final = (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError)


def load_checkpoint(card: ModelCard, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The network and tokenizer of a folder with `config.json`, safetensors weights and tokenizer files.

    Weights have the precision in which they are stored, and safetensors files are mapped, not read.

    Raises:
        RunError: SOURCE_NOT_FOUND (something is missing or damaged), UNSAFE_WEIGHTS, REMOTE_CODE, UNSUPPORTED_MODEL.
    """
    _check_code(card, folder)
    pickled = _check_weights(card, folder)
    with quiet():
        network, loading = _network(card, folder, pickled=pickled)
        _check_complete(card, loading)
        return network, _tokenizer(card, folder)


def said_by(card: ModelCard, folder: Path) -> dict[str, Any]:
    """The contents of a folder's config.json.

    Raises:
        RunError: SOURCE_NOT_FOUND.
    """
    return _read_json(card, folder / "config.json")


def load_tokenizer(card: ModelCard, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, whatever there is of weights.

    Raises:
        RunError: SOURCE_NOT_FOUND, REMOTE_CODE or UNSUPPORTED_MODEL.
    """
    _check_code(card, folder)
    with quiet():
        return _tokenizer(card, folder)


def mapped_embedding(network: PreTrainedModel, folder: Path) -> Tensor | None:
    """The embedding, mapped to its file anew: of what is mapped only the rows that are looked up come into memory.

    None where the file does not have it in the form that the network has it in.
    """
    owner: Any = network.get_input_embeddings()
    weight: Tensor = owner.weight
    name = next(name for name, parameter in network.named_parameters() if parameter is weight)
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            if name in tensors.keys():  # noqa: SIM118 (it is no mapping)
                mapped: Tensor = tensors.get_tensor(name)
                return mapped if mapped.shape == weight.shape and mapped.dtype == weight.dtype else None
    return None


def check_family(card: ModelCard, model_type: str) -> None:
    """Refuse an architecture that the engine does not decode with."""
    if model_type not in FAMILIES:
        reason = f"its architecture is {model_type!r}"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason)])


def _network(card: ModelCard, folder: Path, *, pickled: bool) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The network, and what transformers says of its loading; code of its own was already refused or allowed."""
    said = said_by(card, folder)
    family, config = family_of(said), _config(card, folder, said)
    try:
        if family is not None and is_translated(family):
            if pickled:
                raise _unreadable(card, "its weights are pickles, and of this family only safetensors can be read")
            return translated_network(family, said, config, folder)
        # DiffusionGemma's text is written by a model that may also be shown pictures.
        auto: Any = AutoModelForCausalLM if family is None or not family.noise else AutoModelForImageTextToText
        loaded: tuple[PreTrainedModel, dict[str, Any]] = auto.from_pretrained(
            folder,
            config=config,
            dtype="auto",
            attn_implementation=_attention(config),
            use_safetensors=not pickled,
            trust_remote_code=card.trust_remote_code,
            local_files_only=True,
            output_loading_info=True,
        )
    except _READ_ERRORS as error:
        raise _unreadable(card, f"its weights cannot be read: {_first_line(error)}") from error
    return loaded


def _config(card: ModelCard, folder: Path, said: dict[str, Any]) -> Any:
    """The folder's configuration, as that of the architecture that computes it."""
    another = _computed_as(card, said)
    if another is not None:
        return another
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=card.trust_remote_code, local_files_only=True)
    except _READ_ERRORS as error:
        declared = said.get("model_type")
        if isinstance(declared, str) and declared not in FAMILIES:
            check_family(card, declared)
        raise _unreadable(card, f"its config.json cannot be used: {_first_line(error)}") from error
    if not card.trust_remote_code:
        check_family(card, config.model_type)
    return config


def _computed_as(card: ModelCard, said: dict[str, Any]) -> Any:
    """The configuration of another architecture that computes the same; None: it is of one of transformers'."""
    family, same = family_of(said), _SAME_PASS.get(str(said.get("model_type")))
    if family is not None and family.computed_as is None:
        reason = f"it is a masked model of the family {family.name}, whose layers ptgflow does not have"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help=_MASKED_HELP)])
    if family is not None:
        same = family.computed_as
    if same is None:
        return None
    kept = {key: one for key, one in said.items() if key not in ("model_type", "auto_map", "architectures")}
    try:
        if family is not None and is_translated(family):
            return translated_config(family, said)
        return AutoConfig.for_model(same, **kept)
    except TranslationError as error:
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=str(error), help=_MASKED_HELP)]) from error
    except _CONFIG_ERRORS as error:
        raise _unreadable(card, f"its config.json cannot be used: {_first_line(error)}") from error


def _attention(config: Any) -> str:
    """Fused attention, except where scores are capped before the softmax (Gemma 2), which it cannot express."""
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    return "eager" if capped else "sdpa"


def _tokenizer(card: ModelCard, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer exactly as `tokenizer.json` describes it.

    The automatic choice would go by the architecture and rebuild the tokenizer as that family usually has it: with
    tokens that are not in the file, or another pre-tokenizer. It serves for older checkpoints without that file.
    Masked models that were made of Qwen have its tokenizer, some of them as code of their own.
    """
    plain = (folder / "tokenizer.json").is_file() and not card.trust_remote_code
    own = plain or _has_qwen_tokenizer(card, folder)
    loader: Any = (PreTrainedTokenizerFast if plain else Qwen2Tokenizer) if own else AutoTokenizer
    options = {} if own else {"trust_remote_code": card.trust_remote_code}
    try:
        tokenizer = loader.from_pretrained(folder, local_files_only=True, **options)
    except _READ_ERRORS as error:
        raise _unreadable(card, f"its tokenizer cannot be read: {_first_line(error)}") from error
    if not tokenizer.is_fast:
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason="its tokenizer has no tokenizer.json (fast) form")])
    return tokenizer


def _has_qwen_tokenizer(card: ModelCard, folder: Path) -> bool:
    """Whether it is a masked model with the files of Qwen's tokenizer, and none in a form of its own."""
    family = family_of(said_by(card, folder))
    files = ("vocab.json", "merges.txt")
    made_of_qwen = family is not None and family.computed_as in ("qwen2", "qwen3")
    return made_of_qwen and all((folder / name).is_file() for name in files)


def _check_code(card: ModelCard, folder: Path) -> None:
    """Refuse a folder that asks to run its own Python files."""
    if not (folder / "config.json").is_file():
        raise _unreadable(card, "the folder has no config.json")
    if card.trust_remote_code:
        return
    asked: set[str] = set()
    for name in ("config.json", "tokenizer_config.json"):
        said = _read_json(card, folder / name) if (folder / name).is_file() else {}
        if _is_never_run(card, folder, name):
            continue
        asked |= _code_files(said.get("auto_map"))
    if asked:
        raise RunError([REMOTE_CODE(source=card.source, files=", ".join(sorted(asked)))])


def _is_never_run(card: ModelCard, folder: Path, name: str) -> bool:
    """Whether the code that a file of settings names is not needed: ptgflow does the same without it."""
    said = said_by(card, folder)
    if name == "config.json":
        return said.get("model_type") in _SAME_PASS or family_of(said) is not None
    plain = (folder / "tokenizer.json").is_file()
    return family_of(said) is not None and (plain or _has_qwen_tokenizer(card, folder))


def _code_files(auto_map: Any) -> set[str]:
    """The Python files that an `auto_map` entry names: `{"AutoModel": "modeling_x.Model"}` or lists of such."""
    if isinstance(auto_map, dict):
        return {file for entry in auto_map.values() for file in _code_files(entry)}
    if isinstance(auto_map, list):
        return {file for entry in auto_map for file in _code_files(entry)}
    return {auto_map.rpartition("--")[2].partition(".")[0] + ".py"} if isinstance(auto_map, str) else set()


def _check_weights(card: ModelCard, folder: Path) -> bool:
    """Whether the weights must be read from pickle files, which only a card that allows it may ask for."""
    if any(folder.glob("*.safetensors")):
        return False
    pickles = sorted({path.name for pattern in _PICKLES for path in folder.glob(pattern)})
    if pickles and not card.allow_pickle:
        raise RunError([UNSAFE_WEIGHTS(source=card.source, found=", ".join(pickles))])
    if pickles:
        return True
    ggufs = sorted(path.name for path in folder.glob("*.gguf"))
    if ggufs:
        raise _unreadable(card, f"the folder holds GGUF files: name one, for example model.source={folder / ggufs[0]}")
    raise _unreadable(card, "the folder has no *.safetensors weights")


def _check_complete(card: ModelCard, loading: dict[str, Any]) -> None:
    """A weight that the file lacks would be drawn at random, and the model would write nonsense without a word."""
    absent = sorted(str(name) for name in loading["missing_keys"])
    wrong = sorted(str(entry[0]) for entry in loading["mismatched_keys"])
    if absent or wrong:
        named = [*absent, *wrong]
        raise _unreadable(card, f"{len(named)} weights are missing or of a wrong shape, among them {named[0]}")


def _read_json(card: ModelCard, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(card, f"{path.name} cannot be read: {_first_line(error)}") from error
    return content if isinstance(content, dict) else {}


def _unreadable(card: ModelCard, reason: str) -> RunError:
    return RunError([SOURCE_NOT_FOUND(model=card.name, source=card.source, reason=reason)])


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
