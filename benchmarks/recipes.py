"""Recipes against plain autoregressive decoding of the same model: interleaved repetitions, medians, ratios in one run.

    python benchmarks/recipes.py [REPETITIONS] [MODEL]

The prompts are this project's own. Ratios carry over between machines better than seconds; both are printed.
"""

import statistics
import sys

from ptgflow import load_recipe

MAX_TOKENS = 128
QUESTIONS = (
    "What are the benefits of learning a second language?",
    "Give me five tips for a first marathon.",
    "How can a small team make better decisions?",
)
COPYING = (
    "Repeat this text and correct nothing: The tide comes in twice a day, and twice a day the tide goes out.",
    "Here is a list: red apples, green pears, blue plums. Write the list again, with yellow lemons added at the end.",
    "Rewrite with 'we' instead of 'I': I went to the market, I bought some bread, and I walked home in the rain.",
)


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
    cases = [
        *[("copying", prompt, ("ar", "draft_verify")) for prompt in COPYING],
        *[("questions", prompt, ("ar", "draft_verify", "decomp_dv")) for prompt in QUESTIONS],
    ]
    plans = {
        name: load_recipe(name, [f"model={model}", f"max_tokens={MAX_TOKENS}"])
        for name in ("ar", "draft_verify", "decomp_dv")
    }
    speed: dict[tuple[str, str], list[float]] = {}
    steps: dict[tuple[str, str], list[float]] = {}
    ratio: dict[tuple[str, str], list[float]] = {}
    for plan in plans.values():
        plan.run("Hello.")
    for _ in range(repetitions):
        for kind, prompt, names in cases:
            base = 0.0
            for name in names:
                metrics = plans[name].run(prompt).metrics
                assert metrics is not None, "an answered request has metrics"
                assert metrics.tokens_per_s, "every prompt is answered with some text"
                assert metrics.steps_per_token, "every prompt is answered with some text"
                base = metrics.tokens_per_s if name == "ar" else base
                speed.setdefault((kind, name), []).append(metrics.tokens_per_s)
                steps.setdefault((kind, name), []).append(metrics.steps_per_token)
                ratio.setdefault((kind, name), []).append(metrics.tokens_per_s / base)
    print(f"{model}, {MAX_TOKENS} tokens at most, medians of {repetitions} repetitions of 3 prompts")
    for kind, name in speed:
        print(
            f"  {kind:<10}{name:<14}{statistics.median(ratio[kind, name]):5.2f} x ar"
            f"{statistics.median(speed[kind, name]):8.1f} tokens/s"
            f"{statistics.median(steps[kind, name]):7.2f} steps a token"
        )


if __name__ == "__main__":
    main()
