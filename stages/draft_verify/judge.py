"""DraftVerify that proposes nothing of its own: it judges what the stage before it drafts."""

from typing import ClassVar, final

from ptgflow.stages.draft_verify.spec import JudgeOptions
from ptgflow.stages.draft_verify.verifying import Verifying


@final
class Judge(Verifying[JudgeOptions]):
    """Verifies a draft, or the proposals of heads that are fused into its loop; after a rejection it writes itself."""

    name: ClassVar[str] = "judge"
