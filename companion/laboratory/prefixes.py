"""A GRU over the prefix tree of a minibatch: what names have in common is read once."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from companion.classifier import NameClassifier
from companion.names import ALPHABET
from companion.support import arguments, checks


class PrefixTree(NamedTuple):
    """The distinct prefixes of a minibatch of names, shorter ones first.

    A level has the prefixes of one length. The parent of a prefix is the same one less
    its last character; the empty prefix, parent of the first level, is left out.

    Within a level those come first that have children.

    Attributes:
        characters: Last character of each of the M prefixes, int64, shape ``(M,)``.
        parents: For each level after the first, the parent of each of its prefixes as a
            position within the level above, int64.
        sizes: Prefixes of each level; they add up to M.
        inner: How many of them have children, for each level.
        ends: Position of each whole name among the M prefixes, int64, shape ``(N,)``.
    """

    characters: Tensor
    parents: list[Tensor]
    sizes: list[int]
    inner: list[int]
    ends: Tensor


def prefix_tree(ids: Tensor, lengths: Tensor) -> PrefixTree:
    """Find the distinct prefixes of a minibatch.

    Args:
        ids: Padded ids, int64, shape ``(T, N)``, as those of
            :func:`companion.names.pad`.
        lengths: int64, shape ``(N,)``, 1 ... T.

    Returns:
        The tree.

    Raises:
        ValueError: If the shapes do not fit each other, or a value is out of range.
    """
    ids, lengths = arguments.padded(ids, lengths, len(ALPHABET))
    lengths = lengths.to(ids.device)
    width = int(ids.max()) + 1
    characters, parents, sizes, inner = [], [], [], []
    node = torch.zeros_like(lengths)  # where each name stands within the level
    ends, offset = torch.empty_like(lengths), 0
    for t in range(int(lengths.max())):
        there = lengths > t
        # A prefix is its parent and one character more.
        keys = node[there] * width + ids[t, there]
        keys, place = keys.unique(return_inverse=True)
        goes_on = torch.zeros(len(keys), dtype=torch.bool, device=ids.device)
        goes_on[place[lengths[there] > t + 1]] = True
        order = torch.argsort(~goes_on, stable=True)
        keys, node[there] = keys[order], torch.argsort(order)[place]
        characters.append(keys % width)
        if t:
            parents.append(keys // width)
        sizes.append(len(keys))
        inner.append(int(goes_on.sum()))
        ends[there] = offset + node[there]
        offset += len(keys)
    return PrefixTree(torch.cat(characters), parents, sizes, inner, ends)


class _TreeGRU(torch.autograd.Function):
    """The recurrence of one layer, level by level, with its backward pass by hand.

    With the input products ``a``, which hold both biases but b_n, and the state p of
    the parent, ``r, z = sigmoid(a_r + p W_r), sigmoid(a_z + p W_z)``,
    ``m = p W_n + b_n``, ``n = tanh(a_n + r m)`` and ``h = (1 - z) n + z p``. Products
    with the recurrent weights are taken once for each parent, not for each child; their
    gradients add up over the children, and those of the weights are a single product
    over all levels. A prefix without children enters no product.
    """

    @staticmethod
    def forward(ctx, a, W, b_n, tree):  # (M, 3H), (3H, H), (H,)
        H = W.shape[1]
        gates = a.detach()  # overwritten: nobody else has a use for it
        h, m = a.new_empty(len(a), H), a.new_empty(len(a), H)
        start, above = 0, None  # the parents of a level: a slice of the one above
        for level, size in enumerate(tree.sizes):
            here = slice(start, start + size)
            gate, rz = gates[here], gates[here, : 2 * H]
            if level:
                parent = tree.parents[level - 1]
                product = (h[above] @ W.T).index_select(0, parent)  # (size, 3H)
                rz += product[:, : 2 * H]
                torch.add(product[:, 2 * H :], b_n, out=m[here])
                p = h[above].index_select(0, parent)
            else:  # before the first character the state is zero
                m[here] = b_n
            rz.sigmoid_()
            n = gate[:, 2 * H :]
            n.addcmul_(gate[:, :H], m[here]).tanh_()
            if level:
                torch.lerp(n, p, gate[:, H : 2 * H], out=h[here])
            else:
                torch.addcmul(n, gate[:, H : 2 * H], n, value=-1, out=h[here])
            above = slice(start, start + tree.inner[level])
            start += size
        ctx.save_for_backward(gates, m, h, W)
        ctx.tree = tree
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, dh):
        gates, m, h, W = ctx.saved_tensors
        tree, H = ctx.tree, W.shape[1]
        r, z, n = gates[:, :H], gates[:, H : 2 * H], gates[:, 2 * H :]
        dh = dh.clone()
        da, dm = torch.empty_like(gates), torch.empty_like(m)
        # What does not depend on dh, for all levels at once
        slope_n = torch.addcmul(n.new_ones(()), n, n, value=-1)  # 1 - n^2
        slope_n.addcmul_(slope_n, z, value=-1)  # (1 - z) (1 - n^2)
        slope_r = m.mul(r)
        slope_r.addcmul_(slope_r, r, value=-1)  # m r (1 - r)
        slope_z = torch.addcmul(z, z, z, value=-1)  # z (1 - z)
        # The prefixes with children, level after level, and what reaches their products
        starts = [0, *itertools.accumulate(tree.sizes)]
        parents = [slice(s, s + k) for s, k in zip(starts, tree.inner, strict=False)]
        states = torch.cat([h[above] for above in parents])  # (I, H)
        dproduct = gates.new_zeros(len(states), 3 * H)
        first = len(states)
        for level in reversed(range(len(tree.sizes))):
            here = slice(starts[level], starts[level + 1])
            d = dh[here]
            if level:
                above, parent = parents[level - 1], tree.parents[level - 1]
                p = h[above].index_select(0, parent)
                dz = p.sub_(n[here]).mul_(slope_z[here])
            else:
                dz = n[here].neg().mul_(slope_z[here])
            torch.mul(dz, d, out=da[here, H : 2 * H])
            dn = torch.mul(d, slope_n[here], out=da[here, 2 * H :])
            torch.mul(dn, slope_r[here], out=da[here, :H])
            torch.mul(dn, r[here], out=dm[here])
            if level:
                first -= tree.inner[level - 1]
                part = dproduct[first : first + tree.inner[level - 1]]
                part[:, : 2 * H].index_add_(0, parent, da[here, : 2 * H])
                part[:, 2 * H :].index_add_(0, parent, dm[here])
                dh[above].index_add_(0, parent, d * z[here])
                dh[above].addmm_(part, W)
        return da, dproduct.T @ states, dm.sum(0), None


class PrefixGRU(nn.Module):
    """A name classifier around a GRU that reads minibatches by prefix.

    It has the parameters of the model it is given, the very same tensors, and gives the
    same logits. A layer of two directions reads the reversed names as a second tree.

    Args:
        model: A :class:`companion.classifier.NameClassifier`.

    Attributes:
        model: The model.

    Raises:
        ValueError: If the layer is not a ``torch.nn.GRU``, has no biases, two
            directions and more than one layer, or there is dropout between its layers.
    """

    def __init__(self, model: NameClassifier):
        super().__init__()
        # Another classifier scores other states than the last ones.
        checks.kind("model", model, NameClassifier, "a NameClassifier")
        layer = model.layer
        if not isinstance(layer, nn.GRU) or not layer.bias:
            raise ValueError(f"layer is {layer}; accepted: a torch.nn.GRU with biases")
        if layer.bidirectional and layer.num_layers > 1:
            # The second layer would read what follows a prefix, where names differ.
            raise ValueError(
                f"layer has {layer.num_layers} layers in two directions; accepted: 1"
            )
        if layer.dropout:
            raise ValueError(f"dropout is {layer.dropout} between layers; accepted: 0")
        self.model = model

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Score the classes for each name of a minibatch.

        Args:
            ids: See :func:`prefix_tree`.
            lengths: See :func:`prefix_tree`.

        Returns:
            Logits, shape ``(N, K)``.

        Raises:
            ValueError: See :func:`prefix_tree`.
        """
        ids, lengths = arguments.padded(ids, lengths, len(ALPHABET))
        checks.device("ids", ids, next(self.model.parameters()))
        weights = self.model.layer.all_weights
        if not self.model.layer.bidirectional:
            last = self._read(ids, lengths, weights)
        else:
            # Position t of a reversed name was at length - 1 - t; the padding stays.
            t = torch.arange(len(ids), device=ids.device)[:, None]
            back = (lengths.to(ids.device) - 1 - t).clamp(min=0)
            halves = (
                self._read(ids, lengths, weights[:1]),
                self._read(ids.gather(0, back), lengths, weights[1:]),
            )
            last = torch.cat(halves, dim=1)
        return self.model.output(self.model.dropout(last))

    def _read(self, ids, lengths, weights) -> Tensor:
        """Return the final state of each name, (N, H)."""
        tree = prefix_tree(ids, lengths)
        h = None
        for W_ih, W_hh, b_ih, b_hh in weights:
            b_r, b_z, b_n = b_hh.chunk(3)
            b = b_ih + torch.cat((b_r, b_z, torch.zeros_like(b_n)))
            if h is None:  # one-hot rows times a matrix: a look-up
                a = F.embedding(tree.characters, W_ih.T + b)
            else:
                a = F.linear(h, W_ih, b)  # (M, 3H)
            h = _TreeGRU.apply(a, W_hh, b_n, tree)  # (M, H)
        return h[tree.ends]
