"""What `ptgflow bench` may be told, beside what every recipe may. Data only."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

TRANSFORMERS: Final = "transformers"
"""Stands for transformers' own greedy `generate` in the place of a recipe."""
REFERENCE: Final = "ar"
"""The recipe whose answers others are compared with."""


class BenchSpec(BaseModel):
    """A whole configuration of a comparison."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipes: tuple[str | dict[str, str], ...] = Field(
        min_length=1, description="names or files with overrides of their own, or {NAME: entry}"
    )
    data: tuple[str, ...] = Field(min_length=1, description="files with requests, or with texts to edit")
    labels: str | None = Field(default=None, description="a CSV file with more about the requests, beside their words")
    where: dict[str, str] = Field(default_factory=dict, description="only requests that have these values")
    ids: tuple[str, ...] = Field(default=(), description="only requests with these ids")
    limit: int | None = Field(default=None, ge=1, description="most requests, from the first; null: all")
    references: tuple[str, ...] = Field(default=(), description="files with corrections of the texts, line by line")
    repeats: int = Field(default=3, ge=1, description="times that everything is run; a time is their median")
    baseline: str | None = Field(
        default=None,
        description="what ratios are of: a recipe of the table, or transformers; null: ar, or the first of editors",
    )
    output: str | None = Field(default=None, description="a JSON file for everything that was measured")
    format: Literal["text", "json"] = "text"

    @field_validator("recipes", mode="before")
    @classmethod
    def _entries(cls, value: object) -> object:
        many = value if isinstance(value, list | tuple) else [value]
        for one in many:
            named = isinstance(one, dict) and all(isinstance(words, str) for words in one.values())
            if not (named or isinstance(one, str)):
                raise ValueError(f"each is a recipe with its overrides, or {{NAME: recipe}}, and {one!r} is not")
        return tuple(many)

    @field_validator("data", "references", "ids", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        many = value if isinstance(value, list | tuple) else [value]
        return tuple(str(one) if isinstance(one, int | float) else one for one in many)

    @field_validator("where", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """`where={label: 1}` reaches us as a number; files hold words."""
        if value is None:
            return {}
        return {str(key): _word(one) for key, one in value.items()} if isinstance(value, dict) else value


def _word(value: object) -> object:
    """As JSON writes what is no text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value
