"""The operator table: importing this package registers every row."""

from snn_energy.counting.ops import arithmetic, free, products, quantised, recurrent_quantised
from snn_energy.counting.ops.registry import (
    BITS,
    COUNTED,
    FREE,
    PRODUCTS,
    READS_QUANTISED,
    VIEWS,
    Call,
    Product,
    table_name,
)

__all__ = [
    "BITS",
    "COUNTED",
    "FREE",
    "PRODUCTS",
    "READS_QUANTISED",
    "VIEWS",
    "Call",
    "Product",
    "arithmetic",
    "free",
    "products",
    "quantised",
    "recurrent_quantised",
    "table_name",
]
