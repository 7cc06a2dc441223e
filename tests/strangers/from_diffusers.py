"""Models of diffusers, with few channels."""

from typing import Any

import diffusers
import torch
from case import SAMPLES, Build, Cases, image, noise

BLOCKS = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4}
TEXT = 16
TIME = torch.tensor([3, 7])


def made(name: str, **options: Any) -> Any:
    return getattr(diffusers, name)(**options)


def words(n: int = 4) -> Any:
    return noise(SAMPLES, n, TEXT)


def denoiser(down: str, up: str, **more: Any) -> Build:
    def build() -> Any:
        model = made(
            "UNet2DModel",
            sample_size=16,
            attention_head_dim=4,
            down_block_types=("DownBlock2D", down),
            up_block_types=(up, "UpBlock2D"),
            **BLOCKS,
            **more,
        )
        return model, {"sample": image(16), "timestep": TIME}

    return build


CONDITIONED = {
    "sample_size": 16,
    "cross_attention_dim": TEXT,
    "attention_head_dim": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    **BLOCKS,
}


def conditioned(**more: Any) -> Build:
    def build() -> Any:
        ups = ("UpBlock2D", "CrossAttnUpBlock2D")
        model = made("UNet2DConditionModel", up_block_types=ups, **CONDITIONED, **more)
        return model, {"sample": image(16, 4), "timestep": TIME, "encoder_hidden_states": words()}

    return build


def control_net() -> Any:
    options = {k: v for k, v in CONDITIONED.items() if k != "sample_size"}
    model = made("ControlNetModel", **options, conditioning_embedding_out_channels=(4, 8))
    inputs = {"sample": image(16, 4), "timestep": TIME, "encoder_hidden_states": words()}
    return model, {**inputs, "controlnet_cond": image(32)}


def coder(name: str, size: int = 16, **more: Any) -> Build:
    return lambda: (made(name, **more), image(size))


VAE = {
    "down_block_types": ("DownEncoderBlock2D", "DownEncoderBlock2D"),
    "up_block_types": ("UpDecoderBlock2D", "UpDecoderBlock2D"),
    "latent_channels": 4,
    **BLOCKS,
}
HEADS = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1}


def dit() -> Any:
    model = made("DiTTransformer2DModel", **HEADS, in_channels=4, sample_size=8, patch_size=2)
    inputs = {"hidden_states": image(8, 4), "timestep": TIME}
    return model, {**inputs, "class_labels": torch.tensor([1, 2])}


def transformer_2d() -> Any:
    model = made(
        "Transformer2DModel", **HEADS, in_channels=8, norm_num_groups=4, cross_attention_dim=TEXT
    )
    return model, {"hidden_states": image(8, 8), "encoder_hidden_states": words()}


def pixart() -> Any:
    model = made(
        "PixArtTransformer2DModel",
        **HEADS,
        in_channels=4,
        out_channels=4,
        sample_size=8,
        caption_channels=TEXT,
        cross_attention_dim=16,
    )
    inputs = {"hidden_states": image(8, 4), "timestep": TIME, "encoder_hidden_states": words()}
    return model, {**inputs, "added_cond_kwargs": {"resolution": None, "aspect_ratio": None}}


def stable_3() -> Any:
    model = made(
        "SD3Transformer2DModel",
        **HEADS,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        joint_attention_dim=TEXT,
        caption_projection_dim=16,
        pooled_projection_dim=12,
        pos_embed_max_size=8,
    )
    inputs = {"hidden_states": image(8, 4), "timestep": TIME, "encoder_hidden_states": words()}
    return model, {**inputs, "pooled_projections": noise(SAMPLES, 12)}


def flux() -> Any:
    model = made(
        "FluxTransformer2DModel",
        **HEADS,
        num_single_layers=1,
        in_channels=4,
        joint_attention_dim=TEXT,
        pooled_projection_dim=12,
        axes_dims_rope=(2, 2, 4),
    )
    inputs = {"hidden_states": noise(SAMPLES, 16, 4), "timestep": TIME.double() / 10}
    inputs |= {"encoder_hidden_states": words(), "pooled_projections": noise(SAMPLES, 12)}
    places = torch.stack(torch.meshgrid(*[torch.arange(4.0)] * 2, indexing="ij"), -1)
    ids = torch.cat([torch.zeros(16, 1), places.reshape(16, 2)], 1)
    return model, {**inputs, "img_ids": ids, "txt_ids": torch.zeros(4, 3)}


def aura() -> Any:
    model = made(
        "AuraFlowTransformer2DModel",
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        num_attention_heads=2,
        attention_head_dim=8,
        joint_attention_dim=TEXT,
        caption_projection_dim=16,
        pos_embed_max_size=64,
    )
    inputs = {"hidden_states": image(8, 4), "encoder_hidden_states": words()}
    return model, {**inputs, "timestep": TIME.double() / 10}


def sana() -> Any:
    model = made(
        "SanaTransformer2DModel",
        **HEADS,
        in_channels=4,
        out_channels=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=TEXT,
        sample_size=8,
    )
    inputs = {"hidden_states": image(8, 4), "timestep": TIME, "encoder_hidden_states": words()}
    return model, inputs


def latte() -> Any:
    model = made(
        "LatteTransformer3DModel",
        **HEADS,
        in_channels=4,
        out_channels=4,
        sample_size=8,
        patch_size=2,
        cross_attention_dim=16,
        caption_channels=TEXT,
        video_length=2,
        norm_elementwise_affine=False,
    )
    frames = noise(SAMPLES, 4, 2, 8, 8)
    return model, {"hidden_states": frames, "timestep": TIME, "encoder_hidden_states": words()}


def prior() -> Any:
    model = made("PriorTransformer", **HEADS, embedding_dim=16, num_embeddings=5)
    inputs = {"hidden_states": noise(SAMPLES, 16), "timestep": TIME}
    inputs |= {"proj_embedding": noise(SAMPLES, 16), "encoder_hidden_states": noise(SAMPLES, 5, 16)}
    return model, inputs


def unet_1d() -> Any:
    model = made(
        "UNet1DModel",
        sample_size=16,
        in_channels=2,
        out_channels=2,
        extra_in_channels=64,
        block_out_channels=(32, 32, 64),
    )
    return model, {"sample": noise(SAMPLES, 2, 64), "timestep": TIME}


def unet_3d() -> Any:
    model = made(
        "UNet3DConditionModel",
        sample_size=8,
        cross_attention_dim=TEXT,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        **BLOCKS,
    )
    inputs = {"sample": noise(SAMPLES, 4, 2, 8, 8), "timestep": TIME}
    return model, {**inputs, "encoder_hidden_states": words()}


def cog_video() -> Any:
    model = made(
        "CogVideoXTransformer3DModel",
        **HEADS,
        in_channels=4,
        out_channels=4,
        text_embed_dim=TEXT,
        time_embed_dim=8,
        sample_width=8,
        sample_height=8,
        sample_frames=2,
        max_text_seq_length=4,
        temporal_compression_ratio=1,
    )
    frames = noise(SAMPLES, 2, 4, 8, 8)
    return model, {"hidden_states": frames, "timestep": TIME, "encoder_hidden_states": words()}


def oobleck() -> Any:
    model = made(
        "AutoencoderOobleck",
        encoder_hidden_size=8,
        downsampling_ratios=[2, 4],
        decoder_channels=8,
        decoder_input_channels=4,
        audio_channels=2,
        channel_multiples=[1, 2],
    )
    return model, noise(SAMPLES, 2, 64)


def tiny_encoder() -> Any:
    """The whole of it works in float32 between its halves."""
    halves = {f"{half}_block_out_channels": (8, 8) for half in ("encoder", "decoder")}
    halves |= {f"num_{half}_blocks": (1, 1) for half in ("encoder", "decoder")}
    return made("AutoencoderTiny", **halves).encoder, image(16)


def adapter() -> Any:
    return made("T2IAdapter", channels=[8, 16], num_res_blocks=1, downscale_factor=4), image(32)


CASES: Cases = {
    "UNet2DModel": denoiser("AttnDownBlock2D", "AttnUpBlock2D"),
    "UNet2DModel (train)": denoiser("AttnDownBlock2D", "AttnUpBlock2D"),
    "UNet2DModel, no attention": denoiser("DownBlock2D", "UpBlock2D"),
    "UNet2DModel, scale and shift": denoiser(
        "DownBlock2D", "UpBlock2D", resnet_time_scale_shift="scale_shift"
    ),
    "UNet2DConditionModel": conditioned(),
    "UNet2DConditionModel, linear": conditioned(use_linear_projection=True),
    "ControlNetModel": control_net,
    "AutoencoderKL": coder("AutoencoderKL", **VAE),
    "AutoencoderKL (train)": coder("AutoencoderKL", **VAE),
    "VQModel": coder("VQModel", **{**VAE, "num_vq_embeddings": 16}),
    "AutoencoderTiny, encoder": tiny_encoder,
    "AsymmetricAutoencoderKL": coder(
        "AsymmetricAutoencoderKL",
        down_block_types=("DownEncoderBlock2D",),
        down_block_out_channels=(8,),
        up_block_types=("UpDecoderBlock2D",),
        up_block_out_channels=(8,),
        norm_num_groups=4,
    ),
    "Transformer2DModel": transformer_2d,
    "DiTTransformer2DModel": dit,
    "PixArtTransformer2DModel": pixart,
    "SD3Transformer2DModel": stable_3,
    "FluxTransformer2DModel": flux,
    "AuraFlowTransformer2DModel": aura,
    "SanaTransformer2DModel": sana,
    "LatteTransformer3DModel": latte,
    "PriorTransformer": prior,
    "UNet1DModel": unet_1d,
    "UNet3DConditionModel": unet_3d,
    "CogVideoXTransformer3DModel": cog_video,
    "AutoencoderOobleck": oobleck,
    "T2IAdapter": adapter,
}
