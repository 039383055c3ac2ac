"""Tags, what they do, which are carried out, and the editor over a tagger that says what it is told to."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from ptgflow.engine.edit.changes import applied
from ptgflow.engine.edit.rules import EditAsk
from ptgflow.engine.edit.tagger.choosing import Thresholds, chosen
from ptgflow.engine.edit.tagger.editor import TaggerEditor
from ptgflow.engine.edit.tagger.gector import GectorTagger
from ptgflow.engine.edit.tagger.onnx_tagger import OnnxTagger
from ptgflow.engine.edit.tagger.tags import START, UntaggableError, rewritten
from ptgflow.engine.edit.tagger.verbs import VerbForms
from ptgflow.errors import RunError

TAGS = ("$KEEP", "$DELETE", "$APPEND_big", "$APPEND_,", "$REPLACE_is", "$MERGE_HYPHEN", "$MERGE_SPACE", "@@UNKNOWN@@")


class Told:
    """Says of each word what a table says, and nothing of others."""

    tags = TAGS

    def __init__(self, table, *, starts=False, budget=100, unknown=()):
        self.table, self.starts, self.budget, self.unknown = table, starts, budget, unknown
        self.read_windows = []

    def pieces(self, words):
        return [0 if word in self.unknown else 1 for word in words]

    def read(self, words):
        self.read_windows.append(tuple(words))
        found = np.full((len(words), len(TAGS)), 0.01)
        for at, word in enumerate(words):
            found[at, TAGS.index(self.table.get(word, "$KEEP"))] = 0.93
        return found, 1.0 - found[:, 0]


def edited(text, network, thresholds=None):
    editor = TaggerEditor(network, thresholds or Thresholds(), VerbForms())
    ask = EditAsk(row=0, text=text, token_ids=(), prompt_ids=(), round=0)
    return applied(text, editor.revise([ask])[0].changes)


@pytest.mark.parametrize(
    ("word", "tag", "after"),
    [
        ("cat", "$DELETE", ""),
        ("cat", "$REPLACE_dog", "dog"),
        ("cat", "$APPEND_,", "cat,"),
        ("cat", "$APPEND_is", "cat is"),
        ("(", "$APPEND_is", "(is"),
        ("cat", "$CASE_CAPITAL", "Cat"),
        ("Cat", "$TRANSFORM_CASE_LOWER", "cat"),
        ("usa", "$TRANSFORM_CASE_UPPER", "USA"),
        ("iphone", "$TRANSFORM_CASE_CAPITAL_1", "iPhone"),
        ("cat", "$TRANSFORM_AGREEMENT_PLURAL", "cats"),
        ("cats", "$TRANSFORM_AGREEMENT_SINGULAR", "cat"),
        ("well-known", "$TRANSFORM_SPLIT_HYPHEN", "well known"),
        ("go", "$TRANSFORM_VERB_VB_VBZ", "goes"),
        ("Went", "$TRANSFORM_VERB_VBD_VBG", "Going"),
        ("written", "$TRANSFORM_VERB_VBN_VB", "write"),
    ],
)
def test_tags_do_what_their_papers_say(word, tag, after):
    assert rewritten(word, tag, VerbForms()) == after


@pytest.mark.parametrize(("word", "tag"), [("table", "$TRANSFORM_VERB_VBD_VB"), ("a", "$SWAP"), ("a", "$CASE_ODD")])
def test_what_cannot_be_carried_out_is_said(word, tag):
    with pytest.raises(UntaggableError):
        rewritten(word, tag, VerbForms())


@given(st.integers(0, 2**31), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(0, 1), st.floats(0, 1))
def test_choices_are_those_of_the_definition(seed, keep_bias, delete_bias, token, sentence):
    """peers' rule, word by word: biases on probabilities, the likeliest, both least probabilities."""
    drawn = np.random.default_rng(seed)
    probabilities, errors = drawn.dirichlet([0.4] * len(TAGS), size=5), drawn.random(5)
    limits = Thresholds(keep_bias=keep_bias, delete_bias=delete_bias, least_token=token, least_sentence=sentence)
    found = chosen(probabilities, errors, TAGS, limits)
    for at, row in enumerate(probabilities.tolist()):
        row[0] += keep_bias
        row[1] += delete_bias
        best = max(range(len(TAGS)), key=lambda tag: row[tag])
        kept = best in (0, 7) or row[best] < token or max(errors) < sentence
        assert found[at].tag == TAGS[0 if kept else best]


def test_words_are_edited_where_they_stand():
    table = {"has": "$REPLACE_is", "dog": "$APPEND_big", "very": "$DELETE", "well": "$MERGE_HYPHEN"}
    assert edited("He  has a dog.", Told(table)) == "He  is a dog big."
    assert edited("very good, very well known", Told(table)) == "good, well-known"
    assert edited("well", Told(table)) == "well"
    assert edited("now here", Told({"now": "$MERGE_SPACE"})) == "nowhere"


def test_a_word_is_edited_once_and_what_is_merged_counts():
    assert edited("very very very x", Told({"very": "$DELETE"})) == "x"
    assert edited("very. very x", Told({"very": "$DELETE", ".": "$DELETE"})) == "x"
    assert edited("a b c", Told({"a": "$MERGE_HYPHEN", "b": "$MERGE_HYPHEN"})) == "a-b-c"


def test_something_is_put_before_a_sentence():
    network = Told({START: "$APPEND_big"}, starts=True)
    assert edited("Dogs bark. Cats do", network) == "big Dogs bark. big Cats do"
    assert edited("Dogs", Told({START: "$REPLACE_is"}, starts=True)) == "Dogs"


def test_a_word_that_the_tagger_does_not_know_stays():
    network = Told({"\U0001f600": "$DELETE", "x": "$DELETE"}, unknown=("\U0001f600",))
    assert edited("a \U0001f600 x", network) == "a \U0001f600"


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["has", "very", "dog", "a", "well"]), min_size=1, max_size=70), st.booleans())
def test_long_sentences_are_read_in_windows_and_nothing_is_left_out(words, starts):
    """A tagger that looks at one word at a time says the same however the text is cut."""
    table = {"has": "$REPLACE_is", "dog": "$APPEND_big", "very": "$DELETE"}
    text = " ".join(words)
    short = Told(table, starts=starts, budget=11)
    assert edited(text, short) == edited(text, Told(table, starts=starts, budget=1000))
    assert all(len(window) <= 11 + starts for window in short.read_windows)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\U0001f600", "\u65e5\u672c\u8a9e\u3067\u3059\u3002", "x " * 2500])
def test_odd_texts_are_edited_too(text):
    assert edited(text, Told({})) == text
    assert edited(text, Told({"x": "$DELETE"})).strip() == text.replace("x", "").strip()


@pytest.fixture(scope="module")
def gector(tmp_path_factory):
    """A checkpoint in the public form, with random weights."""
    folder, base = tmp_path_factory.mktemp("gector"), tmp_path_factory.mktemp("encoder")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "he", "has", "a", "dog", "##s", ".", "very"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40,
    )  # fmt: skip
    config.save_pretrained(base)
    torch.manual_seed(0)
    model = BertModel(config)
    model.resize_token_embeddings(len(vocabulary) + 1)
    labels, errors = torch.nn.Linear(16, 4), torch.nn.Linear(16, 2)
    tensors = {f"bert.{name}": one for name, one in model.state_dict().items()}
    for name, layer in (("label_proj_layer", labels), ("d_proj_layer", errors)):
        tensors |= {f"{name}.weight": layer.weight.detach(), f"{name}.bias": layer.bias.detach()}
    save_file({name: one.contiguous() for name, one in tensors.items()}, folder / "model.safetensors")
    facts = {
        "model_id": str(base), "label2id": {"$KEEP": 0, "$DELETE": 1, "$APPEND_a": 2, "$REPLACE_has": 3, "<PAD>": 4},
        "d_label2id": {"$CORRECT": 0, "$INCORRECT": 1, "<PAD>": 2},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(facts))
    return folder, model.eval(), labels, errors


def test_a_gector_checkpoint_says_what_its_layers_say(gector):
    folder, model, labels, errors = gector
    network = GectorTagger(folder)
    assert network.tags == ("$KEEP", "$DELETE", "$APPEND_a", "$REPLACE_has")
    words = [START, "he", "has", "dogs", "."]
    # $START has the row that was added; dogs is two pieces, of which the first one tells.
    ids = torch.tensor([[2, 12, 5, 6, 8, 9, 10, 3]])
    with torch.no_grad():
        states = model(input_ids=ids).last_hidden_state[0][[1, 2, 3, 4, 6]]
        tags, wrong = labels(states).softmax(-1), errors(states).softmax(-1)[:, 1]
    found = network.read(words)
    np.testing.assert_allclose(found[0], tags.numpy(), rtol=1e-4)
    np.testing.assert_allclose(found[1], wrong.numpy(), rtol=1e-4)
    assert network.pieces(["he", "dogs", "zebra"]) == [1, 2, 0]


def test_what_is_wrong_with_a_checkpoint_is_told(gector, tmp_path):
    folder = gector[0]
    with pytest.raises(RunError, match=r"PTG661.*config.json"):
        GectorTagger(tmp_path)
    with pytest.raises(RunError, match=r"PTG661.*tag_vocab.json"):
        OnnxTagger(tmp_path)
    broken = json.loads((folder / "config.json").read_text())
    broken["label2id"] = {"$KEEP": 0, "$DELETE": 1}
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(broken))
    with pytest.raises(RunError, match=r"PTG661.*2 tags, and weights for 4"):
        GectorTagger(tmp_path)
