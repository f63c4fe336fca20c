"""The operator table: importing this package registers every row."""

from snn_energy.counting.ops import (
    arithmetic,
    complex_numbers,
    free,
    levels,
    positions,
    products,
    quantised,
    recurrent_quantised,
)
from snn_energy.counting.ops.registry import (
    BITS,
    COUNTED,
    FREE,
    PRODUCTS,
    READS_COMPLEX,
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
    "READS_COMPLEX",
    "READS_QUANTISED",
    "VIEWS",
    "Call",
    "Product",
    "arithmetic",
    "complex_numbers",
    "free",
    "levels",
    "positions",
    "products",
    "quantised",
    "recurrent_quantised",
    "table_name",
]
