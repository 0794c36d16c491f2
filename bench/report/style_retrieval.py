"""How often the reference asked for is the likest, by method (:func:`bench.stages.full_size.retrieve_styles`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.cocomig.intervals import ratio_interval


def retrieval_table(found: pd.DataFrame) -> pd.DataFrame:
    """Per cent by method: style, its 95 % interval over layouts, what chance would give, and the number of pictures."""
    rows, styles = [], found.attrs["styles"]
    for method, own in found.groupby("method", sort=False):
        layouts = own.groupby("layout_index").success.agg(["sum", "size"]).astype(np.float64)
        low, high = (float(one) for one in ratio_interval(layouts["sum"].to_numpy(), layouts["size"].to_numpy()))
        value = 100 * float(own.success.mean())
        row = {"method": method, "style": value, "low": 100 * low, "high": 100 * high, "chance": 100 / styles}
        rows.append(row | {"n": len(own)})
    return pd.DataFrame(rows)
