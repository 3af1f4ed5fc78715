"""One column of a table: its public bounds or categories, and how its entries become numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privlab.tables import pd

MAX_FEATURES = 2_000
MAX_DRAFTED_CLASSES = 20

Category = str | int | float | bool
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Column:
    """One column's public description: bounds if it holds numbers, else its categories.

    Attributes
    ----------
    name : str
    low, high : float, optional
        Public bounds of a number; what lies beyond them is clamped.
    categories : tuple, optional
        Every value the column may take, in the order of its codes.
    transform : {"", "log1p"}
        "log1p" spreads a skewed number: log(1 + x - low) is mapped instead of x.
    fill : optional
        A public value that stands in for a missing entry; without one a missing entry is an error.

    Raises
    ------
    ValueError
        If neither or both of bounds and categories are given, or they make no sense.
    """

    name: str
    low: float | None = None
    high: float | None = None
    categories: tuple[Category, ...] = ()
    transform: str = ""
    fill: Category | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"A column's name must be text. Got {type(self.name).__name__}.")
        object.__setattr__(self, "categories", tuple(self.categories))
        if self.categories:
            self._check_categories()
        else:
            self._check_bounds()

    def _check_categories(self) -> None:
        if self.low is not None or self.high is not None or self.transform:
            raise ValueError(f"'{self.name}' must have bounds or categories, not both.")
        if len(self.categories) < 2 or len(set(self.categories)) < len(self.categories):
            raise ValueError(
                f"'{self.name}' must have at least 2 categories, all different. "
                f"Got {len(self.categories)}, {len(set(self.categories))} different."
            )
        if self.fill is not None and self.fill not in self.categories:
            raise ValueError(f"'fill' of '{self.name}' must be one of its categories.")

    def _check_bounds(self) -> None:
        if self.low is None or self.high is None:
            raise ValueError(f"'{self.name}' must have categories, or both 'low' and 'high'.")
        for bound in (self.low, self.high):
            if isinstance(bound, bool) or not isinstance(bound, (int, float, np.number)):
                raise TypeError(f"'{self.name}' must have numbers as bounds. Got {type(bound).__name__}.")
        if not 0 < self.high - self.low < math.inf:
            raise ValueError(f"'{self.name}' must have finite bounds, low < high. Got others.")
        if self.transform not in ("", "log1p"):
            raise ValueError(f"'transform' of '{self.name}' must be '' or 'log1p'. Got '{self.transform}'.")
        if self.fill is not None and not self.low <= self.fill <= self.high:  # type: ignore[operator]
            raise ValueError(f"'fill' of '{self.name}' must lie within its bounds.")

    @property
    def kind(self) -> str:
        """Either "category" or "number"."""
        return "category" if self.categories else "number"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the encoded features: the column's own, or "name=category" for each."""
        if not self.categories:
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in self.categories)

    def encode(self, values: pd.Series[Any]) -> Array:
        """Encode one column: float32 in [-1, 1] for numbers, int32 codes for categories.

        Raises
        ------
        ValueError
            At the first row that is missing, not finite, not a number or not a declared category.
            The message names the row (counted from 0) and never the value.
        """
        return self._codes(values) if self.categories else self._scaled(values)

    def _refuse(self, bad: npt.NDArray[np.bool_], got: str) -> None:
        if bad.any():
            what = f"one of its {len(self.categories)} declared categories"
            must = what if self.categories else "a finite number"
            raise ValueError(
                f"'{self.name}' must hold {must} in every row. Got {got} in row {int(bad.argmax())} (counting from 0)."
            )

    def _codes(self, values: pd.Series[Any]) -> Array:
        index = pd.Index(list(self.categories))
        if isinstance(values.dtype, pd.CategoricalDtype):
            known = np.append(index.get_indexer(values.cat.categories), -1)
            codes = known[values.cat.codes.to_numpy()]
        else:
            codes = index.get_indexer(pd.Index(values))
        unmatched = codes < 0
        if unmatched.any():
            missing = values.isna().to_numpy()
            if self.fill is None:
                self._refuse(missing, "a missing value")
            else:
                codes[missing] = self.categories.index(self.fill)
                unmatched &= ~missing
            self._refuse(unmatched, "another value")
        return codes.astype(np.int32)

    def _scaled(self, values: pd.Series[Any]) -> Array:
        numbers = self.numbers(values)
        missing = np.isnan(numbers)
        if missing.any():
            if self.fill is None:
                self._refuse(missing, "a missing value")
            numbers = numbers.copy()
            numbers[missing] = self.fill
        self._refuse(np.isinf(numbers), "infinity")
        return self.scale(numbers)

    def scale(self, numbers: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Clamp numbers to the bounds and map them to [-1, 1]: the encoding of what is finite and there."""
        assert self.low is not None
        assert self.high is not None
        numbers = np.clip(np.asarray(numbers, np.float64), self.low, self.high) - self.low
        span = self.high - self.low
        if self.transform == "log1p":
            numbers, span = np.log1p(numbers), math.log1p(span)
        return (numbers * (2 / span) - 1).astype(np.float32)

    def numbers(self, values: pd.Series[Any]) -> npt.NDArray[np.float64]:
        """A column's entries as numbers, missing ones as NaN; text that is no number is refused."""
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = pd.Series(np.asarray(values))
        if pd.api.types.is_numeric_dtype(values) and values.dtype.kind != "c":
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        if not (pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)):
            raise TypeError(f"'{self.name}' must hold numbers. Got {values.dtype}.")
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        self._refuse(np.isnan(numbers) & values.notna().to_numpy(), "text")
        return numbers

    @classmethod
    def draft(cls, values: pd.Series[Any], *, as_target: bool = False) -> Column:
        """Read a column's bounds or categories from its values, which leaks them."""
        name = str(values.name)
        if values.isna().any():
            row = int(values.isna().to_numpy().argmax())
            raise ValueError(
                f"'{name}' must hold a value in every row. Got a missing value in row {row} "
                "(counting from 0). Fill it, or declare a schema with a public 'fill'."
            )
        if values.dtype.kind in "cmM":
            raise TypeError(f"'{name}' must hold numbers or categories. Got {values.dtype}.")
        numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        few = as_target and numeric and values.nunique() <= MAX_DRAFTED_CLASSES
        if numeric and not few:
            low, high = float(values.min()), float(values.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                row = int(np.isinf(values.to_numpy(np.float64)).argmax())
                raise ValueError(f"'{name}' must hold finite numbers. Got infinity in row {row} (counting from 0).")
            return cls(name, low, high if high > low else low + max(1.0, abs(low)))
        found = values.unique().tolist()
        if len(found) > MAX_FEATURES:
            raise ValueError(
                f"'{name}' must have at most {MAX_FEATURES} categories. Got {len(found)}. "
                "Drop the column or group its values."
            )
        return cls(name, categories=tuple(sorted(found, key=lambda x: (str(type(x)), x))))
