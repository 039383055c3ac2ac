"""Decoding of DA-Transformer: a text is a path through a graph of more places than it has tokens."""

from ptgflow.engine.oneshot.dag.beam import beam_search as beam_search
from ptgflow.engine.oneshot.dag.graph import Dag as Dag
from ptgflow.engine.oneshot.dag.graph import Path as Path
from ptgflow.engine.oneshot.dag.greedy import greedy as greedy
from ptgflow.engine.oneshot.dag.greedy import lookahead as lookahead
from ptgflow.engine.oneshot.dag.paths import log_likelihood as log_likelihood
from ptgflow.engine.oneshot.dag.viterbi import joint_viterbi as joint_viterbi
from ptgflow.engine.oneshot.dag.viterbi import viterbi as viterbi
