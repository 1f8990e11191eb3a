"""CCT: the parts of it, the named sizes, and what it refuses."""

import math

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import models
from tinyvision.models import CCT


def small(**options):
    tokenizer = {"n_conv_layers": 1, "kernel_size": 3, "stride": 1, "padding": 1}
    sizes = {"img_size": 8, "embedding_dim": 16, "num_layers": 2, "num_heads": 2}
    return CCT(**{**tokenizer, **sizes, "mlp_ratio": 2, "num_classes": 3, **options})


def test_cct_has_the_keys_of_the_authors_code():
    block = [
        *("pre_norm.weight", "pre_norm.bias", "self_attn.qkv.weight"),
        *("self_attn.proj.weight", "self_attn.proj.bias", "linear1.weight", "linear1.bias"),
        *("norm1.weight", "norm1.bias", "linear2.weight", "linear2.bias"),
    ]
    expected = [
        *("tokenizer.conv_layers.0.0.weight", "tokenizer.conv_layers.1.0.weight"),
        *("classifier.positional_emb", "classifier.norm.weight", "classifier.norm.bias"),
        *("classifier.attention_pool.weight", "classifier.attention_pool.bias"),
        *(f"classifier.blocks.{i}.{key}" for i in range(2) for key in block),
        *("classifier.fc.weight", "classifier.fc.bias"),
    ]
    for kind in ("learnable", "sine"):
        model = small(n_conv_layers=2, positional_embedding=kind)
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        assert sorted(shapes) == sorted(expected)
        assert shapes["tokenizer.conv_layers.0.0.weight"] == (64, 3, 3, 3)
        assert shapes["tokenizer.conv_layers.1.0.weight"] == (16, 64, 3, 3)
        assert shapes["classifier.positional_emb"] == (1, 4, 16)


@pytest.mark.parametrize(
    "name, tokens, parameters",
    [
        ("cct_2_3x2_32", 64, 283_723),
        ("cct_4_3x2_32", 64, 482_123),
        ("cct_6_3x1_32", 256, 3_233_803),
        ("cct_7_3x1_32", 256, 3_760_139),
    ],
)
def test_cct_named_sizes_are_the_papers(name, tokens, parameters):
    model = getattr(models, name)(num_classes=10)
    assert model.classifier.positional_emb.shape[1] == tokens
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model.classifier.dropout.p == 0.0
    assert getattr(models, name)(dropout=0.3).classifier.dropout.p == 0.3


def test_cct_sine_positions_are_the_sines_of_the_formula():
    positions = small(positional_embedding="sine", img_size=32).classifier.positional_emb
    assert not positions.requires_grad
    row = positions[0, 7].numpy()
    for i in (0, 3, 7):
        angle = 7 / 10000 ** (2 * i / 16)
        np.testing.assert_allclose(row[2 * i], math.sin(angle), rtol=1e-5)
        np.testing.assert_allclose(row[2 * i + 1], math.cos(angle), rtol=1e-5)


def test_cct_pools_tokens_by_the_weights_it_gives():
    model = small().eval()
    seen = []
    model.classifier.norm.register_forward_hook(lambda module, args, output: seen.append(output))
    logits, (*weights, pooling) = model(tv.randn(5, 3, 8, 8), need_weights=True)
    assert pooling.shape == (5, 16)
    pooled = np.einsum("nl,nle->ne", pooling.detach(), seen[0].detach())
    by_hand = model.classifier.fc(tv.from_numpy(pooled))
    np.testing.assert_allclose(logits.detach(), by_hand.detach(), rtol=1e-4, atol=1e-6)


def test_cct_attention_weights_are_those_that_mix_the_values():
    model = small().eval()
    seen = []
    attention = model.classifier.blocks[1].self_attn
    attention.register_forward_hook(lambda module, args, output: seen.append((args[0], output[0])))
    _, weights = model(tv.randn(2, 3, 8, 8), need_weights=True)
    x, output = seen[0]
    value = (x @ attention.qkv.weight[32:].transpose(0, 1)).reshape(2, 16, 2, 8).transpose(1, 2)
    mixed = (weights[1] @ value).transpose(1, 2).reshape(2, 16, 16)
    np.testing.assert_allclose(
        attention.proj(mixed).detach(), output.detach(), rtol=1e-4, atol=1e-6
    )


def test_cct_stochastic_depth_skips_the_last_layer_most_and_the_first_never():
    model = small(stochastic_depth=1.0, attention_dropout=0.0)
    blocks = model.classifier.blocks
    x = tv.randn(4, 16, 16)
    first, skipped = blocks[0](x, False)[0], blocks[1](x, False)[0]
    np.testing.assert_allclose(blocks[0].eval()(x, False)[0].detach(), first.detach(), rtol=1e-5)
    np.testing.assert_allclose(blocks[1].norm1(x).detach(), skipped.detach(), rtol=1e-5)


def test_cct_dropout_acts_in_training_only():
    for option in ("dropout", "attention_dropout", "stochastic_depth"):
        off = {"dropout": 0.0, "attention_dropout": 0.0, "stochastic_depth": 0.0}
        model = small(**{**off, option: 0.5})
        images = tv.randn(8, 3, 8, 8)
        assert (model(images) - model(images)).abs().max() > 0
        model.eval()
        np.testing.assert_array_equal(model(images).detach(), model(images).detach())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_heads": 3}, "embedding_dim 16 is no multiple of num_heads 3"),
        ({"num_heads": 0}, "num_heads 0"),
        ({"positional_embedding": "cosine"}, "not 'cosine'"),
    ],
)
def test_cct_refuses_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (2, 3, 12, 8), (2, 1, 8, 8), (3, 8, 8)])
def test_cct_refuses_images_of_another_shape(shape):
    with pytest.raises(RuntimeError, match=r"expected images \(N, 3, 8, 8\), got"):
        small()(tv.zeros(*shape))
