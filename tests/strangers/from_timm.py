"""Models of timm, by name, with the options that make them small."""

from typing import Any

import timm
from case import Build, Cases, image

CONVOLUTIONS = (
    *(
        "resnet18",
        "resnet26d",
        "seresnext26d_32x4d",
        "skresnet18",
        "resnest14d",
        "res2net50_14w_8s",
    ),
    *("resnetv2_18", "densenet121", "dla34", "dpn48b", "hrnet_w18_small"),
    *("regnetx_002", "regnety_002", "efficientnet_b0", "mobilenetv2_050", "mobilenetv3_small_050"),
    *("mnasnet_small", "ghostnet_050", "rexnet_100", "tinynet_e", "lcnet_050", "repvgg_a0"),
    *("mobileone_s0", "starnet_s1", "convnext_atto", "convnextv2_atto", "edgenext_xx_small"),
    *("inception_next_atto", "mambaout_femto", "eca_nfnet_l0", "selecsls42", "ese_vovnet19b_dw"),
    *("darknet17", "fastvit_t8", "mobilevit_xxs", "mobilevitv2_050", "poolformer_s12"),
    *("hardcorenas_a", "nf_regnet_b0", "cspresnet50", "repvit_m0_9", "ghostnetv2_100"),
)
ATTENTION = {
    "vit_tiny_patch16_224": 64,
    "deit_tiny_patch16_224": 64,
    "deit_tiny_distilled_patch16_224": 64,
    "eva02_tiny_patch14_224": 56,
    "cait_xxs24_224": 64,
    "xcit_nano_12_p16_224": 64,
    "mixer_s32_224": 64,
    "gmlp_ti16_224": 64,
    "resmlp_12_224": 64,
    "convit_tiny": 64,
    "pit_ti_224": 64,
    "visformer_tiny": 64,
    "coat_lite_tiny": 64,
    "crossvit_tiny_240": 96,
    "twins_svt_small": 64,
    "swin_tiny_patch4_window7_224": 64,
    "swinv2_cr_tiny_ns_224": 64,
    "tiny_vit_5m_224": 64,
    "levit_128s": 224,
}
OTHERS = ("pvt_v2_b0", "davit_tiny", "focalnet_tiny_srf", "efficientvit_b0", "efficientformerv2_s0")
TRAIN = ("resnet18", "vit_tiny_patch16_224", "visformer_tiny", "regnetx_002", "repvgg_a0")


def build(name: str, size: int, **options: Any) -> Build:
    return lambda: (timm.create_model(name, num_classes=7, **options), image(size))


def checkpointed() -> Any:
    model = timm.create_model("resnet18", num_classes=7)
    model.set_grad_checkpointing(True)
    return model, image(64)


CASES: Cases = {name: build(name, 64) for name in (*CONVOLUTIONS, *OTHERS)}
CASES |= {
    name: build(name, size, **({} if name == "levit_128s" else {"img_size": size}))
    for name, size in ATTENTION.items()
}
CASES |= {f"{name} (train)": build(name, 64) for name in TRAIN if name not in ATTENTION}
CASES |= {f"{name} (train)": build(name, 64, img_size=64) for name in TRAIN if name in ATTENTION}
CASES |= {"resnet18, checkpointed": checkpointed}
CASES |= {
    "resnet18, features": lambda: (timm.create_model("resnet18", features_only=True), image(64))
}
