"""`tv.exp(x)` for `x.exp()`, and so on: methods of Tensor as functions."""

from tinyvision.functions.wrapping import arithmetic_of as _arithmetic
from tinyvision.functions.wrapping import function_of as _of
from tinyvision.functions.wrapping import unary_functions_of as _unary
from tinyvision.tensor import Tensor

# of one tensor, element by element
neg, abs, sign, square = _unary(Tensor.neg, Tensor.abs, Tensor.sign, Tensor.square)
floor, ceil, trunc, frac = _unary(Tensor.floor, Tensor.ceil, Tensor.trunc, Tensor.frac)
exp, expm1, log, log2 = _unary(Tensor.exp, Tensor.expm1, Tensor.log, Tensor.log2)
log10, log1p, sqrt, rsqrt = _unary(Tensor.log10, Tensor.log1p, Tensor.sqrt, Tensor.rsqrt)
sin, cos, tan, reciprocal = _unary(Tensor.sin, Tensor.cos, Tensor.tan, Tensor.reciprocal)
asin, acos, atan, erf = _unary(Tensor.asin, Tensor.acos, Tensor.atan, Tensor.erf)
sinh, cosh, tanh, sigmoid = _unary(Tensor.sinh, Tensor.cosh, Tensor.tanh, Tensor.sigmoid)
isnan, isinf, isfinite = _unary(Tensor.isnan, Tensor.isinf, Tensor.isfinite)
relu, logical_not, clone = _unary(Tensor.relu, Tensor.logical_not, Tensor.clone)
bitwise_not, is_nonzero = _unary(Tensor.bitwise_not, Tensor.is_nonzero)
negative, absolute, arcsin, arccos, arctan = neg, abs, asin, acos, atan
round, logit, nan_to_num = _of(Tensor.round), _of(Tensor.logit), _of(Tensor.nan_to_num)
clamp, clamp_min, clamp_max = _of(Tensor.clamp), _of(Tensor.clamp_min), _of(Tensor.clamp_max)
clip = clamp

# of several, element by element
add, sub = _arithmetic(Tensor.add), _arithmetic(Tensor.sub)
mul, div = _arithmetic(Tensor.mul), _arithmetic(Tensor.div)
pow, remainder = _arithmetic(Tensor.pow), _arithmetic(Tensor.remainder)
floor_divide = _arithmetic(Tensor.floor_divide)
subtract, multiply, divide, true_divide = sub, mul, div, div
atan2, lerp = _of(Tensor.atan2), _of(Tensor.lerp)
arctan2 = atan2
addcmul, addcdiv = _of(Tensor.addcmul), _of(Tensor.addcdiv)
maximum, minimum = _of(Tensor.maximum), _of(Tensor.minimum)
eq, ne, lt, le = _of(Tensor.eq), _of(Tensor.ne), _of(Tensor.lt), _of(Tensor.le)
gt, ge, isclose = _of(Tensor.gt), _of(Tensor.ge), _of(Tensor.isclose)
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge
equal, allclose = _of(Tensor.equal), _of(Tensor.allclose)
logical_and, logical_or = _of(Tensor.logical_and), _of(Tensor.logical_or)
logical_xor, bitwise_xor = _of(Tensor.logical_xor), _of(Tensor.bitwise_xor)
bitwise_and, bitwise_or = _of(Tensor.bitwise_and), _of(Tensor.bitwise_or)

# reductions and sorting
sum, mean, prod = _of(Tensor.sum), _of(Tensor.mean), _of(Tensor.prod)
var, std, norm = _of(Tensor.var), _of(Tensor.std), _of(Tensor.norm)
cumsum, cumprod = _of(Tensor.cumsum), _of(Tensor.cumprod)
all, any, count_nonzero = _of(Tensor.all), _of(Tensor.any), _of(Tensor.count_nonzero)
amax, amin, max, min = _of(Tensor.amax), _of(Tensor.amin), _of(Tensor.max), _of(Tensor.min)
argmax, argmin, median = _of(Tensor.argmax), _of(Tensor.argmin), _of(Tensor.median)
sort, argsort, topk = _of(Tensor.sort), _of(Tensor.argsort), _of(Tensor.topk)
softmax, log_softmax = _of(Tensor.softmax), _of(Tensor.log_softmax)
logsumexp = _of(Tensor.logsumexp)

# shapes
reshape, flatten, ravel = _of(Tensor.reshape), _of(Tensor.flatten), _of(Tensor.ravel)
squeeze, unsqueeze, unflatten = _of(Tensor.squeeze), _of(Tensor.unsqueeze), _of(Tensor.unflatten)
permute, transpose, t = _of(Tensor.permute), _of(Tensor.transpose), _of(Tensor.t)
swapaxes, swapdims, movedim = _of(Tensor.swapaxes), _of(Tensor.swapdims), _of(Tensor.movedim)
moveaxis = movedim
broadcast_to, tile = _of(Tensor.broadcast_to), _of(Tensor.tile)
repeat_interleave = _of(Tensor.repeat_interleave)
chunk, unbind = _of(Tensor.chunk), _of(Tensor.unbind)
flip, flipud, fliplr = _of(Tensor.flip), _of(Tensor.flipud), _of(Tensor.fliplr)
roll, rot90, diff = _of(Tensor.roll), _of(Tensor.rot90), _of(Tensor.diff)
numel, is_floating_point = _of(Tensor.numel), _of(Tensor.is_floating_point)

# indexing
select, narrow = _of(Tensor.select), _of(Tensor.narrow)
index_select, gather = _of(Tensor.index_select), _of(Tensor.gather)
index_add, index_fill = _of(Tensor.index_add), _of(Tensor.index_fill)
take_along_dim = _of(Tensor.take_along_dim)
scatter, scatter_add = _of(Tensor.scatter), _of(Tensor.scatter_add)
masked_fill, masked_select = _of(Tensor.masked_fill), _of(Tensor.masked_select)
nonzero = argwhere = _of(Tensor.nonzero)

# matrices
matmul, mm, bmm, mv = _of(Tensor.matmul), _of(Tensor.mm), _of(Tensor.bmm), _of(Tensor.mv)
dot, outer = _of(Tensor.dot), _of(Tensor.outer)
addmm, baddbmm, trace = _of(Tensor.addmm), _of(Tensor.baddbmm), _of(Tensor.trace)
tril, triu = _of(Tensor.tril), _of(Tensor.triu)
diagonal, diag = _of(Tensor.diagonal), _of(Tensor.diag)

# counting, and draws
unique, bincount = _of(Tensor.unique), _of(Tensor.bincount)
bernoulli, multinomial = _of(Tensor.bernoulli), _of(Tensor.multinomial)
