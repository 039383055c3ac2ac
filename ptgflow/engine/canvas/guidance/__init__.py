"""Guidance: what else has a say about what the model predicts (survey, section 4.2.3.5)."""

from ptgflow.engine.canvas.guidance.agreement import Agreement as Agreement
from ptgflow.engine.canvas.guidance.classifier_free import ClassifierFree as ClassifierFree
from ptgflow.engine.canvas.guidance.guide import Guide as Guide
from ptgflow.engine.canvas.guidance.guide import Question as Question
from ptgflow.engine.canvas.guidance.judging import Judging as Judging
from ptgflow.engine.canvas.guidance.product import Product as Product

Guidance = ClassifierFree | Judging
"""Of a row: the model's own laws without a prompt, or the word of an autoregressive model."""
