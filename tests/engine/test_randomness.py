"""Uniform numbers by position."""

from ptgflow.engine.randomness import Purpose, uniform


def test_known_values_are_the_same_on_every_machine():
    # Computed by the same arithmetic on uint64_t in C: a change here changes every sampled text.
    assert uniform(0, 0, Purpose.DRAW) == KNOWN[0]
    assert uniform(7, 3, Purpose.ACCEPT) == KNOWN[1]
    assert uniform(2**63 - 1, 10**6, Purpose.RESIDUAL) == KNOWN[2]


KNOWN = (0.13870941014555427, 0.93372405176281892, 0.2101044441781571)


def test_numbers_are_uniform_and_unrelated_between_positions_seeds_and_purposes():
    count = 4000
    by_position = [uniform(5, position, Purpose.DRAW) for position in range(count)]
    by_seed = [uniform(seed, 5, Purpose.DRAW) for seed in range(count)]
    by_purpose = [uniform(5, position, Purpose.ACCEPT) for position in range(count)]
    for numbers in (by_position, by_seed, by_purpose):
        assert all(0.0 <= number < 1.0 for number in numbers)
        bins = [0] * 20
        for number in numbers:
            bins[int(number * 20)] += 1
        chi_square = sum((seen - count / 20) ** 2 / (count / 20) for seen in bins)
        assert chi_square < 43.8  # 0.1 % quantile of 19 degrees of freedom
    for left, right in ((by_position, by_purpose), (by_position, by_seed), (by_position[1:], by_position)):
        pairs = list(zip(left, right, strict=False))
        covariance = sum((a - 0.5) * (b - 0.5) for a, b in pairs) / len(pairs)
        assert abs(covariance * 12) < 4 / len(pairs) ** 0.5
