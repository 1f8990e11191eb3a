"""The models against the same formulas written with PyTorch's functions, from the same weights."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision.models import CCT, TransformerEncoderClassifier, VisionTransformer

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


def vit_in_torch(state, images, heads):
    F = torch.nn.functional
    weight = state["conv_proj.weight"]
    E, patch = weight.shape[0], weight.shape[2]
    x = F.unfold(images, patch, stride=patch).transpose(1, 2)  # a patch in each row
    x = x @ weight.reshape(E, -1).T + state["conv_proj.bias"]
    if "class_token" in state:
        x = torch.cat([state["class_token"].repeat(len(x), 1, 1), x], dim=1)
    x = x + state["encoder.pos_embedding"]
    for i in range(2):
        layer = torch.nn.TransformerEncoderLayer(
            *(E, heads, len(state["encoder.layers.encoder_layer_0.mlp.0.bias"]), 0.0, "gelu"),
            **{"layer_norm_eps": 1e-6, "batch_first": True, "norm_first": True},
        )
        names = {
            **{"ln_1": "norm1", "self_attention": "self_attn", "ln_2": "norm2"},
            **{"mlp.0": "linear1", "mlp.3": "linear2"},
        }
        x = call_with(layer, under(state, f"encoder.layers.encoder_layer_{i}.", names), x)
    x = F.layer_norm(x, (E,), state["encoder.ln.weight"], state["encoder.ln.bias"], 1e-6)
    x = x[:, 0] if "class_token" in state else x.mean(1)
    return F.linear(x, state["heads.head.weight"], state["heads.head.bias"])


def cct_in_torch(state, images, heads):
    F = torch.nn.functional
    x = images
    for i in range(2):
        x = F.conv2d(x, state[f"tokenizer.conv_layers.{i}.0.weight"], padding=1)
        x = F.max_pool2d(F.relu(x), 3, 2, 1)
    state = under(state, "classifier.")
    x = x.flatten(2).transpose(1, 2) + state["positional_emb"]
    N, L, E = x.shape
    for i in range(2):
        s = under(state, f"blocks.{i}.")
        y = F.layer_norm(x, (E,), s["pre_norm.weight"], s["pre_norm.bias"])
        qkv = (y @ s["self_attn.qkv.weight"].T).reshape(N, L, 3, heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / (E / heads) ** 0.5
        y = (scores.softmax(-1) @ value).transpose(1, 2).reshape(N, L, E)
        x = x + F.linear(y, s["self_attn.proj.weight"], s["self_attn.proj.bias"])
        x = F.layer_norm(x, (E,), s["norm1.weight"], s["norm1.bias"])
        y = F.gelu(F.linear(x, s["linear1.weight"], s["linear1.bias"]))
        x = x + F.linear(y, s["linear2.weight"], s["linear2.bias"])
    x = F.layer_norm(x, (E,), state["norm.weight"], state["norm.bias"])
    scores = F.linear(x, state["attention_pool.weight"], state["attention_pool.bias"])
    x = (scores.softmax(1).transpose(1, 2) @ x).squeeze(1)
    return F.linear(x, state["fc.weight"], state["fc.bias"])


def encoder_in_torch(state, tokens, heads):
    E = state["embedding.weight"].shape[1]
    x = torch.nn.functional.embedding(tokens, state["embedding.weight"]) * E**0.5
    x = x + state["positions.pe"][:, : tokens.shape[1]]
    padding = tokens == 0
    for i in range(2):
        width = len(state["layers.0.linear1.bias"])
        layer = torch.nn.TransformerEncoderLayer(E, heads, width, 0.0, batch_first=True)
        x = call_with(layer, under(state, f"layers.{i}."), x, src_key_padding_mask=padding)
    mean = torch.stack([row[~hidden].mean(0) for row, hidden in zip(x, padding, strict=True)])
    return torch.nn.functional.linear(mean, state["fc.weight"], state["fc.bias"])


def under(state, prefix, names=None):
    """The part of the state below the prefix, with the parts of its keys renamed."""
    found = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    for old, new in (names or {}).items():
        found = {k.replace(old + ".", new + "."): v for k, v in found.items()}
    return found


def call_with(module, parameters, *args, **options):
    return torch.func.functional_call(module, parameters, args, options)


IMAGES = (3, 3, 8, 8)
CASES = {  # model, input, twin, heads
    "ViT": (
        lambda: VisionTransformer(8, 4, 2, 2, 16, 32, num_classes=3),
        lambda: tv.randn(*IMAGES),
        vit_in_torch,
        2,
    ),
    "ViT, mean": (
        lambda: VisionTransformer(8, 2, 2, 4, 16, 32, num_classes=3, pooling="mean"),
        lambda: tv.randn(*IMAGES),
        vit_in_torch,
        4,
    ),
    "CCT": (
        lambda: CCT(8, 16, 3, 2, 3, 1, 1, num_layers=2, num_heads=2, mlp_ratio=2, num_classes=3),
        lambda: tv.randn(*IMAGES),
        cct_in_torch,
        2,
    ),
    "sequences": (
        lambda: TransformerEncoderClassifier(9, 3, 16, 4, 2, 32, padding_idx=0),
        lambda: tv.tensor([[1, 2, 3, 4, 5], [8, 7, 6, 0, 0], [3, 3, 3, 3, 0]]),
        encoder_in_torch,
        4,
    ),
}


@pytest.mark.parametrize("make, draw, in_torch, heads", CASES.values(), ids=CASES.keys())
def test_models_equal_their_torch_twins_with_gradients(make, draw, in_torch, heads):
    model, input = make(), draw()
    model.eval()
    for parameter in model.parameters():  # away from zeros and ones
        parameter.data.add_(0.1 * tv.randn(*parameter.shape))
    cotangent = tv.randn(3, 3)
    logits = model(input)
    (logits * cotangent).sum().backward()

    state = {k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()}
    for name, _ in model.named_parameters():
        state[name].requires_grad_()
    expected = in_torch(state, torch.tensor(input.numpy()), heads)
    (expected * torch.tensor(cotangent.numpy())).sum().backward()
    np.testing.assert_allclose(logits.detach(), expected.detach(), rtol=1e-4, atol=1e-5)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            parameter.grad, state[name].grad, rtol=1e-3, atol=1e-4, err_msg=name
        )
