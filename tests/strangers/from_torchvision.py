"""Models of torchvision: classification, segmentation, video, parts of detection."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torchvision
from case import SAMPLES, Build, Cases, image, noise
from torch import Tensor, nn
from torchvision.models import detection, segmentation, swin_transformer, video

CLASSIFIERS = (
    *("resnet18", "resnext50_32x4d", "alexnet", "squeezenet1_1"),
    *("densenet121", "shufflenet_v2_x0_5", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5"),
    *("efficientnet_b0", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny"),
)
VIDEOS = ("r3d_18", "mc3_18", "r2plus1d_18")


def classifier(name: str, size: int = 64, **options: Any) -> Build:
    make: Callable[..., nn.Module] = getattr(torchvision.models, name)
    return lambda: (make(num_classes=7, **options), image(size))


def clip(name: str) -> Build:
    make: Callable[..., nn.Module] = getattr(video, name)
    return lambda: (make(num_classes=5), noise(SAMPLES, 3, 4, 32, 32))


def segmenter(name: str) -> Build:
    make: Callable[..., nn.Module] = getattr(segmentation, name)
    return lambda: (make(weights_backbone=None, num_classes=4), image(64))


def vit() -> Any:
    model = torchvision.models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=5)
    # Zero as it is made, and then nothing before it has a gradient.
    nn.init.normal_(model.heads.head.weight, std=0.1)
    return model, image(32)


def swin(block: Any, merging: Any) -> Build:
    def build() -> Any:
        model = swin_transformer.SwinTransformer(
            [4, 4],
            24,
            [2, 2],
            [2, 4],
            [4, 4],
            stochastic_depth_prob=0.0,
            num_classes=5,
            block=block,
            downsample_layer=merging,
        )
        return model, image(64)

    return build


def max_vit() -> Any:
    model = torchvision.models.MaxVit(
        input_size=(64, 64),
        stem_channels=16,
        partition_size=2,
        block_channels=[16, 32],
        block_layers=[1, 1],
        head_dim=8,
        stochastic_depth_prob=0.0,
        num_classes=5,
    )
    return model, image(64)


def retina_head() -> Any:
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = detection.retinanet.RetinaNetHead(16, 2, 3)

        def forward(self, x: Tensor) -> Any:
            return self.head([x])

    return Head(), noise(SAMPLES, 16, 8, 8)


def pyramid() -> Any:
    class Pyramid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = detection.backbone_utils.resnet_fpn_backbone(
                backbone_name="resnet18", weights=None, trainable_layers=5
            )

        def forward(self, x: Tensor) -> Any:
            return self.body(x)

    return Pyramid(), image(64)


def feature_pyramid() -> Any:
    model = torchvision.ops.FeaturePyramidNetwork([8, 16, 32], 12)
    maps = {"a": noise(2, 8, 16, 16), "b": noise(2, 16, 8, 8), "c": noise(2, 32, 4, 4)}
    return model, (OrderedDict(maps),)


def deformable() -> Any:
    class Deformed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset = nn.Conv2d(3, 18, 3, padding=1)
            self.conv = torchvision.ops.DeformConv2d(3, 32, 3, padding=1)
            self.mix = nn.Conv2d(32, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.mix(self.conv(x, self.offset(x)).tanh())

    return Deformed(), image(8)


CASES: Cases = {name: classifier(name) for name in CLASSIFIERS}
CASES |= {name: clip(name) for name in VIDEOS}
CASES |= {
    "resnet18 (train)": classifier("resnet18"),
    "mobilenet_v2 (train)": classifier("mobilenet_v2", dropout=0.0),
    "shufflenet_v2_x0_5 (train)": classifier("shufflenet_v2_x0_5"),
    "googlenet": classifier("googlenet", aux_logits=False, init_weights=False),
    "inception_v3": classifier("inception_v3", 96, aux_logits=False, init_weights=False),
    "vgg11, features": lambda: (torchvision.models.vgg11().features, image(64)),
    "vgg11_bn, features": lambda: (torchvision.models.vgg11_bn().features, image(64)),
    "vit, small": vit,
    "swin, small": swin(swin_transformer.SwinTransformerBlock, swin_transformer.PatchMerging),
    "swin_v2, small": swin(
        swin_transformer.SwinTransformerBlockV2, swin_transformer.PatchMergingV2
    ),
    "maxvit, small": max_vit,
    "fcn_resnet50": segmenter("fcn_resnet50"),
    "lraspp_mobilenet_v3_large": segmenter("lraspp_mobilenet_v3_large"),
    "deeplabv3_mobilenet_v3_large": segmenter("deeplabv3_mobilenet_v3_large"),
    "retinanet, head": retina_head,
    "resnet18, pyramid": pyramid,
    "feature pyramid": feature_pyramid,
    "deformable convolution": deformable,
}
