"""Lines that pyright and mypy must both reject; an ignore that silences nothing is an error in itself."""

from ptgflow.dsl import MTP, Decompose, DraftVerify, Edit, Masked, Merge, OneShot

# The four pairs that do not compose, in either order.
OneShot() >> Masked()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
OneShot() >> DraftVerify()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
OneShot() >> MTP()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
MTP() >> Masked()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
Masked() >> OneShot()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
DraftVerify() >> OneShot()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
MTP() >> OneShot()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
Masked() >> MTP()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]

# The same below a Decompose, where the stages are lifted.
Decompose() >> OneShot() >> Masked()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
Decompose() >> MTP() >> Masked()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]

# Families: nothing to merge, a split of a split, prompts that nobody filled.
MTP() >> Merge()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
Decompose() >> MTP() >> Decompose()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
Decompose() >> Merge()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
MTP() >> "edit"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
