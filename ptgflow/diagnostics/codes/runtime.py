"""PTG6xx: what can go wrong while a valid recipe runs."""

from typing import Final

from ptgflow.diagnostics.model import Rule, Severity

EMPTY_PROMPT: Final = Rule(
    code="PTG601",
    slug="empty-prompt",
    message="{what} is empty",
    help="give it some text, for example  {what}='Explain tides.'",
    what="A prompt, text, canvas or conversation has no words in it.",
    why="There is nothing to answer, and a model run on nothing writes something that nobody asked for.",
)
PROMPT_TOO_LONG: Final = Rule(
    code="PTG602",
    slug="prompt-too-long",
    message="the prompt has {tokens} tokens, and {model} reads at most {limit}",
    help="shorten the prompt by at least {excess} tokens, or choose a model with a longer context",
    what="A prompt leaves no room for even one new token within the context of the model.",
    why="Cutting a prompt would answer another question than the one that was asked.",
)
CANVAS_TOO_LONG: Final = Rule(
    code="PTG634",
    slug="canvas-too-long",
    message="the canvas has {places} places behind a prompt of {prompt} tokens, and {model} reads at most {limit}",
    help="shorten the canvas to {room} places, or choose a model with a longer context",
    what="A canvas and the prompt before it are longer than the context of the model.",
    why="A place that the model cannot read cannot be filled, and cutting the canvas would drop text that was given.",
)
SHIFT_DOUBTED: Final = Rule(
    code="PTG635",
    slug="shift-doubted",
    severity=Severity.WARNING,
    message="the logits of {model!r} are taken for {declared}, but it finds the tokens of a plain text likelier in the "
    "other way: {shifted} nats each where the row before a place predicts it, {unshifted} where its own row does",
    help="write model.masked.shifted={other}",
    what="Of some masked models the row of a place predicts that place, of others the next one. A few masked tokens of "
    "a plain English text are predicted in both ways when such a model is first used.",
    why="Nothing fails where the convention is the wrong one: the text is only bad.",
)
NO_CHAT_TEMPLATE: Final = Rule(
    code="PTG603",
    slug="no-chat-template",
    message="{model} has no chat template",
    help="write chat=false to send the prompt as raw text",
    what="`chat=true` (the default) needs a chat template, and the checkpoint brings none.",
    why="A base model that is sent a made-up template answers worse than one that is sent the plain text.",
)
SOURCE_NOT_FOUND: Final = Rule(
    code="PTG604",
    slug="model-source-not-found",
    message="cannot get the model {model!r} from {source!r}: {reason}",
    help="check the spelling of model.source and that the place can be reached; `ptgflow models` lists the cards",
    what="A folder or file does not exist, or a wheel or hub repository cannot be downloaded.",
    why="Nothing can run without the weights; ptgflow never puts another model in their place.",
)
CHECKSUM_MISMATCH: Final = Rule(
    code="PTG605",
    slug="checksum-mismatch",
    message="the file {file!r} is not the one that the card of {model!r} describes",
    help="download it again; if the new file is the one you want, write its checksum into the card: "
    "model.sha256={found}",
    what="The SHA-256 of a downloaded wheel or of a GGUF file differs from the card's.",
    why="A changed file may be damaged or forged. It was not loaded and not kept.",
)
UNSAFE_WEIGHTS: Final = Rule(
    code="PTG606",
    slug="unsafe-weights",
    message="{source!r} holds no safetensors or GGUF weights, only {found}",
    help="use a safetensors version of the checkpoint, or, if you trust its author, model.allow_pickle=true",
    what="The weights are pickle files, which can run any code of their author when they are loaded.",
    why="A model from a stranger must be safe to load.",
)
REMOTE_CODE: Final = Rule(
    code="PTG607",
    slug="remote-code",
    message="the checkpoint {source!r} asks to run its own Python code ({files})",
    help="if you have read that code and trust it, model.trust_remote_code=true",
    what="The configuration of the checkpoint names Python files that would be imported.",
    why="A model from a stranger must be safe to load.",
)
UNSUPPORTED_MODEL: Final = Rule(
    code="PTG608",
    slug="unsupported-model",
    message="{model!r} cannot be used: {reason}",
    help="use a causal language model of the Llama, Mistral, Qwen or Gemma family",
    what="The checkpoint is of an architecture that the engine cannot decode with.",
    why="Keys and values must be kept by position and cut back to any length; not every architecture allows that.",
)
BAD_INPUT_LINE: Final = Rule(
    code="PTG609",
    slug="bad-input-line",
    message="line {line} of {file!r} was skipped: {reason}",
    help='each line is one JSON object: {{"id": "a", "prompt": "..."}}, or with messages, text or canvas in its place',
    what="A line of an input file is no JSON object, or names no input.",
    why="The other lines run; the exit code is 2 so that a script notices.",
)
FILE_PROBLEM: Final = Rule(
    code="PTG610",
    slug="file-problem",
    message="cannot {action} {file!r}: {reason}",
    help="check the path, the free space and the permissions; what was finished before is kept",
    what="An input file cannot be read, or an output file cannot be written (a full disk, a missing folder).",
    why="Results that were finished before stay whole; a line that could not be written completely is taken back.",
)
OUTPUT_OF_ANOTHER_RUN: Final = Rule(
    code="PTG611",
    slug="output-of-another-run",
    message="{file!r} holds results of {there}, and this run is {here}",
    help="choose another file with output=..., or remove that one",
    what="A run continues an output file whose records were made with another recipe, model or seed.",
    why="Mixing them in one file would make its figures meaningless.",
)
STAGE_FAILED: Final = Rule(
    code="PTG612",
    slug="stage-failed",
    message="stage {slot!r} ({method}) failed: {reason}",
    help="run again with trace=trace.jsonl to see what led to it",
    what="A method raised an error while it worked on a segment.",
    why="Only the request that it belonged to is lost; others go on.",
)
WRONG_INPUT_KIND: Final = Rule(
    code="PTG613",
    slug="wrong-input-kind",
    message="recipe {recipe!r} starts from {wanted}, but {given} was given",
    help="give {want_option} instead of {given_option}",
    what="The input is of a kind that the first stage of the flow does not take.",
    why="A prompt to answer, a text to refine and a canvas to fill are three different jobs.",
)
NO_INPUT: Final = Rule(
    code="PTG614",
    slug="no-input",
    message="{reason}",
    help="give exactly one of {options}",
    what="`run` was called without anything to work on, or with several inputs at once.",
    why="ptgflow does not guess which one was meant.",
)
NOT_TEXT: Final = Rule(
    code="PTG617",
    slug="not-unicode-text",
    message="the request is not valid Unicode text: {reason}",
    help="write the character itself, or both halves of its surrogate pair",
    what="A request holds half of a surrogate pair, such as a lone `\\ud83d` in JSON.",
    why="It stands for no character, so no tokenizer can read it.",
)
DECODE_LIMIT: Final = Rule(
    code="PTG615",
    slug="out-of-memory",
    message="not enough memory for {rows} rows of up to {tokens} tokens of {model!r}",
    help="lower executor.batch_size or max_tokens",
    what="Keys and values of all rows in a batch do not fit into memory.",
    why="A smaller batch gives the same text, later.",
)
CARD_CONTRADICTED: Final = Rule(
    code="PTG616",
    slug="card-contradicted",
    message="the card of {model!r} says {field} {declared}, but the checkpoint has {found}",
    help="correct the card, or leave the field out (model.{field}=null) to read it from the checkpoint",
    what="A tokenizer fingerprint, a context length or capabilities that a card declares are not those of the weights.",
    why="Recipes are checked against cards before weights are loaded: a wrong card makes those checks worthless.",
)
LOW_AGREEMENT: Final = Rule(
    code="PTG618",
    slug="low-agreement",
    message="int8 weights of {model!r} choose the token of the wide ones at {argmax} of the positions of a fixed text "
    "(at least {least}), at {nats} nats a token (at most {most})",
    help="write model.dtype=auto; or, if you accept it, model.force_int8=true",
    what="Eight bits a weight change what this model writes by more than is allowed without a word.",
    why="A quantised model is another model: how near it is to the one that was named is measured, not assumed.",
)
BATCH_HALVED: Final = Rule(
    code="PTG619",
    slug="batch-halved",
    message="not enough memory for {rows} rows of {model!r} in a pass; going on with {fewer} at a time",
    help="lower executor.batch_size to {fewer}, or raise executor.kv_memory_mb",
    what="Keys and values of all rows did not fit into the memory, so some of them wait until others have ended.",
    why="What waits is read again later: the text is the same, and takes longer.",
    severity=Severity.WARNING,
)
HEADS_MISMATCH: Final = Rule(
    code="PTG621",
    slug="heads-mismatch",
    message="the heads in {path!r} do not fit: their {what} is another",
    help="use heads that were trained for this model; `ptgflow train` trains them",
    what="Heads read the hidden states of one model and write its tokens. These were made for another, or are of "
    "another kind.",
    why="With another model's states a head drafts noise, which costs time and is never accepted; nobody would notice.",
)
NO_SHORT_ANSWERS: Final = Rule(
    code="PTG641",
    slug="no-short-answers",
    message="none of {answers} answers ends within {places} places",
    help="write a longer window, places={more}, or shorter answers: `stop` beside a prompt ends its answer",
    what="One-shot generation learns from answers that fit into its window. All of these are longer.",
    why="A cut answer would teach the model to stop in the middle, and a longer window costs time on all others.",
)
HEADS_UNREADABLE: Final = Rule(
    code="PTG622",
    slug="heads-unreadable",
    message="cannot use the heads in {path!r}: {reason}",
    help="check the path and that the download is complete",
    what="A folder with heads lacks a file or a tensor, is damaged, or has a tensor of another size than it declares.",
    why="Heads with a part missing would draft something that nobody trained.",
)
NO_HEADS: Final = Rule(
    code="PTG623",
    slug="no-heads",
    message="{stage} needs heads, and none of the kind {kind!r} ship for {model!r}",
    help="write stages.{slot}.weights=FOLDER, or train them: "
    "ptgflow train {train} model={model} data=FILE output=FOLDER",
    what="Prediction heads are trained for one model. ptgflow ships some for its embedded model.",
    why="There is nothing to draft with.",
)
NO_MASK: Final = Rule(
    code="PTG636",
    slug="no-mask-token",
    message="{stage} fills holes, and {model!r} cannot be shown one: it has no mask token of its own, and no adapters "
    "for canvases ship for it",
    help="write stages.{slot}.weights=FOLDER with adapters (ptgflow train {train} model={model} data=FILE "
    "output=FOLDER trains them), or name the mask token of a masked model: model.masked.mask_id=ID",
    what="A canvas is filled by a masked model, or by an autoregressive one with adapters that make a masked model of "
    "it. The model of this stage is neither.",
    why="A model that has never seen a hole fills it with nonsense.",
)
TOO_FEW_HEADS: Final = Rule(
    code="PTG624",
    slug="too-few-heads",
    message="{slot!r} is to write {k} tokens a round, and has {heads} heads beside the target's own",
    help="write stages.{slot}.k={most} or less, or use more heads",
    what="Each head foresees one position. A round has the target's own token and one for each head.",
    why="The tokens that no head foresees would silently be missing from each round.",
)
DATASTORE_UNREADABLE: Final = Rule(
    code="PTG631",
    slug="datastore-unreadable",
    message="cannot use the datastore in {path!r}: {reason}",
    help="check the path, or build it anew: ptgflow train retrieval data=[FILES] output=FOLDER",
    what="A folder with a datastore lacks a file, is damaged, or was changed after it was written.",
    why="Drafts from other texts than it describes would be rejected, and nobody would know why.",
)
DATASTORE_MISMATCH: Final = Rule(
    code="PTG632",
    slug="datastore-mismatch",
    message="the datastore in {path!r} has the tokens of another tokenizer than that of {model!r}",
    help="build one for this model: ptgflow train retrieval model={model} data=[FILES] output=FOLDER",
    what="A datastore holds texts as token ids, which mean other words to a model with another tokenizer.",
    why="It would draft noise, which costs time and is never accepted.",
)
EMPTY_DATASTORE: Final = Rule(
    code="PTG633",
    slug="empty-datastore",
    message="{what} has no text",
    help="give data=[...] files with text: running text, or JSON Lines with texts, answers or conversations",
    what="The files that a datastore was to be built from, or the datastore itself, hold no token.",
    why="There is nothing to retrieve, so nothing would ever be drafted.",
)
HEADS_FORESEE_NOTHING: Final = Rule(
    code="PTG651",
    slug="heads-foresee-nothing",
    severity=Severity.WARNING,
    message="the heads in {path!r} have drafted {rounds} times and were not right once",
    help="check that they were trained for this very model; if they were, draft with something else for such text",
    what="Of the first drafts of a set of heads none had the token that the target wrote next. Published formats do "
    "not say for which weights heads were trained, so that only their work shows that they are for others.",
    why="The text is right all the same, but each draft costs time for nothing.",
)
MODULES_UNUSABLE: Final = Rule(
    code="PTG652",
    slug="modules-unusable",
    message="cannot use the prediction modules of {model!r}: {reason}",
    help="draft with something else, for example  DraftVerify(drafter='ngram'), or use a complete checkpoint of MiMo",
    what="Some checkpoints bring modules that predict the tokens after the next one. They are of the checkpoint's own "
    "kind, and this one's are incomplete, or of a kind that ptgflow has no drafter for.",
    why="A module that is run in another way than it was trained foresees nothing.",
)
UNKNOWN_TOKEN: Final = Rule(
    code="PTG620",
    slug="unknown-token",
    message="logit_bias names token {token}, and the tokens of {model!r} go from 0 to {last}",
    help="leave it out of logit_bias, or look the token up with the tokenizer of {model!r}",
    what="A bias is for a token that the model does not have.",
    why="It would change nothing, or the wrong token: ids differ from one tokenizer to the next.",
)
