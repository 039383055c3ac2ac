"""Lines that pyright and mypy must accept, with the types they must find."""

from typing import assert_type

from ptgflow.contracts import Branches, Canvas, Draft, Prompt, Text, Verified
from ptgflow.dsl import MTP, Decompose, DraftVerify, Edit, Masked, Merge, OneShot, Pipeline, Remask

# The survey's recipes A to E.
assert_type(Decompose() >> OneShot() >> Edit(), Pipeline[Prompt, Branches[Draft]])
assert_type(Decompose() >> MTP(k=4) >> Edit(rounds=2), Pipeline[Prompt, Branches[Draft]])
assert_type(Decompose() >> Masked(), Pipeline[Prompt, Branches[Draft]])
assert_type(Decompose() >> MTP() >> Edit() >> DraftVerify(), Pipeline[Prompt, Branches[Verified]])
assert_type(Decompose() >> OneShot(), Pipeline[Prompt, Branches[Text]])

# Every pair that composes, in an order that does.
assert_type(Decompose() >> DraftVerify(), Pipeline[Prompt, Branches[Verified]])
assert_type(Decompose() >> Edit(), Pipeline[Text, Branches[Draft]])
assert_type(Decompose() >> MTP(), Pipeline[Prompt, Branches[Draft]])
assert_type(OneShot() >> Edit(), Pipeline[Prompt, Draft])
assert_type(Masked() >> Edit(), Pipeline[Prompt | Canvas | Verified, Draft])
assert_type(Masked() >> DraftVerify(), Pipeline[Prompt | Canvas | Verified, Verified])
assert_type(DraftVerify() >> Masked(), Pipeline[Prompt | Draft, Draft])
assert_type(Edit() >> DraftVerify(), Pipeline[Text, Verified])
assert_type(DraftVerify() >> Edit(), Pipeline[Prompt | Draft, Draft])
assert_type(MTP() >> Edit(), Pipeline[Prompt, Draft])
assert_type(MTP() >> DraftVerify(), Pipeline[Prompt, Verified])

# A bridge between two that do not.
assert_type(OneShot() >> Remask() >> Masked(), Pipeline[Prompt, Draft])
assert_type(Decompose() >> OneShot() >> Remask() >> Masked(), Pipeline[Prompt, Branches[Draft]])

# Merge, and a second split of the whole.
assert_type(Decompose() >> MTP() >> Merge(), Pipeline[Prompt, Draft])
assert_type(Decompose() >> OneShot() >> Merge() >> Edit(), Pipeline[Prompt, Draft])
assert_type(Decompose() >> OneShot() >> (Merge() >> Edit()), Pipeline[Prompt, Draft])
assert_type(MTP() >> Decompose("passages") >> Edit(), Pipeline[Prompt, Branches[Draft]])
assert_type(MTP() >> (Decompose("passages") >> Edit()), Pipeline[Prompt, Branches[Draft]])

# Grouping does not matter, and a name keeps the type.
assert_type(Decompose() >> (OneShot() >> Edit()), Pipeline[Prompt, Branches[Draft]])
assert_type(MTP().named("write") >> Edit().named("repair"), Pipeline[Prompt, Draft])
