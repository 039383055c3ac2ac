"""Prompts for short answers: passages that the model writes, and one thing to read out of each.

    python benchmarks/short_answers.py OUTPUT.jsonl [--model smollm2-135m] [--each 4] [--items 5] [--seed 0]

Each line holds `prompt`, `prefix` and `stop`, as the parts of `decompose/schema` are asked for: `Extract Habitat from
the following text: ...`, opened with `Habitat:`, up to the end of the line. `ptgflow train objective=oneshot` learns
from them. `--each` passages are drawn for each of the subjects below, and `--items` of the things that may be asked of
such a passage.
"""

import argparse
import json
import random
from pathlib import Path

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest
from ptgflow.recipe.cards import shipped_cards
from ptgflow.train.decoding import decoded_of

KINDS: dict[str, tuple[str, str, str]] = {
    "animal": (
        "red fox; emperor penguin; honey bee; green sea turtle; snow leopard; barn owl; brown trout; grey wolf; "
        "giant squid; tree frog; mountain goat; king cobra",
        "Species; Habitat; Diet; Size; Lifespan; Predators; Behavior; Conservation Status; Region; Threats; "
        "Reproduction; Color",
        "Write a short passage about the {}: where it lives, what it eats, how long it lives and what threatens it.",
    ),
    "plant": (
        "sunflower; olive tree; saguaro cactus; lavender; bamboo; giant sequoia; tulip; coffee plant; wild rose; fern",
        "Plant; Family; Height; Climate; Soil; Flowering Season; Uses; Origin; Color; Care; Pests",
        "Write a short passage about the {}: where it grows, how tall it is, when it flowers and what it is used for.",
    ),
    "person": (
        "a Danish painter; a Kenyan runner; a French chemist; a Japanese novelist; a Brazilian architect; an Irish "
        "poet; a Canadian astronaut; an Italian composer; a Mexican chef; an Indian mathematician",
        "Name; Occupation; Birthplace; Birth Year; Education; Known For; Awards; Nationality; Field; Years Active; "
        "Famous Work",
        "Write a short biography of {} with a name, dates, places, works and awards.",
    ),
    "job": (
        "a nurse at a hospital; a software engineer at a bank; a teacher in a village; a truck driver; a data "
        "analyst; a hotel manager; a welder; a marketing assistant; a lab technician; a gardener",
        "Job Title; Company; Location; Salary; Experience; Skills; Education; Benefits; Working Hours; Start Date; "
        "Contact; Duties",
        "Write a short job advertisement for {} with company, place, salary, hours, skills and how to apply.",
    ),
    "company": (
        "a maker of electric bicycles; a coffee roaster; a software start-up; an airline; a toy maker; a brewery; a "
        "shipping firm; a publisher; a pharmacy chain; a solar power company",
        "Company Name; Industry; Founder; Founded; Headquarters; Products; Revenue; Employees; Market; CEO",
        "Write a short profile of {} with its name, founder, year, city, products, employees and revenue.",
    ),
    "place": (
        "a city on the coast of Portugal; a mountain village in Nepal; an island in the Pacific; a desert town; a "
        "lake in Finland; a national park in Kenya; a harbour in Canada; a volcano; a cave; a waterfall in Brazil",
        "Name; Location; Population; Area; Climate; Elevation; Attractions; History; Economy; Language; Wildlife",
        "Write a short description of {} with its name, size, weather, history and what visitors can see.",
    ),
    "event": (
        "a flood in a town; a concert in a park; a football final; a trade fair; a train accident; a book festival; "
        "an election; a forest fire; a school opening; a marathon",
        "Event; Date; Location; Participants; Organizer; Cause; Outcome; Damage; Attendance; Weather; Duration",
        "Write a short news report of {} with date, place, people, numbers and what came of it.",
    ),
    "product": (
        "a mountain bike; a camera; a kitchen mixer; a laptop; a winter jacket; a family car; a tent; a wrist watch; "
        "a vacuum cleaner; a guitar",
        "Product; Brand; Model; Price; Weight; Color; Material; Features; Warranty; Dimensions; Battery Life; Rating",
        "Write a short product description of {} with brand, price, weight, material, features and warranty.",
    ),
    "work": (
        "a film about a lighthouse; a novel about two sisters; a painting of a storm; a song about home; a play about "
        "a king; a video game about farming; a documentary on whales; a poem about winter",
        "Title; Director; Author; Genre; Year; Characters; Plot; Setting; Awards; Length; Theme",
        "Write a short review of {} with its title, who made it, when, who is in it and what it is about.",
    ),
    "dish": (
        "tomato soup; rye bread; apple pie; chicken curry; vegetable stew; pancakes; a fish sandwich; rice salad",
        "Dish; Ingredients; Cooking Time; Servings; Calories; Cuisine; Difficulty; Equipment; Spices; Side Dish",
        "Write a short text about {}: what is in it, how long it cooks, for how many people and where it is from.",
    ),
    "science": (
        "a study of sleep; a new battery; a vaccine trial; a telescope; a survey of coral reefs; a comet; a chemical "
        "element; a disease of wheat; an earthquake; a robot arm",
        "Topic; Researcher; University; Method; Results; Year; Sample Size; Funding; Instrument; Conclusion",
        "Write a short summary of {} with who did it, where, when, how, with which numbers and what was found.",
    ),
    "weather": (
        "a storm on the coast; a hot week in the city; snow in the mountains; fog at an airport; rain in the valley",
        "Temperature; Wind Speed; Wind Direction; Rainfall; Humidity; Location; Date; Warning; Visibility; Forecast",
        "Write a short weather report about {} with temperature, wind, rain, place, day and a warning.",
    ),
}
"""Of each kind the subjects, what may be asked, and how a passage is asked for."""
VERBS = ("Extract", "Extract", "Extract", "Identify the", "Find the")
WORDS = range(25, 140)
"""Words of a passage that is taken."""


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--items", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    card = shipped_cards().find(given.model)
    if card is None:
        parser.error(f"there is no model {given.model!r}: see `ptgflow models`")
    model = load_model(card)
    asked = [
        (kind, ask.format(subject.strip()))
        for kind, (subjects, _, ask) in KINDS.items()
        for subject in subjects.split(";")
        for _ in range(given.each)
    ]
    requests = [
        DecodeRequest(
            prompt_ids=model.codec.prompt((), text=words).token_ids,
            max_new_tokens=160,
            sampling=Sampling(temperature=0.8, top_p=0.95),
            seed=given.seed * 1_000_003 + number,
            visible=False,
        )
        for number, (_, words) in enumerate(asked)
    ]
    passages: dict[int, str] = {}
    for place, decoded in decoded_of(model, requests, rows=24):
        text = " ".join(decoded.text.split())
        # Up to the end of a sentence.
        text = text[: max(text.rfind(end) for end in ".!?") + 1]
        if len(text.split()) in WORDS:
            passages[place] = text
        print(f"{len(passages)} passages of {len(asked)}", end="\r", flush=True)
    drawn = random.Random(given.seed)
    rows = [
        {
            "prompt": f"{drawn.choice(VERBS)} {item} from the following text:\n\n{passages[place]}",
            "prefix": f"{item}:",
            "stop": "\n",
        }
        for place in sorted(passages)
        for item in drawn.sample([one.strip() for one in KINDS[asked[place][0]][1].split(";")], given.items)
    ]
    drawn.shuffle(rows)
    given.output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"\n{len(rows)} prompts in {given.output}")


if __name__ == "__main__":
    main()
