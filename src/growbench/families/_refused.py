"""Architectures that are refused by name, by their model type, with the reason."""

_LATENT = "its keys and values come from one compressed vector (MLA), so that heads cannot be copied one by one"
_HYBRID = "its layers are of different kinds, attention and state spaces, which no depth map may mix"
_TWO_STACKS = "it is an encoder and a decoder that attends to it, and a family here is one stack of layers"

REFUSED = {
    "albert": "its layers share one set of weights, so that none of them can be added, copied or silenced on its own",
    "bart": _TWO_STACKS,
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "bamba": _HYBRID,
    "jamba": _HYBRID,
    "zamba2": _HYBRID,
    "t5": _TWO_STACKS,
    "whisper": _TWO_STACKS,
}
