"""What all models have in common: they learn, reach every parameter and give their weights."""

import numpy as np
import pytest

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import models


def images_and(model):
    return model, tv.randn(6, 3, 8, 8)


def vit(**options):
    return images_and(
        models.VisionTransformer(8, 4, 2, 2, 16, 32, num_classes=3, position_std=1.0, **options)
    )


def cct(**options):
    return images_and(
        models.CCT(8, 16, 3, 1, 3, 1, 1, num_layers=2, num_heads=2, num_classes=3, **options)
    )


def sequences(**options):
    options = {"d_model": 16, "nhead": 2, "dim_feedforward": 32, **options}
    model = models.TransformerEncoderClassifier(9, 3, **options)
    tokens = tv.randint(1, 9, (6, 7))
    if "padding_idx" in options:
        tokens[2:, 4:] = options["padding_idx"]
    return model, tokens


MODELS = {
    "ViT": vit,
    "ViT, mean": lambda: vit(pooling="mean"),
    "CCT": cct,
    "CCT, sine": lambda: cct(positional_embedding="sine"),
    "CCT, no positions": lambda: cct(positional_embedding="none"),
    "sequences": sequences,
    "sequences with padding": lambda: sequences(padding_idx=0),
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


@each_model
def test_models_learn_a_batch_by_heart(make):
    model, input = make()
    target = tv.tensor([0, 1, 2, 2, 1, 0])
    optimizer = tv.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(40):
        loss = F.cross_entropy(model(input), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    assert F.cross_entropy(model(input), target).item() < 0.1


@each_model
def test_models_give_a_gradient_to_every_parameter_that_wants_one(make):
    model, input = make()
    for parameter in model.parameters():  # a head of zeros would hide what is behind it
        if parameter.requires_grad:
            parameter.data.add_(0.1 * tv.randn(*parameter.shape))
    (model(input) * tv.randn(6, 3)).sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if parameter.requires_grad:
            assert np.isfinite(parameter.grad.numpy()).all(), name
            # A bias of the scores of all tokens alike changes no softmax over the tokens.
            assert parameter.grad.abs().max() > 0 or name.endswith("attention_pool.bias"), name


@each_model
def test_models_give_weights_that_are_shares_of_all_tokens(make):
    model, input = make()
    model.eval()
    logits, weights = model(input, need_weights=True)
    np.testing.assert_allclose(logits.detach(), model(input).detach(), rtol=1e-4, atol=1e-6)
    assert len(weights) == (3 if isinstance(model, models.CCT) else 2)
    for layer in weights:
        assert layer.detach().min() >= 0
        np.testing.assert_allclose(layer.sum(dim=-1).detach(), 1, rtol=1e-5)
    for layer in weights[:2]:
        assert layer.shape == (6, 2, layer.shape[3], layer.shape[3])


@each_model
def test_models_classify_an_image_alike_alone_and_in_a_batch(make):
    model, input = make()
    model.eval()
    alone = model(input[3:4]).detach()
    np.testing.assert_allclose(alone, model(input).detach()[3:4], rtol=1e-4, atol=1e-6)


@each_model
def test_models_repeat_with_the_same_seed(make):
    results = []
    for _ in range(2):
        tv.manual_seed(5)
        model, input = make()
        results.append(model(input).detach().numpy())
    np.testing.assert_array_equal(*results)


@each_model
def test_models_carry_over_by_state_dict(make):
    (model, input), (other, _) = make(), make()
    for parameter in model.parameters():
        parameter.data.add_(0.1)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.eval()(input).detach(), model.eval()(input).detach())
