"""Query-level decomposition (ParallelPrompt, arXiv 2506.18728): one sub-prompt for each item that a prompt lists."""

from typing import final

from ptgflow.contracts import Branches, Prompt, Segment
from ptgflow.stages.base import AbstractDecompose, StageContext, Work
from ptgflow.stages.decompose.budget import shares
from ptgflow.stages.decompose.conversation import ask
from ptgflow.stages.decompose.extract import MAX_LABEL_WORDS, Schema, extract
from ptgflow.stages.decompose.plain import plain
from ptgflow.stages.decompose.prompts import POINT_STOP, piece_request
from ptgflow.stages.decompose.spec import SchemaOptions


@final
class SchemaSplit(AbstractDecompose):
    """Reads the items out of the prompt by rules; costs no model pass. A prompt without clear items is left whole."""

    def __init__(self, options: SchemaOptions) -> None:
        """Take the options; the prompt's own items decide everything."""
        del options

    def run(self, value: Segment, context: StageContext) -> Work[Branches[Segment]]:
        """Yield nothing and return one sub-prompt an item."""
        assert isinstance(value, Prompt), "a schema is read from a prompt"
        yield from ()
        if value.prefix:
            return plain(value, "the prompt opens its own answer, which can only be continued")
        schema = extract(value.text)
        if schema is None:
            return plain(value, "the prompt does not list items of its own")
        return _split(value, schema, context)


def _split(prompt: Prompt, schema: Schema, context: StageContext) -> Branches[Segment]:
    headings = item_headings(schema)
    leads = (headings[0], *(f"\n{heading}" for heading in headings[1:]))
    share = shares(context, leads)
    if share is None:
        return plain(prompt, f"max_tokens leaves too little room for {len(leads)} items")
    if schema.count is None:
        requests = [schema.fill(item) for item in schema.data]
        how = f"{len(requests)} items"
    else:
        one = schema.fill("one")
        requests = [piece_request(one, number, schema.count) for number in range(1, schema.count + 1)]
        how = f"{schema.count} pieces"
    return Branches(
        items=tuple(
            # A bare number as an open prefix makes a small model count on; it only stands in the joined text.
            ask(prompt, request, context, prefix=heading if heading.endswith(":") else "")
            for request, heading in zip(requests, headings, strict=True)
        ),
        leads=leads,
        titles=schema.data or tuple(f"piece {number}" for number in range(1, len(headings) + 1)),
        how=how,
        stop=POINT_STOP if schema.count is None else (),
        share=share,
    )


def item_headings(schema: Schema) -> tuple[str, ...]:
    """What opens each item in the answer: its own name when all are names (`Habitat:`), else its number (`2. `)."""
    if schema.data and all(_is_label(item) for item in schema.data):
        return tuple(f"{item}:" for item in schema.data)
    return tuple(f"{number}. " for number in range(1, len(schema.data) + (schema.count or 0) + 1))


def _is_label(item: str) -> bool:
    return len(item.split()) <= MAX_LABEL_WORDS and item[-1] not in ".!?:;\u3002\uff1f\uff01"
