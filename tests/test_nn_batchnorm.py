"""BatchNorm1d and BatchNorm2d: whose statistics are used, and how the averages are kept."""

import pytest

import tinyvision as tv
from tinyvision import nn


def test_batchnorm_normalises_the_batch_and_keeps_averages():
    norm = nn.BatchNorm1d(1)
    output = norm(tv.tensor([[1.0], [3.0]]))
    assert output.flatten().tolist() == pytest.approx([-1.0, 1.0], rel=1e-5)
    # mean 2 and unbiased variance 2, each with a share of 0.1
    assert norm.running_mean.item() == pytest.approx(0.2)
    assert norm.running_var.item() == pytest.approx(0.9 + 0.1 * 2)
    assert norm.num_batches_tracked.item() == 1


def test_batchnorm_momentum_none_keeps_the_plain_average():
    norm = nn.BatchNorm1d(1, momentum=None)
    for centre in (1.0, 4.0, 10.0):
        norm(tv.tensor([[centre - 1], [centre + 1]]))
    assert norm.running_mean.item() == pytest.approx(5.0)
    assert norm.running_var.item() == pytest.approx(2.0)


def test_batchnorm_eval_uses_the_averages_and_changes_nothing():
    norm = nn.BatchNorm1d(1).eval()
    x = tv.tensor([[1.0], [3.0]])
    assert norm(x).flatten().tolist() == pytest.approx([1.0, 3.0], rel=1e-4)
    assert norm.num_batches_tracked.item() == 0 and norm.running_mean.item() == 0


def test_batchnorm_without_tracking_uses_the_batch_in_eval_too():
    norm = nn.BatchNorm1d(1, track_running_stats=False).eval()
    assert norm.running_mean is None and norm.num_batches_tracked is None
    output = norm(tv.tensor([[1.0], [3.0]]))
    assert output.flatten().tolist() == pytest.approx([-1.0, 1.0], rel=1e-5)


def test_batchnorm_tracking_can_be_switched_off_later():
    norm = nn.BatchNorm1d(1)
    norm.track_running_stats = False
    norm(tv.tensor([[1.0], [3.0]]))
    assert norm.running_mean.item() == 0 and norm.num_batches_tracked.item() == 0


def test_batchnorm_without_affine_or_bias():
    assert list(nn.BatchNorm2d(2, affine=False).parameters()) == []
    norm = nn.BatchNorm2d(2, bias=False)
    assert norm.bias is None and norm(tv.randn(2, 2, 3, 3)).shape == (2, 2, 3, 3)


def test_batchnorm_reset_parameters():
    norm = nn.BatchNorm1d(2)
    norm(tv.randn(5, 2))
    with tv.no_grad():
        norm.weight.fill_(3.0)
    norm.reset_parameters()
    assert norm.weight.tolist() == norm.running_var.tolist() == [1.0, 1.0]
    assert norm.bias.tolist() == norm.running_mean.tolist() == [0.0, 0.0]
    assert norm.num_batches_tracked.item() == 0


def test_batchnorm_loads_checkpoints_from_before_batches_were_counted():
    norm = nn.Sequential(nn.BatchNorm2d(2), nn.InstanceNorm1d(2, track_running_stats=True))
    norm[0].num_batches_tracked.add_(4)
    old = {k: v + 1 for k, v in norm.state_dict().items() if "num_batches" not in k}
    result = norm.load_state_dict(old)
    assert repr(result) == "<All keys matched successfully>"
    assert norm[0].num_batches_tracked.item() == 4 and norm[1].running_mean.tolist() == [1, 1]
    del old["0.running_var"]
    with pytest.raises(RuntimeError, match='Missing key.* "0.running_var". $'):
        norm.load_state_dict(old)


def test_batchnorm_rejects_wrong_input():
    with pytest.raises(ValueError, match=r"expected 4D input \(got 2D input\)"):
        nn.BatchNorm2d(2)(tv.zeros(3, 2))
    with pytest.raises(ValueError, match=r"expected 2D or 3D input \(got 4D input\)"):
        nn.BatchNorm1d(2)(tv.zeros(3, 2, 1, 1))
    with pytest.raises(RuntimeError):
        nn.BatchNorm1d(2)(tv.zeros(3, 4))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm1d(2)(tv.zeros(1, 2))
    assert nn.BatchNorm1d(2).eval()(tv.zeros(1, 2)).shape == (1, 2)
    with pytest.raises(TypeError, match="num_features must be an int"):
        nn.BatchNorm2d(2.5)
