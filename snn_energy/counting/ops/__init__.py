"""The operator table: importing this package registers every row."""

from snn_energy.counting.ops import arithmetic, free, products
from snn_energy.counting.ops.registry import COUNTED, FREE, PRODUCTS, VIEWS, Call, Product, table_name

__all__ = ["COUNTED", "FREE", "PRODUCTS", "VIEWS", "Call", "Product", "arithmetic", "free", "products", "table_name"]
