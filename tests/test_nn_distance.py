"""Cosine similarity, distances, and the losses made of them; Kullback-Leibler divergence."""

import warnings

import numpy as np
import pytest

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision import nn
from tinyvision.autograd import gradcheck


def test_distances_by_hand():
    x, y = tv.tensor([[3.0, 4.0]]), tv.tensor([[4.0, 3.0]])
    np.testing.assert_allclose(F.cosine_similarity(x, y), [24 / 25], rtol=1e-6)
    np.testing.assert_allclose(F.pairwise_distance(x, y), [np.sqrt(2)], rtol=1e-5)
    near, far = tv.tensor([1]), tv.tensor([-1])
    np.testing.assert_allclose(F.cosine_embedding_loss(x, y, near).item(), 0.04, rtol=1e-4)
    np.testing.assert_allclose(F.cosine_embedding_loss(x, y, far, 0.5).item(), 0.46, rtol=1e-4)
    ranks = F.margin_ranking_loss(tv.tensor([1.0, 2.0]), tv.tensor([2.0, 0.0]), far, 0.5)
    assert ranks.item() == 1.25  # the mean of max(0, 0.5 - 1) and max(0, 0.5 + 2)
    triplet = F.triplet_margin_loss(x, y, tv.tensor([[0.0, 0.0]]), margin=6.0)
    np.testing.assert_allclose(triplet.item(), 6 + np.sqrt(2) - 5, rtol=1e-5)


def test_kl_div_by_hand():
    p, q = tv.tensor([[0.5, 0.5, 0.0]]), tv.tensor([[0.25, 0.5, 0.25]])
    expected = 0.5 * np.log(2)
    np.testing.assert_allclose(F.kl_div(q.log(), p, reduction="batchmean"), expected, rtol=1e-6)
    with pytest.warns(UserWarning, match="batchmean"):
        np.testing.assert_allclose(F.kl_div(q.log(), p).item(), expected / 3, rtol=1e-6)


def pair(library, seed, *shape):
    rng = np.random.default_rng(seed)
    return [library.tensor(rng.standard_normal(shape), requires_grad=True) for _ in range(3)]


def distributions(library, log_target=False):
    logits, other, _ = pair(library, 0, 4, 3)
    target = other.log_softmax(1) if log_target else other.softmax(1)
    return logits.log_softmax(1), target.detach()


SIGNS = [1, -1, 1, -1]
LOSSES = {
    "cosine": lambda n, t: n.CosineSimilarity()(*pair(t, 0, 4, 3, 2)[:2]),
    "cosine dim": lambda n, t: n.CosineSimilarity(dim=-1)(*pair(t, 0, 4, 1, 2)[:2]),
    "distance": lambda n, t: n.PairwiseDistance(p=1.5, keepdim=True)(*pair(t, 0, 4, 3)[:2]),
    "embedding": lambda n, t: n.CosineEmbeddingLoss(0.2)(*pair(t, 1, 4, 3)[:2], t.tensor(SIGNS)),
    "embedding one": lambda n, t: n.CosineEmbeddingLoss()(*pair(t, 1, 3)[:2], t.tensor(-1)),
    "ranking": lambda n, t: n.MarginRankingLoss(0.3, reduction="sum")(
        *pair(t, 2, 4)[:2], t.tensor(SIGNS)
    ),
    "triplet": lambda n, t: n.TripletMarginLoss(reduction="none")(*pair(t, 3, 5, 2)),
    "triplet swap": lambda n, t: n.TripletMarginLoss(2.0, p=1, swap=True)(*pair(t, 3, 5, 2)),
    "kl": lambda n, t: n.KLDivLoss(reduction="batchmean")(*distributions(t)),
    "kl mean": lambda n, t: n.KLDivLoss()(*distributions(t)),
    "kl log": lambda n, t: n.KLDivLoss(reduction="sum", log_target=True)(*distributions(t, True)),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", LOSSES)
def test_distance_losses_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = LOSSES[name](nn, tv), LOSSES[name](torch.nn, torch)
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=1e-10)


def test_distance_gradients():
    x, y, z = pair(tv, 5, 4, 3)
    signs = tv.tensor(SIGNS)
    assert gradcheck(F.cosine_similarity, [x, y])
    assert gradcheck(F.pairwise_distance, [x, y])
    assert gradcheck(lambda x, y: F.cosine_embedding_loss(x, y, signs, 0.1), [x, y])
    assert gradcheck(lambda x, y, z: F.triplet_margin_loss(x, y, z, swap=True), [x, y, z])
    target = z.softmax(1).detach().requires_grad_()
    assert gradcheck(lambda x, t: F.kl_div(x, t, reduction="sum"), [x, target])
    rows = [t.flatten().detach().requires_grad_() for t in (x, y)]
    many = tv.tensor(SIGNS * 3)
    assert gradcheck(lambda x, y: F.margin_ranking_loss(x, y, many, 0.1), rows)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.cosine_embedding_loss(x, x, x), RuntimeError, r"expected inputs \(N, D\)"),
        (lambda x: F.margin_ranking_loss(x, x[0], x), RuntimeError, "same dimension"),
        (lambda x: F.triplet_margin_loss(x, x, x[0]), RuntimeError, "same number of dimensions"),
        (lambda x: F.triplet_margin_loss(x, x, x, 0), ValueError, "greater than 0"),
        (lambda x: nn.TripletMarginLoss(margin=0), ValueError, "greater than 0"),
        (lambda x: F.kl_div(x, x, reduction="x"), ValueError, "not a valid value"),
        (lambda x: F.cosine_similarity(x, 1), TypeError, "must be Tensor"),
    ],
)
def test_distance_losses_refuse_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call(tv.ones(2, 3))
