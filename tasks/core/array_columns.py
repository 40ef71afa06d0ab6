"""Columns of numpy arrays: one array a row, between memory and Arrow without a Python number in between.

A column of type ``list<T>`` holds arrays of shape [n], one of ``list<fixed_size_list<T, k>>`` arrays of shape [n, k]; n differs
from row to row. Log-probabilities are such columns, and most of a shard's bytes.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.core.errors import DataError


def is_array_column(field: pa.Field) -> bool:
    """Return whether a column's values are numpy arrays in memory: lists of float16, or of lists of a fixed width."""
    if not pa.types.is_list(field.type):
        return False
    return pa.types.is_float16(field.type.value_type) or pa.types.is_fixed_size_list(field.type.value_type)


def parquet_path(field: pa.Field) -> str:
    """Return the name that Parquet gives to the numbers of an array column."""
    inner = ".list.element" if pa.types.is_fixed_size_list(field.type.value_type) else ""
    return f"{field.name}.list.element{inner}"


def to_column(field: pa.Field, arrays: Iterable[Any]) -> pa.ListArray:
    """Return the arrays of all rows as one column.

    Args:
        field: The column's name and type.
        arrays: A numpy array for every row, of the column's number type; [n] or [n, k].

    Raises:
        DataError: If a row has no array, or one of another number type or width.
    """
    inner: Any = field.type.value_type
    nested = pa.types.is_fixed_size_list(inner)
    numbers, width = (inner.value_type, (inner.list_size,)) if nested else (inner, ())
    dtype = np.dtype(numbers.to_pandas_dtype())
    rows = [_fitting(field.name, array, dtype, width) for array in arrays]
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    joined = np.concatenate(rows) if rows else np.empty((0, *width), dtype)
    values: Any = pa.array(joined.reshape(-1), numbers)
    if nested:
        values = pa.FixedSizeListArray.from_arrays(values, type=inner)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=field.type)


def flatten(column: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all rows, and where each row begins.

    Args:
        column: A column of lists, or of lists of lists of a fixed width, without nulls.

    Returns:
        The numbers, [total] or [total, k], without a copy; and the offsets, int64 [rows + 1]: row i has the places
        ``offsets[i]`` to ``offsets[i + 1]``.

    Raises:
        DataError: If a number is null.
    """
    offsets = column.offsets.to_numpy().astype(np.int64)
    values: Any = column.flatten()
    width: tuple[int, ...] = ()
    nulls = values.null_count
    if pa.types.is_fixed_size_list(values.type):
        width, values = (values.type.list_size,), values.flatten()
        nulls += values.null_count
    if column.null_count or nulls:
        raise DataError(f"a column of arrays has {column.null_count + nulls} nulls, wanted none; make the file anew")
    return values.to_numpy(zero_copy_only=True).reshape(-1, *width), offsets - offsets[0]


def rows_of(column: pa.ListArray) -> Iterator[np.ndarray]:
    """Yield every row's array, [n] or [n, k]; a copy, so that a row that is kept does not keep its whole batch in memory."""
    values, offsets = flatten(column)
    for start, end in pairwise(offsets):
        yield values[start:end].copy()


def _fitting(name: str, array: Any, dtype: np.dtype, width: tuple[int, ...]) -> np.ndarray:
    wanted = f"a numpy array of {dtype} [{', '.join(['tokens', *map(str, width)])}]"
    if array is None:
        raise DataError(f"a row has no {name!r}; every row needs one, {wanted}")
    if not isinstance(array, np.ndarray):
        raise DataError(f"a row's {name!r} is a {type(array).__name__}, wanted {wanted}")
    if array.dtype != dtype or array.ndim != 1 + len(width) or array.shape[1:] != width:
        raise DataError(f"a row's {name!r} is an array of {array.dtype} {list(array.shape)}, wanted {wanted}")
    return array
