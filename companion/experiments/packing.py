"""Tensors, matrices and bytes in little room, for the pages' scripts."""

import base64
import zlib

import torch
from torch import Tensor


def pack(tensor: Tensor, dtype: torch.dtype = torch.float16) -> dict:
    """Describe a tensor as JavaScript reads it: its shape, and its bytes in base64."""
    raw = tensor.detach().to(dtype).contiguous().numpy()
    name = str(dtype).removeprefix("torch.")
    packed = base64.b64encode(raw.astype(raw.dtype.newbyteorder("<")).tobytes())
    return {"shape": list(tensor.shape), name: packed.decode()}


def unpack(packed: dict) -> Tensor:
    """Return the float64 numbers that :func:`pack` has left."""
    name = next(key for key in packed if key != "shape")
    raw = bytearray(base64.b64decode(packed[name]))
    tensor = torch.frombuffer(raw, dtype=getattr(torch, name))
    return tensor.reshape(packed["shape"]).double()


def squeeze(raw: bytes) -> str:
    """Compress bytes of few values, which seldom repeat a stretch, for a browser.

    ``DecompressionStream("deflate")`` is the way back. Without the search for
    repetitions whole numbers that are small and without order become a tenth smaller.
    """
    how = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    return base64.b64encode(how.compress(raw) + how.flush()).decode()


def unsqueeze(packed: str) -> bytes:
    """Return the bytes that :func:`squeeze` was given."""
    return zlib.decompress(base64.b64decode(packed))


def round_rows(matrix: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Write each row as whole numbers times a scale of its own.

    Args:
        matrix: Shape ``(n, m)``.
        largest: What the largest entry of a row becomes, up to its sign; at most 127.

    Returns:
        int8, shape ``(n, m)``, between ``-largest`` and ``largest``, and the scales,
        float16, shape ``(n,)``. They are rounded first, so that the product is what
        comes closest to the matrix.
    """
    scales = (matrix.abs().amax(1) / largest).clamp(min=1e-4).half()
    whole = (matrix / scales[:, None].to(matrix.dtype)).round()
    return whole.clamp(-largest, largest).to(torch.int8), scales
