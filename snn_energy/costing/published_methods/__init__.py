"""Published ways to price a spiking network, one file each, on one trace: what tools and papers would say of it."""

from snn_energy.costing.published_methods import (  # noqa: F401  they register their accounts
    bit_budget,
    lemaire_2022,
    neurobench,
    ours,
    rate_flops,
    sata_sim,
    spikformer,
    spikingjelly_simple,
    syops,
    yan_2024,
)
from snn_energy.costing.published_methods.accounts import account, account_names, accounts
from snn_energy.costing.published_methods.terms import Account, Left, Term
from snn_energy.costing.published_methods.waterfall import Step, waterfall

__all__ = ["Account", "Left", "Step", "Term", "account", "account_names", "accounts", "waterfall"]
