"""Diagnostics as data: a rule with a stable code, and one finding made from it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter


class Severity(StrEnum):
    """How bad a finding is. Only errors reject a recipe."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a finding is, as precisely as it is known."""

    source: str = ""
    """A recipe file, `command line`, `pipeline` or an input file."""
    line: int | None = None
    """Line in `source`, counted from 1."""
    place: str = ""
    """What stands there: `flow`, `stages.fill.k`, `slot 'fill'`."""

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        return ": ".join(part for part in (where, self.place) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A kind of mistake. Its texts are also its page in the documentation."""

    code: str
    """`PTG` and three digits; never reused."""
    slug: str
    """A short name that describes the problem, never the remedy."""
    severity: Severity = Severity.ERROR
    message: str
    """One sentence with `{placeholders}`: the fact."""
    help: str = ""
    """The edit that fixes it, with `{placeholders}`; a call may give its own instead."""
    what: str
    """Page text: what the rule checks."""
    why: str
    """Page text: why the mistake matters."""

    @property
    def fields(self) -> frozenset[str]:
        """The placeholders that `message` and `help` name."""
        parsed = [*Formatter().parse(self.message), *Formatter().parse(self.help)]
        return frozenset(name for _, name, _, _ in parsed if name)

    def __call__(
        self,
        at: Location | None = None,
        *,
        have: str = "",
        want: str = "",
        notes: Iterable[str] = (),
        help: str | None = None,
        **values: object,
    ) -> "Diagnostic":
        """Make a finding of this rule; `values` fill the placeholders.

        Raises:
            KeyError: a placeholder got no value (a mistake of the caller, found by the tests).
        """
        text = self.message.format(**values)
        remedy = self.help.format(**values) if help is None else help
        return Diagnostic(
            rule=self,
            message=text,
            severity=self.severity,
            at=at or Location(),
            have=have,
            want=want,
            notes=tuple(notes),
            help=remedy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding: the fact, the place, both sides, and the edit that would work."""

    rule: Rule
    message: str
    severity: Severity
    """The rule's, or worse where a command cannot go on with it."""
    at: Location = field(default_factory=Location)
    have: str = ""
    want: str = ""
    notes: tuple[str, ...] = ()
    help: str = ""

    @property
    def code(self) -> str:
        return self.rule.code

    def __str__(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        where = str(self.at)
        if where:
            lines.append(f"  --> {where}")
        lines += [f"   have: {self.have}"] if self.have else []
        lines += [f"   want: {self.want}"] if self.want else []
        lines += [f"   note: {note}" for note in self.notes]
        lines += [f"   help: {self.help}"] if self.help else []
        lines.append(f"   more: ptgflow explain {self.code}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """The finding as plain data, for `format=json`."""
        return {
            "code": self.code,
            "slug": self.rule.slug,
            "severity": str(self.severity),
            "message": self.message,
            "source": self.at.source,
            "line": self.at.line,
            "place": self.at.place,
            "have": self.have,
            "want": self.want,
            "notes": list(self.notes),
            "help": self.help,
        }


@dataclass(slots=True)
class Report:
    """Collects findings, so that all are told at once and not only the first."""

    findings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def add(self, *found: Diagnostic) -> None:
        """Keep findings; one that is already there word for word is not repeated."""
        for one in found:
            if one not in self.findings:
                self.findings.append(one)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.findings)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.findings if one.severity is Severity.ERROR)

    @property
    def ok(self) -> bool:
        """Whether nothing found rejects the recipe."""
        return not self.errors
