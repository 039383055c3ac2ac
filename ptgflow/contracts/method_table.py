"""All methods that a compiler may bind, by paradigm and name."""

from collections.abc import Iterable, Iterator, Mapping

from ptgflow.contracts.method import MethodSpec
from ptgflow.contracts.paradigms import PARADIGMS, Paradigm


class MethodTable:
    """An immutable lookup of method specifications.

    Raises:
        ValueError: two methods share a paradigm and a name, or a method promises more than its paradigm allows.
    """

    __slots__ = ("_rows",)

    def __init__(self, specs: Iterable[MethodSpec]) -> None:
        rows: dict[Paradigm, dict[str, MethodSpec]] = {paradigm: {} for paradigm in PARADIGMS}
        for spec in specs:
            if spec.name in rows[spec.paradigm]:
                raise ValueError(f"two methods are called {spec.key!r}; rename one")
            wider = PARADIGMS[spec.paradigm].contract
            if not spec.effective_contract.refines(wider):
                raise ValueError(
                    f"{spec.key!r} declares {spec.effective_contract}, which {spec.paradigm} ({wider}) does not allow"
                )
            rows[spec.paradigm][spec.name] = spec
        self._rows = rows

    def of(self, paradigm: Paradigm) -> Mapping[str, MethodSpec]:
        """The methods of one paradigm, by name."""
        return self._rows[paradigm]

    def __iter__(self) -> Iterator[MethodSpec]:
        for methods in self._rows.values():
            yield from methods.values()
