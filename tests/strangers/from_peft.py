"""Every method of peft that needs no data of its own, on two small models."""

from collections.abc import Callable
from typing import Any

import peft
from case import SAMPLES, Build, Cases, tokens
from from_transformers import GROUPED, LENGTH, SMALL, WORDS, made

Method = Callable[[dict[str, Any]], peft.PeftConfig]
BASES = {
    "llama": ("LlamaForCausalLM", GROUPED, {"target_modules": ["q_proj", "up_proj"]}, "CAUSAL_LM"),
    "bert": (
        "BertForSequenceClassification",
        SMALL,
        {"target_modules": ["query", "intermediate.dense"]},
        "SEQ_CLS",
    ),
}
METHODS: dict[str, Method] = {
    "lora": lambda at: peft.LoraConfig(r=4, init_lora_weights=False, **at),
    "lora, as made": lambda at: peft.LoraConfig(r=4, **at),
    "rslora": lambda at: peft.LoraConfig(r=4, use_rslora=True, init_lora_weights=False, **at),
    "dora": lambda at: peft.LoraConfig(r=4, use_dora=True, init_lora_weights=False, **at),
    "lora, bias": lambda at: peft.LoraConfig(r=4, bias="all", init_lora_weights=False, **at),
    "adalora": lambda at: peft.AdaLoraConfig(
        init_r=4, target_r=2, total_step=10, init_lora_weights=False, **at
    ),
    "loha": lambda at: peft.LoHaConfig(r=4, init_weights=False, **at),
    "lokr": lambda at: peft.LoKrConfig(r=4, init_weights=False, **at),
    "ia3": lambda at: peft.IA3Config(feedforward_modules=[], init_ia3_weights=False, **at),
    "oft": lambda at: peft.OFTConfig(r=0, oft_block_size=8, init_weights=False, **at),
    "boft": lambda at: peft.BOFTConfig(boft_block_size=4, init_weights=False, **at),
    "vera": lambda at: peft.VeraConfig(r=4, init_weights=False, **at),
    "randlora": lambda at: peft.RandLoraConfig(r=4, init_weights=False, **at),
    "fourierft": lambda at: peft.FourierFTConfig(n_frequency=20, **at),
    "hra": lambda at: peft.HRAConfig(r=4, init_weights=False, **at),
    "miss": lambda at: peft.MissConfig(r=4, init_weights=False, **at),
    "shira": lambda at: peft.ShiraConfig(r=2, init_weights=False, **at),
    "c3a": lambda at: peft.C3AConfig(block_size=8, init_weights=False, **at),
    "road": lambda at: peft.RoadConfig(group_size=8, init_weights=False, **at),
    "vblora": lambda at: peft.VBLoRAConfig(r=4, num_vectors=16, vector_length=8, topk=2, **at),
    "waveft": lambda at: peft.WaveFTConfig(n_frequency=20, init_weights=False, **at),
    "delora": lambda at: peft.DeloraConfig(r=4, init_weights=False, **at),
    "layer norms": lambda at: peft.LNTuningConfig(target_modules=["norm", "LayerNorm"], **rest(at)),
    "prompt": lambda at: peft.PromptTuningConfig(num_virtual_tokens=3, **rest(at)),
    "prefix": lambda at: peft.PrefixTuningConfig(num_virtual_tokens=3, **rest(at)),
    "p-tuning": lambda at: peft.PromptEncoderConfig(
        num_virtual_tokens=3, encoder_hidden_size=16, **rest(at)
    ),
    "trainable tokens": lambda at: peft.TrainableTokensConfig(
        token_indices=list(range(2, 50)),
        target_modules=["embed_tokens", "word_embeddings"],
        **rest(at),
    ),
}


def rest(at: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in at.items() if k != "target_modules"}


def adapted(base: str, method: Method) -> Build:
    name, options, targets, task = BASES[base]

    def build() -> Any:
        model = made(name, options)
        config = method({**targets, "task_type": task})
        ids = {"input_ids": tokens(SAMPLES, LENGTH, of=WORDS)}
        return peft.get_peft_model(model, config), ids

    return build


CASES: Cases = {
    f"{method} on {base}": adapted(base, make) for method, make in METHODS.items() for base in BASES
}
