"""Tables: Arrow data that every dataframe library reads without copies."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import _core

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["Cell", "Row", "Table"]

Cell = bool | int | float | str | None
"""One value of a table; `None` where it is null."""

Row = Mapping[str, Cell]
"""One row by column name."""

_ROWS_SHOWN = 10
_COLUMNS_SHOWN = 12


class Table:
    """A table of results, held as Arrow.

    Libraries take it as it is, through Arrow's PyCapsule interface and without copies:
    `pyarrow.table(t)`, `polars.DataFrame(t)`, `pandas.DataFrame.from_arrow(t)`, and
    `duckdb.sql("SELECT … FROM t")` by the name of the variable. Units are in the columns' names and,
    with their meaning, in the metadata of the Arrow fields.
    """

    def __init__(self, native: _core.Table) -> None:
        self._native = native

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._native.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._native.__arrow_c_schema__()

    def __len__(self) -> int:
        return self._native.num_rows

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self._native.num_rows

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in their order."""
        return self._native.column_names

    def column(self, name: str) -> list[Cell]:
        """Values of one column, `num_rows` of them; `None` where a cell is null.

        Raises:
            KeyError: there is no such column.
        """
        if name not in self.columns:
            raise KeyError(f"no column `{name}`; `.columns` lists them")
        return self._native.column(name)

    def rows(self) -> Iterator[dict[str, Cell]]:
        """The rows one by one, each a dict with every column."""
        names = self.columns
        columns = [self._native.column(name) for name in names]
        for values in zip(*columns):
            yield dict(zip(names, values))

    def to_pyarrow(self) -> pyarrow.Table:
        """The table of pyarrow, without copies. Needs pyarrow."""
        with _installed("to_pyarrow", "pyarrow"):
            import pyarrow
        table: pyarrow.Table = pyarrow.table(self)
        return table

    def to_pandas(self) -> pandas.DataFrame:
        """A DataFrame of pandas; text columns are categories. Needs pandas and pyarrow."""
        with _installed("to_pandas", "pandas", "pyarrow"):
            import pandas  # noqa: F401
            import pyarrow  # noqa: F401
        frame: pandas.DataFrame = self.to_pyarrow().unify_dictionaries().to_pandas()
        return frame

    def to_polars(self) -> polars.DataFrame:
        """A DataFrame of Polars. Needs Polars."""
        with _installed("to_polars", "polars"):
            import polars
        return polars.DataFrame(self)

    def __repr__(self) -> str:
        return f"<clustersweep.{type(self).__name__}: {self.num_rows} rows of {len(self.columns)} columns>"

    def _repr_html_(self) -> str:
        return _html_table(self)


@contextlib.contextmanager
def _installed(method: str, *packages: str) -> Iterator[None]:
    """Says what a method needs, where a package is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in packages:
            raise
        needs = f"`{method}` needs {' and '.join(packages)}; `pip install {' '.join(packages)}`"
        raise ModuleNotFoundError(needs, name=error.name) from None


def _html_table(table: Table) -> str:
    """The first rows, with the columns that have any value in them."""
    rows = []
    for row in table.rows():
        rows.append(row)
        if len(rows) == _ROWS_SHOWN:
            break
    shown = [name for name in table.columns if any(row[name] is not None for row in rows)]
    names = shown[:_COLUMNS_SHOWN]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_html_cell(row[name])}</td>" for name in names) + "</tr>" for row in rows
    )
    count = f"{table.num_rows} rows of {len(table.columns)} columns"
    if len(rows) < table.num_rows or len(names) < len(table.columns):
        count += f", of which {len(rows)} and {len(names)} are shown"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{count}</p>"


def _html_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return html.escape(str(value))
