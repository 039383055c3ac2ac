import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.stages.decompose.route_rules import route_by_rules
from ptgflow.stages.decompose.router import read_route

SPLIT = [
    "Give me five tips for a first marathon.",
    "How can I sleep better?",
    "Please tell me how to keep houseplants alive.",
    "What are the pros and cons of renting?",
    "Can you explain the causes of inflation?",
    "Why do some companies fail?",
    "Compare tea and coffee.",
    "What if the Moon had never formed?",
    "Describe the main features of a good bicycle.",
    "How does tourism affect small islands?",
    "Could you suggest activities for a rainy day?",
]
PLAIN = {
    "Write a short story about a lost key.": "one text",
    "Can you help me write an email to my landlord?": "one text",
    "Tell me a joke about cats.": "one text",
    "Write a Python function that reverses a list.": "code",
    "Fix this: ```print(1```": "code",
    "Solve 3x + 2 = 11 for x.": "mathematics",
    "What is 17 * 23?": "mathematics",
    "Translate 'good morning' into Spanish.": "rework",
    "Summarize the plot of Hamlet.": "rework",
    "Pretend to be a lighthouse keeper and greet me.": "role play",
    "You are a dragon. Describe your cave.": "role play",
    "Who painted the Mona Lisa?": "one answer",
    "When did the war end in Europe?": "one answer",
    "How many people live in Chile?": "one answer",
    "Is a tomato a fruit?": "yes or no",
    "How does a refrigerator work?": "no sign",
    "Explain step by step why the sky is blue.": "step by step",
    "Hello": "few words",
    "Discuss: " + "word " * 200: "text of its own",
}


@pytest.mark.parametrize("request_", SPLIT)
def test_questions_with_several_aspects_are_split(request_: str):
    assert route_by_rules(request_).split


@pytest.mark.parametrize(("request_", "why"), PLAIN.items())
def test_other_requests_take_the_plain_path_with_their_reason(request_: str, why: str):
    route = route_by_rules(request_)
    assert not route.split
    assert why in route.reason


@given(st.text())
def test_routing_is_total_and_deterministic(text: str):
    first = route_by_rules(text)
    assert first == route_by_rules(text)
    assert first.reason


@pytest.mark.parametrize(
    ("answer", "split"),
    [
        ("Yes", True),
        ("yes.", True),
        ("**Yes**, because", True),
        ("No", False),
        ("", False),
        ("Maybe yes", False),
        ("Yesterday", False),
    ],
)
def test_the_models_first_word_decides(answer: str, split: bool):
    assert read_route(answer).split is split
