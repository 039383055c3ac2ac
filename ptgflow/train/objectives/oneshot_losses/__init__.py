"""What models are trained for that write a whole text in one pass: a loss for each decoder, over tensors alone."""

from ptgflow.train.objectives.oneshot_losses.crf import crf_loss as crf_loss
from ptgflow.train.objectives.oneshot_losses.ctc import ctc_loss as ctc_loss
from ptgflow.train.objectives.oneshot_losses.dag import dag_loss as dag_loss
from ptgflow.train.objectives.oneshot_losses.length import length_loss as length_loss
