"""The forward pass of one batch, frozen: what every step of the fast engine needs of a layer.

Columns are samples. Every tensor that a step writes is allocated here, once.

D, its slope and D M lie in memory by rows where they are much wider than long: W^T D then reads W
in the order in which it is stored, and splitting its inner dimension in two keeps two cores busy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from teleport_core.nullspace.gram import gram_basis
from teleport_core.problem import Problem
from teleport_core.stack import Elementwise, Stack, StackLayer

# Weights of at least a quarter of a million entries, 1 MiB in float32.
_LARGE = 2**18


@dataclass
class FrozenLayer:
    """One layer at the forward pass that all steps share.

    Attributes:
        name: of the weight.
        bias_name: of the bias that moves with it, or None.
        weight: W [out, in], the model's own storage.
        bias: b [out], the model's own storage, when it moves.
        slope: s'(z) [out, n]; ones for the last layer.
        slope_in_place: the same, laid out in memory as D is.
        inputs: X [in, n].
        gram: M [n, n], or None where D M is cheaper by way of X.
        counts: whether weight and bias count in the gradient.
        data_fed: no counted parameter lies beneath: R{X} = 0 and the layer stays.
        basis: Q [in (+1), k]; None when the layer stays.
        D: dL/dz [out, n].
        D_before: its value one step earlier, once there was one.
        along: D M [out, n].
        z_tangent: R{z} [out, n].
        halves: the two halves of the product that gives D [2, n, out], where it is split.
        tangent: R{X}, and its free part after ``keep_free_part`` [in, n].
        update: the free part of D R{X}^T [out, in], for a layer with fewer outputs than samples.
        coefficients: Q^T R{X} [k, n].
    """

    name: str
    bias_name: str | None
    weight: Tensor
    bias: Tensor | None
    slope: Tensor
    slope_in_place: Tensor
    inputs: Tensor
    gram: Tensor | None
    counts: tuple[bool, bool]
    data_fed: bool
    basis: Tensor | None
    D: Tensor
    D_before: Tensor
    along: Tensor
    z_tangent: Tensor
    halves: Tensor | None
    tangent: Tensor
    coefficients: Tensor | None = None
    update: Tensor | None = None

    @property
    def features(self) -> int:
        """Rows of the representation matrix: inputs, and one for a bias that moves."""
        return self.weight.shape[1] + (self.bias_name is not None)

    def take_gradient_from(self, upper: "FrozenLayer") -> None:
        """D = s'(z) * (W^T D) of the layer above."""
        self.D, self.D_before = self.D_before, self.D
        if self.halves is not None:
            half = upper.weight.shape[0] // 2
            D = upper.D.T.reshape(-1, 2, half).transpose(0, 1)
            torch.bmm(D, upper.weight.view(2, half, -1), out=self.halves)
            torch.add(self.halves[0], self.halves[1], out=self.D.T)
        else:
            torch.mm(upper.weight.T, upper.D, out=self.D)
        self.D.mul_(self.slope_in_place)

    def push_tangent_to(self, upper: "FrozenLayer") -> None:
        """R{z} = D M + W R{X}, and R{X} = s'(z) * R{z} of the layer above."""
        if self.data_fed:
            torch.mul(self.along, self.slope_in_place, out=upper.tangent)
        else:
            torch.addmm(self.along, self.weight, self.tangent, out=self.z_tangent)
            torch.mul(self.z_tangent, self.slope, out=upper.tangent)

    def gradient_norm_sq(self) -> Tensor:
        """||dL/d[W b]||^2 = <D, D M>."""
        self.along_gradient()
        return torch.dot(_flat(self.D), _flat(self.along))

    def has_free_inputs(self) -> bool:
        """Whether the inputs leave a direction free, for a layer whose basis was not computed."""
        if self.features > self.inputs.shape[1]:
            return True
        found = gram_basis(self.inputs.T, ones=self.bias_name is not None)
        return found.shape[1] < self.features

    def along_gradient(self) -> Tensor:
        """D M: what z gains when W and b move along their gradients."""
        if self.gram is not None:
            torch.mm(self.D, self.gram, out=self.along)
            return self.along
        if self.counts[0]:
            torch.mm(self.D @ self.inputs.T, self.inputs, out=self.along)
        else:
            self.along.zero_()
        if self.counts[1]:
            self.along.add_(self.D.sum(1, keepdim=True))
        return self.along

    def keep_free_part(self) -> None:
        """R{X} <- P R{X}; for a thin layer its product with D instead."""
        Q, k = self._basis()
        if self.update is not None:
            torch.mm(self.D, self.tangent.T, out=self.update)
            torch.mm(self.update, Q, out=k)
            self.update.addmm_(k, Q.T, alpha=-1)
            return
        torch.mm(Q.T, self.tangent, out=k)
        self.tangent.addmm_(Q, k, alpha=-1)

    def write(self, lr: float, D: Tensor) -> None:
        """W <- W + lr D (P R{X})^T, the bias with it; Eq. 5 of the paper."""
        if self.update is not None:
            self.weight.add_(self.update, alpha=lr)
        else:
            self.weight.addmm_(D, self.tangent.T, alpha=lr)
        if self.bias is not None:
            # The tangent of the ones row is zero, so all of its free part is -q^T (Q^T R{X}).
            self.bias.add_(self._bias_update(D), alpha=lr)

    def whole_norm(self) -> Tensor:
        """Size of what ``keep_free_part`` projects, before it does."""
        whole = self.D @ self.tangent.T if self.update is not None else self.tangent
        size: Tensor = torch.linalg.vector_norm(whole)
        return size

    def free_norm(self) -> Tensor:
        """Size of what ``keep_free_part`` left."""
        left = self.update if self.update is not None else self.tangent
        size: Tensor = torch.linalg.vector_norm(left)
        return size

    def _basis(self) -> tuple[Tensor, Tensor]:
        assert self.basis is not None
        assert self.coefficients is not None
        return self.basis[: self.weight.shape[1]], self.coefficients

    def _bias_update(self, D: Tensor) -> Tensor:
        _, k = self._basis()
        assert self.basis is not None
        q = self.basis[-1]
        product: Tensor = k @ q if self.update is not None else D @ (q @ k)
        return product.neg_()


def _flat(matrix: Tensor) -> Tensor:
    """All entries in memory order, of a matrix stored by rows or by columns."""
    return matrix.as_strided((matrix.numel(),), (1,))


def freeze(problem: Problem, stack: Stack) -> tuple[list[FrozenLayer], Tensor, Tensor]:
    """Run the stack once; the layers, the loss, and dL/dz of the last layer [out, n]."""
    x = problem.tensors()[0].detach()
    for flatten in stack.flattens:
        x = flatten(x)
    leading = x.shape[:-1]
    x = x.reshape(-1, x.shape[-1]).T
    values = problem.parameters()
    frozen: list[FrozenLayer] = []
    data_fed = True
    for layer in stack.layers:
        bias = None if layer.bias is None else values[layer.bias].detach()
        z = values[layer.weight].detach() @ x
        if bias is not None:
            z += bias[:, None]
        last = layer is stack.layers[-1]
        y, slope = (z, torch.ones_like(z)) if last else _through(z, layer.activations)
        above = stack.layers[len(frozen) + 1].weight if not last else None
        split = above is not None and _pays_to_split(values[above], x.shape[1])
        one = _frozen(values, layer, x, slope, data_fed=data_fed, split=split)
        data_fed = data_fed and not any(one.counts)
        frozen.append(one)
        x = y
    loss, top = _loss_and_top(problem, x, leading)
    return frozen, loss, top


def _through(z: Tensor, activations: tuple[Elementwise, ...]) -> tuple[Tensor, Tensor]:
    """s(z) and s'(z); the derivative of an elementwise map is that of the sum of its values."""
    with torch.enable_grad():
        leaf = z.requires_grad_(True)
        y = leaf
        for sigma in activations:
            y = sigma(y)
        if y is leaf:
            return z.detach(), torch.ones_like(z)
        (slope,) = torch.autograd.grad(y, leaf, torch.ones_like(y))
    return y.detach(), slope


def _loss_and_top(problem: Problem, z: Tensor, leading: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        output = z.T.reshape(*leading, z.shape[0]).requires_grad_(True)
        loss = problem.loss_fn(output, problem.targets)
        (gradient,) = torch.autograd.grad(loss, output, allow_unused=True, materialize_grads=True)
    return loss.detach(), gradient.reshape(-1, z.shape[0]).T


def _pays_to_split(above: Tensor, n: int) -> bool:
    """Whether W^T D is split: W too large for the nearest cache, D much thinner than W."""
    out = above.shape[0]
    return out % 2 == 0 and 8 * n <= out and above.numel() >= _LARGE and above.is_contiguous()


def _frozen(
    parameters: dict[str, nn.Parameter],
    layer: StackLayer,
    x: Tensor,
    slope: Tensor,
    *,
    data_fed: bool,
    split: bool,
) -> FrozenLayer:
    weight = parameters[layer.weight]
    bias = None if layer.bias is None else parameters[layer.bias]
    counts = (weight.requires_grad, bias is not None and bias.requires_grad)
    bias_moves = all(counts)
    (features, n), out = x.shape, weight.shape[0]
    basis = None
    if counts[0] and not data_fed:
        found = gram_basis(x.T, ones=bias_moves)
        basis = found if found.shape[1] < found.shape[0] else None
    one = FrozenLayer(
        name=layer.weight,
        bias_name=layer.bias if bias_moves else None,
        weight=weight.detach(),
        bias=bias.detach() if bias_moves and bias is not None else None,
        slope=slope,
        slope_in_place=slope.T.contiguous().T if split else slope,
        inputs=x,
        gram=_gram(x, counts) if n < 2 * features else None,
        counts=counts,
        data_fed=data_fed,
        basis=basis,
        D=_empty(x, out, n, by_rows=split),
        D_before=_empty(x, out, n, by_rows=split),
        along=_empty(x, out, n, by_rows=split),
        z_tangent=x.new_empty((0, 0) if data_fed else (out, n)),
        halves=x.new_empty(2, n, out) if split else None,
        tangent=x.new_empty(features, n),
    )
    if basis is not None:
        rank, thin = basis.shape[1], out < n
        one.coefficients = x.new_empty((out, rank) if thin else (rank, n))
        one.update = x.new_empty(out, features) if thin else None
    return one


def _empty(x: Tensor, out: int, n: int, *, by_rows: bool) -> Tensor:
    """An [out, n] matrix; ``by_rows`` stores the n-rows of its transpose one after another."""
    return x.new_empty(n, out).T if by_rows else x.new_empty(out, n)


def _gram(x: Tensor, counts: tuple[bool, bool]) -> Tensor:
    """M = X^T X where the weight counts, plus 1 where the bias does."""
    gram = x.T @ x if counts[0] else x.new_zeros(x.shape[1], x.shape[1])
    return gram + 1 if counts[1] else gram
