"""The operator table: importing this package registers every row."""

from snn_energy.counting.ops import arithmetic, free, products
from snn_energy.counting.ops.registry import COUNTED, FREE, VIEWS, Call, counts, table_name

__all__ = ["COUNTED", "FREE", "VIEWS", "Call", "arithmetic", "counts", "free", "products", "table_name"]
