"""Architectures that are refused by name, by their model type, with the reason."""

_LATENT = "its keys and values come from one compressed vector (MLA), so that heads cannot be copied one by one"
_STATES = "it has layers with states instead of heads (state spaces, linear attention), and a layer here has attention"
_TWO_STACKS = "it is an encoder and a decoder that attends to it, and a family here is one stack of layers"
_EXPERTS = (
    "its FFNs are mixtures of experts, which upcycle and drop_upcycling make of a dense model and no method grows"
)
_IMAGES = "it reads images beside text, and a family here is one stack of layers"

REFUSED = {
    "albert": "its layers share one set of weights, so that none of them can be added, copied or silenced on its own",
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "kimi_linear", "longcat_flash", "minicpm3"), _LATENT),
    **dict.fromkeys(("bamba", "falcon_h1", "granitemoehybrid", "jamba", "lfm2", "nemotron_h", "qwen3_next"), _STATES),
    **dict.fromkeys(("falcon_mamba", "mamba", "mamba2", "recurrent_gemma", "rwkv", "zamba", "zamba2"), _STATES),
    **dict.fromkeys(
        ("bart", "m2m_100", "marian", "mbart", "mt5", "pegasus", "t5", "t5gemma", "umt5", "whisper"), _TWO_STACKS
    ),
    **dict.fromkeys(("gpt_oss", "mixtral", "olmoe", "phimoe", "qwen2_moe", "qwen3_moe"), _EXPERTS),
    "gemma3": f"{_IMAGES}; gemma3_text is its language model",
    **dict.fromkeys(("llava", "mllama", "paligemma", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"), _IMAGES),
}
