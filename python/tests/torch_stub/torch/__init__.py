"""As much of PyTorch as scripts/measure-gpu calls, on NumPy: what it computes is right and takes real time.

PyTorch itself weighs gigabytes; where it is installed the tests take it instead.
"""

import contextlib
from types import SimpleNamespace

import numpy as np

from . import distributed as distributed

__version__ = "0-stub"
# A CPU computes in 32 bits; a format decides nothing but its own rounding, which no test looks at.
float32 = np.float32
bfloat16 = float16 = float8_e4m3fn = np.float32


class Tensor:
    """An array, with the gradient's formula where it is the result of attention."""

    def __init__(self, data, backward=None):
        self.data, self.backward, self.grad = np.asarray(data, np.float32), backward, None

    shape = property(lambda self: self.data.shape)

    def zero_(self):
        self.data[...] = 0
        return self

    def copy_(self, other):
        self.data[...] = other.data
        return self

    def to(self, dtype):
        return Tensor(self.data.astype(dtype))

    def t(self):
        return Tensor(self.data.T)

    def abs(self):
        return Tensor(np.abs(self.data))

    def amax(self):
        return Tensor(self.data.max())

    def numel(self):
        return self.data.size

    def requires_grad_(self):
        return self

    def __mul__(self, other):
        return Tensor(self.data * other.data)

    def __truediv__(self, other):
        return Tensor(self.data / getattr(other, "data", other))

    def __float__(self):
        return float(self.data)


def device(name):
    return SimpleNamespace(type=name, index=None)


def zeros(*shape, dtype=None, device=None):
    return Tensor(np.zeros(shape[0] if len(shape) == 1 else shape))


def ones(*shape, dtype=None, device=None):
    return Tensor(np.ones(shape[0] if len(shape) == 1 else shape))


def randn(*shape, dtype=None, device=None):
    return Tensor(np.random.default_rng(0).standard_normal(shape))


def tensor(value, device=None):
    return Tensor(value)


def zeros_like(other):
    return Tensor(np.zeros(other.shape))


def matmul(a, b):
    return Tensor(a.data @ b.data)


def mul(a, b, out):
    np.multiply(a.data, b, out=out.data)


def add(a, b, out):
    np.add(a.data, b.data, out=out.data)


def _attention(q, k, v, is_causal):
    scores = q.data @ k.data.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if is_causal:
        scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)

    def backward(gradient):
        of_weights = gradient.data @ v.data.swapaxes(-1, -2)
        of_scores = weights * (of_weights - (weights * of_weights).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
        return (of_scores @ k.data, of_scores.swapaxes(-1, -2) @ q.data, weights.swapaxes(-1, -2) @ gradient.data)

    return Tensor(weights @ v.data, backward)


def _grad(result, inputs, gradient):
    return [Tensor(of_input) for of_input in result.backward(gradient)]


class _Linear:
    def __init__(self, inputs, outputs, **_):
        self.weight = np.ones((inputs, outputs), np.float32)

    def __call__(self, x):
        return Tensor(x.data @ self.weight)


class _LayerNorm:
    def __init__(self, width, **_):
        self.width = width

    def __call__(self, x):
        centred = x.data - x.data.mean(-1, keepdims=True)
        return Tensor(centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-5))


class _AdamW:
    def __init__(self, tensors, foreach):
        self.tensors = [(tensor, np.zeros(tensor.shape), np.zeros(tensor.shape)) for tensor in tensors]

    def step(self):
        for tensor, mean, square in self.tensors:
            mean += 0.1 * (tensor.grad.data - mean)
            square += 0.001 * (tensor.grad.data**2 - square)
            tensor.data -= 1e-3 * (mean / (np.sqrt(square) + 1e-8) + 0.01 * tensor.data).astype(np.float32)


cuda = SimpleNamespace(is_available=lambda: False)
backends = SimpleNamespace(cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False)))
autograd = SimpleNamespace(grad=_grad)
optim = SimpleNamespace(AdamW=_AdamW)
nn = SimpleNamespace(
    functional=SimpleNamespace(scaled_dot_product_attention=_attention),
    Linear=_Linear,
    LayerNorm=_LayerNorm,
    Parameter=lambda tensor: tensor,
)
no_grad = contextlib.nullcontext
