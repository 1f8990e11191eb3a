"""TransformerEncoderClassifier: positions, padding, and what it refuses."""

import math

import numpy as np
import pytest

import tinyvision as tv
from tinyvision.models import TransformerEncoderClassifier


def small(**options):
    sizes = {"d_model": 16, "nhead": 2, "num_layers": 2, "dim_feedforward": 32}
    return TransformerEncoderClassifier(9, 3, **{**sizes, **options})


def test_transformer_positions_are_sines_and_cosines():
    positions = small(d_model=4, max_len=5).positions.eval()
    encoded = positions(tv.zeros(1, 3, 4))
    expected = [
        [0, 1, 0, 1],
        [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)],
        [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)],
    ]
    np.testing.assert_allclose(encoded[0], expected, rtol=1e-5, atol=1e-7)


def test_transformer_embedding_starts_with_vectors_of_length_one():
    weight = TransformerEncoderClassifier(500, 3, d_model=64).embedding.weight
    assert (weight**2).sum(dim=1).mean().item() == pytest.approx(1, rel=0.05)


def test_transformer_scales_the_embedding_by_the_root_of_its_width():
    model = small(num_layers=0, max_len=4).eval()
    model.positions.pe.zero_()
    tokens = tv.tensor([[3, 5]])
    mean = 4 * (model.embedding.weight[3] + model.embedding.weight[5]) / 2
    np.testing.assert_allclose(model(tokens)[0].detach(), model.fc(mean).detach(), rtol=1e-5)


def test_transformer_knows_the_order_of_tokens():
    model = small().eval()
    one, other = model(tv.tensor([[1, 2, 3]])), model(tv.tensor([[3, 2, 1]]))
    assert (one - other).abs().max() > 1e-4


def test_transformer_gives_the_same_scores_with_padding_and_without():
    model = small(padding_idx=0).eval()
    short = tv.tensor([[4, 5, 6]])
    padded = tv.tensor([[4, 5, 6, 0, 0], [1, 2, 3, 4, 5]])
    logits, weights = model(padded, need_weights=True)
    np.testing.assert_allclose(logits[:1].detach(), model(short).detach(), rtol=1e-4, atol=1e-6)
    for layer in weights:
        np.testing.assert_array_equal(layer[0, :, :, 3:].detach(), np.zeros((2, 5, 2)))
    without = small().eval()  # takes 0 for a token like any other
    without.load_state_dict(model.state_dict())
    assert (without(padded)[:1] - without(short)).abs().max() > 1e-4


def test_transformer_dropout_acts_in_training_only():
    model, tokens = small(dropout=0.5), tv.tensor([[1, 2, 3]])
    assert (model(tokens) - model(tokens)).abs().max() > 1e-4
    model.eval()
    np.testing.assert_array_equal(model(tokens).detach(), model(tokens).detach())


def test_transformer_refuses_an_odd_width():
    with pytest.raises(ValueError, match="d_model must be even, got 15"):
        small(d_model=15, nhead=1)


@pytest.mark.parametrize(
    "tokens, message",
    [
        ([1, 2], r"expected token numbers \(N, L\), got \(2,\)"),
        ([[1, 2, 3, 4, 5]], "5 tokens are more than the 4 there are places for"),
        ([[1, 2], [0, 0]], "nothing but padding"),
    ],
)
def test_transformer_refuses_bad_tokens(tokens, message):
    model = small(max_len=4, padding_idx=0)
    with pytest.raises(RuntimeError, match=message):
        model(tv.tensor(tokens))
