"""VisionTransformer: the parts of it, and what it refuses."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision.models import VisionTransformer


def small(**options):
    sizes = {"image_size": 8, "patch_size": 4, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}
    return VisionTransformer(**{**sizes, "mlp_dim": 32, "num_classes": 3, **options})


def with_random_head(model):
    """A head of zeros, as it is at first, would hide everything behind it."""
    model.heads.head.weight.data.copy_(tv.randn(3, 16))
    return model


def test_vit_has_the_keys_of_torchvision():
    layer = [
        *("ln_1.weight", "ln_1.bias"),
        *("self_attention.in_proj_weight", "self_attention.in_proj_bias"),
        *("self_attention.out_proj.weight", "self_attention.out_proj.bias"),
        *("ln_2.weight", "ln_2.bias"),
        *("mlp.0.weight", "mlp.0.bias", "mlp.3.weight", "mlp.3.bias"),
    ]
    expected = [
        *("class_token", "conv_proj.weight", "conv_proj.bias", "encoder.pos_embedding"),
        *(f"encoder.layers.encoder_layer_{i}.{key}" for i in range(2) for key in layer),
        *("encoder.ln.weight", "encoder.ln.bias", "heads.head.weight", "heads.head.bias"),
    ]
    shapes = {name: value.shape for name, value in small().state_dict().items()}
    assert sorted(shapes) == sorted(expected)
    assert shapes["conv_proj.weight"] == (16, 3, 4, 4)
    assert shapes["encoder.pos_embedding"] == (1, 5, 16)
    assert shapes["encoder.layers.encoder_layer_0.self_attention.in_proj_weight"] == (48, 16)


def test_vit_b_16_has_torchvisions_number_of_parameters():
    model = VisionTransformer(224, 16, 1, 12, 768, 3072)
    one = sum(p.numel() for p in model.encoder.layers[0].parameters())
    rest = sum(p.numel() for p in model.parameters()) - one
    assert 12 * one + rest == 86_567_656


def test_vit_starts_undecided():
    np.testing.assert_array_equal(small()(tv.randn(2, 3, 8, 8)).detach(), np.zeros((2, 3)))


def test_vit_positions_start_with_the_deviation_asked_for():
    for std in (0.02, 1.0):
        model = small(hidden_dim=400, position_std=std)
        assert model.encoder.pos_embedding.std().item() == pytest.approx(std, rel=0.1)


def test_vit_cuts_the_image_into_patches_row_by_row():
    model = small(in_channels=1, hidden_dim=2, num_heads=1)
    model.conv_proj.weight.data.copy_(tv.ones(2, 1, 4, 4))
    image = tv.zeros(1, 1, 8, 8)
    image[0, 0, 0, 4:] = 1.0  # in the patch on the upper right
    image[0, 0, 7, 0] = 1.0  # on the lower left
    tokens = model.patch_tokens(image)
    np.testing.assert_array_equal(tokens[0, :, 0].detach(), [0, 4, 1, 0])


@pytest.mark.parametrize("pooling", ["token", "mean"])
def test_vit_without_positions_takes_patches_in_any_order(pooling):
    model = with_random_head(small(pooling=pooling)).eval()
    images = tv.randn(2, 3, 8, 8)
    moved = tv.cat([images[:, :, :, 4:], images[:, :, :, :4]], dim=3)
    assert (model(images) - model(moved)).abs().max() > 1e-4
    model.encoder.pos_embedding.data.zero_()
    np.testing.assert_allclose(model(moved).detach(), model(images).detach(), atol=1e-5)


def test_vit_stochastic_depth_skips_the_last_layer_most_and_the_first_never():
    model = with_random_head(small(stochastic_depth=1.0))
    images = tv.randn(4, 3, 8, 8)
    in_training = model(images).detach()
    assert (model.eval()(images) - in_training).abs().max() > 1e-4
    shorter = with_random_head(small(num_layers=1)).eval()
    kept = {key: model.state_dict()[key] for key in shorter.state_dict()}
    shorter.load_state_dict(kept)
    np.testing.assert_allclose(shorter(images).detach(), in_training, rtol=1e-4, atol=1e-6)


def test_vit_dropout_acts_in_training_only():
    for option in ("dropout", "attention_dropout"):
        model = with_random_head(small(**{option: 0.5}))
        images = tv.randn(2, 3, 8, 8)
        assert (model(images) - model(images)).abs().max() > 1e-4
        model.eval()
        np.testing.assert_array_equal(model(images).detach(), model(images).detach())


def test_vit_attention_weights_are_those_that_mix_the_values():
    model = with_random_head(small()).eval()
    seen = []
    attention = model.encoder.layers[1].self_attention
    attention.register_forward_hook(lambda module, args, output: seen.append((args[0], output[0])))
    _, weights = model(tv.randn(2, 3, 8, 8), need_weights=True)
    (x, output), E = seen[0], 16
    value = x @ attention.in_proj_weight[2 * E :].transpose(0, 1) + attention.in_proj_bias[2 * E :]
    value = value.reshape(2, 5, 2, E // 2).transpose(1, 2)  # (N, num_heads, L, head_dim)
    mixed = (weights[1] @ value).transpose(1, 2).reshape(2, 5, E)
    np.testing.assert_allclose(
        attention.out_proj(mixed).detach(), output.detach(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"patch_size": 3}, "image_size 8 is no multiple of patch_size 3"),
        ({"patch_size": 0}, "patch_size 0"),
        ({"num_heads": 3}, "hidden_dim 16 is no multiple of num_heads 3"),
        ({"num_heads": 0}, "num_heads 0"),
        ({"pooling": "max"}, "not 'max'"),
    ],
)
def test_vit_refuses_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_vit_says_what_it_does_not_support():
    with pytest.raises(NotImplementedError, match="representation_size"):
        small(representation_size=8)


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (2, 3, 12, 8), (2, 1, 8, 8), (3, 8, 8)])
def test_vit_refuses_images_of_another_shape(shape):
    with pytest.raises(RuntimeError, match=r"expected images \(N, 3, 8, 8\), got"):
        small()(tv.zeros(*shape))
