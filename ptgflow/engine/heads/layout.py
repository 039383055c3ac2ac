"""How a head's decoder layer is wired: what differs between EAGLE-3, EAGLE 1 and 2, and a checkpoint's own modules."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The wiring of one decoder layer; the default is EAGLE-3's, as its authors published it.

    Tensors have the same names in every layout. Those that only some heads have (biases, norms of queries and keys, an
    embedding or an output matrix of their own) count where they are there:

    - `fc`: from the target's states (beside), or from embedding and state in this order (joined), to the head's size.
    - `states_norm`: before `fc` over the target's states. `embedding_norm`: before `fc` over the embedding (joined).
    - `midlayer.input_layernorm`: over the embedding (beside), or over what `fc` made (joined). `midlayer.hidden_norm`:
      over the states (beside).
    - `norm`, `lm_head`: from the layer's output to logits. Without the first the output is projected as it is, without
      the second the target's matrix is used.
    - `embed_tokens`: in place of the target's embedding.
    """

    joined: bool = False
    """Whether `fc` makes one vector of embedding and state before the layer (EAGLE 1 and 2, native modules), or the
    layer's attention reads the two side by side (EAGLE-3)."""
    normed_residual: bool = False
    """Whether the residual of a layer that reads side by side is the normed state (speculators'
    `norm_before_residual`)."""
    feeds_normed: bool = False
    """Whether further ahead the output is read as `norm` leaves it, or as the layer does."""


EAGLE3 = Layout()
