"""Models of transformers, built from small configurations."""

from typing import Any

import torch
import transformers
from case import SAMPLES, Build, Cases, image, noise, tokens
from torch import Tensor

WORDS, LENGTH, WIDTH = 61, 5, 32
SMALL = {
    "vocab_size": WORDS,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
GROUPED = {**SMALL, "num_key_value_heads": 2, "head_dim": 8}
GPT = {"vocab_size": WORDS, "n_positions": 16, "n_embd": WIDTH, "n_layer": 2, "n_head": 4}
GPT |= {"bos_token_id": 1, "eos_token_id": 1}
PAIR = {
    "vocab_size": WORDS,
    "d_model": WIDTH,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 1,
}
T5 = {"vocab_size": WORDS, "d_model": WIDTH, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4}
T5 |= {"decoder_start_token_id": 0}
VISION = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
EXPERTS = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2}


def made(name: str, options: dict[str, Any], **more: Any) -> Any:
    """A model by its name; the configuration's class has the same beginning."""
    kind = getattr(transformers, name)
    torch.manual_seed(0)
    return kind(kind.config_class(**{**options, **more}))


def words(name: str, options: dict[str, Any], *, cache: bool = False, **more: Any) -> Build:
    def build() -> Any:
        inputs: dict[str, Any] = {"input_ids": tokens(SAMPLES, LENGTH, of=WORDS)}
        if cache:
            inputs["use_cache"] = False
        return made(name, options, **more), inputs

    return build


def masked(name: str, options: dict[str, Any], **more: Any) -> Build:
    def build() -> Any:
        mask = torch.tensor([[1] * LENGTH, [1] * (LENGTH - 2) + [0] * 2])
        ids = tokens(SAMPLES, LENGTH, of=WORDS)
        return made(name, options, **more), {"input_ids": ids, "attention_mask": mask}

    return build


def pair(name: str, options: dict[str, Any], **more: Any) -> Build:
    def build() -> Any:
        ids = {"input_ids": tokens(SAMPLES, LENGTH, of=WORDS)}
        ids["decoder_input_ids"] = tokens(SAMPLES, LENGTH - 1, of=WORDS)
        return made(name, options, **more), {**ids, "use_cache": False}

    return build


def picture(name: str, options: dict[str, Any], size: int = 32, **more: Any) -> Build:
    return lambda: (made(name, options, **more), {"pixel_values": image(size)})


def contrast() -> Any:
    text = {k: v for k, v in SMALL.items() if k != "eos_token_id"}
    config = transformers.CLIPConfig(
        text_config={**text, "eos_token_id": 2}, vision_config=VISION, projection_dim=16
    )
    ids = {"input_ids": tokens(SAMPLES, LENGTH, of=WORDS), "pixel_values": image(32)}
    return transformers.CLIPModel(config), ids


def whisper() -> Any:
    model = made(
        "WhisperForConditionalGeneration",
        PAIR,
        num_mel_bins=8,
        max_source_positions=8,
        max_target_positions=16,
    )
    sound: Tensor = noise(SAMPLES, 8, 16)
    ids = tokens(SAMPLES, LENGTH, of=WORDS)
    return model, {"input_features": sound, "decoder_input_ids": ids, "use_cache": False}


def wav2vec2() -> Any:
    model = made(
        "Wav2Vec2Model",
        {k: v for k, v in SMALL.items() if k != "max_position_embeddings"},
        conv_dim=(16, 16),
        conv_kernel=(10, 3),
        conv_stride=(5, 2),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    return model, {"input_values": noise(SAMPLES, 160)}


def patch_tst() -> Any:
    sizes = {"num_input_channels": 2, "context_length": 16, "patch_length": 4, "patch_stride": 4}
    sizes |= {"prediction_length": 4, "d_model": WIDTH, "num_hidden_layers": 1, "ffn_dim": 48}
    model = made("PatchTSTModel", sizes, num_attention_heads=4)
    return model, {"past_values": noise(SAMPLES, 16, 2)}


CAUSAL = {
    "LlamaForCausalLM": GROUPED,
    "MistralForCausalLM": GROUPED,
    "Qwen2ForCausalLM": GROUPED,
    "Qwen3ForCausalLM": GROUPED,
    "GemmaForCausalLM": GROUPED,
    "Gemma2ForCausalLM": GROUPED,
    "Phi3ForCausalLM": GROUPED,
    "PhiForCausalLM": SMALL,
    "StableLmForCausalLM": GROUPED,
    "OlmoForCausalLM": GROUPED,
    "CohereForCausalLM": GROUPED,
    "Starcoder2ForCausalLM": GROUPED,
    "GPTNeoXForCausalLM": SMALL,
    "FalconForCausalLM": {**SMALL, "new_decoder_architecture": False},
    "GPT2LMHeadModel": GPT,
    "GPTBigCodeForCausalLM": GPT,
    "GPTJForCausalLM": {**GPT, "rotary_dim": 4},
    "CodeGenForCausalLM": {**GPT, "rotary_dim": 4},
    "OPTForCausalLM": {**SMALL, "ffn_dim": 48, "word_embed_proj_dim": WIDTH},
    "BloomForCausalLM": {**SMALL, "n_head": 4, "n_layer": 2},
    "MambaForCausalLM": {**SMALL, "state_size": 4},
}
ENCODERS = {
    "BertModel": SMALL,
    "RobertaModel": SMALL,
    "ElectraModel": {**SMALL, "embedding_size": 16},
    "AlbertModel": {**SMALL, "embedding_size": 16},
    "DistilBertModel": {"vocab_size": WORDS, "dim": WIDTH, "n_layers": 2, "n_heads": 4},
    "DebertaV2Model": {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "ConvBertModel": {**SMALL, "embedding_size": WIDTH, "num_groups": 1, "conv_kernel_size": 3},
    "FNetModel": {k: v for k, v in SMALL.items() if k != "num_attention_heads"},
    "RoFormerModel": {**SMALL, "embedding_size": WIDTH},
    "SqueezeBertModel": {**SMALL, "embedding_size": WIDTH},
    "MPNetModel": SMALL,
    "NystromformerModel": {**SMALL, "segment_means_seq_len": LENGTH, "num_landmarks": LENGTH},
    "XLNetModel": {"vocab_size": WORDS, "d_model": WIDTH, "n_layer": 2, "n_head": 4},
}
CONV = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}

CASES: Cases = {name: words(name, options, cache=True) for name, options in CAUSAL.items()}
CASES |= {name: words(name, options) for name, options in ENCODERS.items()}
EAGER = {"experts_implementation": "eager"}
CASES |= {
    "MixtralForCausalLM": words("MixtralForCausalLM", {**GROUPED, **EXPERTS, **EAGER}, cache=True),
    "Qwen3MoeForCausalLM": words(
        "Qwen3MoeForCausalLM",
        {**GROUPED, **EXPERTS, **EAGER, "moe_intermediate_size": 24},
        cache=True,
    ),
    "LlamaForCausalLM, eager": words(
        "LlamaForCausalLM", GROUPED, cache=True, attn_implementation="eager"
    ),
    "LlamaForCausalLM, cache": words("LlamaForCausalLM", GROUPED),
    "LlamaForCausalLM (train)": words("LlamaForCausalLM", GROUPED, cache=True),
    "BertForSequenceClassification, mask": masked("BertForSequenceClassification", SMALL),
    "GPT2LMHeadModel, mask": masked("GPT2LMHeadModel", GPT),
    "BertModel (train)": words(
        "BertModel", SMALL, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    ),
    "BertModel, dropout (train)": words("BertModel", SMALL),
    "BartModel": pair("BartModel", PAIR),
    "PegasusModel": pair("PegasusModel", PAIR),
    "MarianModel": pair("MarianModel", PAIR),
    "T5ForConditionalGeneration": pair("T5ForConditionalGeneration", T5),
    "MT5Model": pair("MT5Model", T5, feed_forward_proj="gated-gelu"),
    "ViTModel": picture("ViTModel", VISION),
    "DeiTModel": picture("DeiTModel", VISION),
    "Dinov2Model": picture("Dinov2Model", VISION),
    "BeitModel": picture("BeitModel", VISION),
    "SiglipVisionModel": picture("SiglipVisionModel", VISION),
    "SwinModel": picture(
        "SwinModel",
        {"image_size": 32, "patch_size": 2, "embed_dim": 16}
        | {"depths": [1, 1], "num_heads": [2, 4], "window_size": 4},
    ),
    "ConvNextModel": picture("ConvNextModel", CONV),
    "ResNetModel": picture("ResNetModel", {**CONV, "embedding_size": 8, "layer_type": "basic"}),
    "ResNetModel (train)": picture("ResNetModel", {**CONV, "embedding_size": 8}),
    "SegformerModel": picture("SegformerModel", {**CONV, "num_attention_heads": [1, 2, 3, 4]}),
    "PoolFormerModel": picture("PoolFormerModel", CONV),
    "CLIPModel": contrast,
    "Whisper": whisper,
    "Wav2Vec2Model": wav2vec2,
    "PatchTSTModel": patch_tst,
}
