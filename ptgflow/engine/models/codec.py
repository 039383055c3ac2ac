"""Text to token ids and back, and conversations to prompts, for one model's tokenizer."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from ptgflow.contracts.kinds import Message, Prompt
from ptgflow.diagnostics.codes.runtime import EMPTY_PROMPT, NO_CHAT_TEMPLATE, UNSUPPORTED_MODEL
from ptgflow.engine.models.fingerprint import tokenizer_fingerprint
from ptgflow.errors import RunError

_NO_LIMIT: Final = 1 << 40
_PRIVATE_USE: Final = range(0xE000, 0xF900)


class Codec:
    """One model's tokenizer.

    In `encode` and in the turns of a conversation every character is text: `<|im_end|>` in a user's message becomes the
    tokens of those characters and cannot end the turn. In a raw prompt (`chat=False`) special tokens are read as such,
    because that is how a prompt is written by hand for a model whose template is not used.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, *, model: str, end_ids: Iterable[int] = (), rows: int | None = None
    ) -> None:
        """Wrap a fast tokenizer.

        Args:
            tokenizer: a tokenizer with a `tokenizers` backend; it belongs to the codec from now on.
            model: what error messages call the model.
            end_ids: the end tokens that the model's own configuration names.
            rows: for how many ids the network has an embedding; None: for all. Checkpoints exist whose tokenizer was
                given more tokens than the network was.
        """
        # A prompt that is too long is an error of the run, told elsewhere; the tokenizer need not warn about it.
        tokenizer.model_max_length = _NO_LIMIT
        self.tokenizer = tokenizer
        self._model = model
        self.fingerprint: str = tokenizer_fingerprint(tokenizer)
        """Which tokenizer this is; see `tokenizer_fingerprint`."""
        self.vocab_size: int = len(tokenizer) if rows is None else min(len(tokenizer), rows)
        """How many ids there are that the model can read, added tokens included."""
        specials = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
        self._specials = tuple(sorted(specials, key=len, reverse=True))
        own = (tokenizer.eos_token_id,) if isinstance(tokenizer.eos_token_id, int) else ()
        self.eos_ids: frozenset[int] = frozenset((*end_ids, *own, *self._turn_end()))
        """Every id that ends an answer: the model's, the tokenizer's, and what the template puts after a turn."""

    @property
    def start_id(self) -> int:
        """What a text begins with where nothing stands before it: the tokenizer's own mark, or else an end token."""
        mark = self.tokenizer.bos_token_id
        return mark if isinstance(mark, int) else min(self.eos_ids)

    @property
    def end_id(self) -> int:
        """What is put behind an answer that something else than the model ended: the tokenizer's own end token."""
        own = self.tokenizer.eos_token_id
        return own if isinstance(own, int) else min(self.eos_ids)

    @property
    def has_chat_template(self) -> bool:
        return self.tokenizer.chat_template is not None

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of plain text, with no special tokens added and none read out of the text."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. Special tokens are left out; white space is not tidied."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str), "one sequence of ids decodes to one text"
        return text

    def prompt(self, messages: tuple[Message, ...], *, text: str, prefix: str = "", chat: bool = True) -> Prompt:
        """The ids that a model reads before it writes.

        Args:
            messages: the conversation; empty: one user's turn that says `text`. Not used when `chat` is false.
            text: the request in words, and all of the prompt when `chat` is false.
            prefix: opens the answer. It is encoded together with what stands before it, as the model has always seen
                the two joined, so `1.` after a template is the same token as at the start of any answer. A prefix that
                ends in a space leaves most models without the space they expect to write themselves.
            chat: use the model's chat template.

        Raises:
            RunError: EMPTY_PROMPT, NO_CHAT_TEMPLATE, or UNSUPPORTED_MODEL when the template refuses the conversation or
                the prompt has a token that the network has no row for.
        """
        if not chat:
            return self._raw_prompt(text, prefix)
        if not messages:
            messages = (Message(role="user", content=text),)
        if not any(message.content.strip() for message in messages):
            raise RunError([EMPTY_PROMPT(what="messages" if len(messages) > 1 else "prompt")])
        if not self.has_chat_template:
            raise RunError([NO_CHAT_TEMPLATE(model=self._model)])
        ids = self._readable(self._encode_conversation(messages, prefix))
        asked = text or next((turn.content for turn in reversed(messages) if turn.role == "user"), "")
        return Prompt(token_ids=ids, tokenizer=self.fingerprint, messages=messages, text=asked, prefix=prefix)

    def user_turn(self) -> tuple[int, ...]:
        """The ids up to where a user's first turn begins: what a model that goes on there takes the user to ask.

        Raises:
            RunError: NO_CHAT_TEMPLATE.
        """
        if not self.has_chat_template:
            raise RunError([NO_CHAT_TEMPLATE(model=self._model)])
        marker = chr(_PRIVATE_USE.start)
        before = self._render([{"role": "user", "content": marker}], add_generation_prompt=True).partition(marker)[0]
        return self._readable(self.tokenizer.encode(before, add_special_tokens=False))

    def _raw_prompt(self, text: str, prefix: str) -> Prompt:
        whole = text + prefix
        if not whole.strip():
            raise RunError([EMPTY_PROMPT(what="prompt")])
        plain = self.tokenizer.encode(whole, add_special_tokens=False)
        ids = self.tokenizer.encode(whole, add_special_tokens=True)
        while ids[-len(plain) :] != plain:
            ids.pop()  # Some tokenizers close every text with an end token; an open prompt must not have one.
        if plain[0] == self.tokenizer.bos_token_id:
            ids = plain  # The text already opens as the tokenizer would open it.
        return Prompt(token_ids=self._readable(ids), tokenizer=self.fingerprint, text=text, prefix=prefix)

    def _readable(self, ids: Sequence[int]) -> tuple[int, ...]:
        alien = next((index for index in ids if index >= self.vocab_size), None)
        if alien is not None:
            token = self.tokenizer.convert_ids_to_tokens(alien)
            reason = f"the prompt has the token {token!r}, which its network does not know"
            raise RunError([UNSUPPORTED_MODEL(model=self._model, reason=reason, help="leave that token out")])
        return tuple(ids)

    def _encode_conversation(self, messages: Sequence[Message], prefix: str) -> tuple[int, ...]:
        """Encode the rendered template, with special tokens read from the template only.

        Where a turn spells a special token out, the template sees one private-use character in its place. The
        rendered text is cut there, which is where the tokenizer would have cut it, and the spelling is encoded as text.
        """
        said = "".join((*(turn.content for turn in messages), prefix))
        spelled = [special for special in self._specials if special in said]
        unused = (chr(code) for code in _PRIVATE_USE if chr(code) not in said)
        stand_ins = dict(zip(spelled, unused, strict=False))
        assert len(stand_ins) == len(spelled), "a private-use character is left for every special token in the text"

        def disarm(content: str) -> str:
            for special, stand_in in stand_ins.items():
                content = content.replace(special, stand_in)
            return content

        turns = [{"role": turn.role, "content": disarm(turn.content)} for turn in messages]
        rendered = self._render(turns, add_generation_prompt=True) + disarm(prefix)
        spelling = {stand_in: special for special, stand_in in stand_ins.items()}
        ids: list[int] = []
        for cut, group in itertools.groupby(rendered, key=lambda character: character in spelling):
            if cut:
                ids += self.encode("".join(spelling[character] for character in group))
            else:
                ids += self.tokenizer.encode("".join(group), add_special_tokens=False)
        return tuple(ids)

    def _render(self, turns: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        try:
            rendered = self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=add_generation_prompt
            )
        except (TemplateError, TypeError, ValueError) as error:
            reason = f"its chat template refuses the conversation: {error}"
            remedy = "change the roles or the order of the messages, or write chat=false and send raw text"
            raise RunError([UNSUPPORTED_MODEL(model=self._model, reason=reason, help=remedy)]) from error
        assert isinstance(rendered, str), "an untokenized template is one text"
        return rendered

    def _turn_end(self) -> tuple[int, ...]:
        """The special token that the template writes after an assistant's turn, if there is one.

        Checkpoints exist whose configuration names only the end of a document; a chat model that was tuned on the
        template ends its answers with this token all the same.
        """
        if not self.has_chat_template:
            return ()
        marker = chr(_PRIVATE_USE.start)
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": marker}]
        try:
            after = self._render(turns, add_generation_prompt=False).rpartition(marker)[2]
        except RunError:
            return ()
        ids = self.tokenizer.encode(after, add_special_tokens=False)
        specials = set(self.tokenizer.all_special_ids) | {
            index for index, token in self.tokenizer.added_tokens_decoder.items() if token.special
        }
        return tuple(itertools.islice((index for index in ids if index in specials), 1))
