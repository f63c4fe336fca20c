"""Reports written by hand: rows of a few counts, priced by a table of the test's own."""

from __future__ import annotations

from fractions import Fraction

COUNTS = (
    "calls", "spikes", "dense_macs", "connections", "repeated_connections", "events", "effective_events",
    "operand_bits", "weight_bits", "macs", "acs", "updates", "adds", "muls", "compares", "specials",
)  # fmt: skip
PRICES = {"mac": 4.6, "ac": 0.9, "add": 0.9, "mul": 3.7, "compare": 0.9}


def synapses(name, connections, *, acs=None, macs=0, operand="binary", adds=0, kind="linear", events=None):
    acs = 0 if acs is None else acs
    counts = {"connections": connections, "dense_macs": connections, "acs": acs, "macs": macs, "adds": adds}
    counts["events"] = acs if events is None else events
    return {"name": name, "part": "synapses", "kind": kind, "operand": operand, "spike_rate": 0.0, **counts}


def neurons(name, updates, *, spikes=0, adds=0, muls=0, compares=0, kind="lif"):
    counts = {"updates": updates, "spikes": spikes, "adds": adds, "muls": muls, "compares": compares}
    return {"name": name, "part": "neurons", "kind": kind, "spike_rate": spikes / updates, **counts}


def other(name, kind, **counts):
    return {"name": name, "part": "other", "kind": kind, **counts}


def document(
    *rows, prices=PRICES, samples=1, method="arithmetic", hardware="hand", dataset="digits", uncounted_pj=0.0, **keys
):
    made = [_row(row, prices) for row in rows]
    total = sum(row["energy_pj"] for row in made)
    spiking = [
        {"name": row["name"], "spiking": True, "updates": row["updates"], "spikes_per_step": [row["spikes"]]}
        for row in made
        if row["part"] == "neurons"
    ]
    return {
        "format": 1,
        "model": "Net",
        "method": method,
        "hardware": {
            "name": hardware,
            "title": hardware,
            "integer_spikes": "accumulate-per-unit",
            "energy_pj": {action: {"value_pj": value, "source": "test"} for action, value in prices.items()},
            "unpriced": {},
            "sources": {},
        },
        "samples": samples,
        "time_steps": 4,
        "complete": True,
        "totals": {
            "energy_pj": total,
            "energy_upper_pj": total + uncounted_pj,
            "energy_per_inference_pj": total / samples,
        },
        "distribution": None,
        "rows": made,
        "neurons": spiking,
        "unpriced": [],
        "coverage": {"complete": True, "counted": [], "free": [], "uncounted": [], "never_called": []},
        "network": "net",
        "dataset": dataset,
        **keys,
    }


def _row(row, prices):
    full = {"operand": None, "spike_rate": None, **dict.fromkeys(COUNTS, 0), **row}

    def pj(action, key):
        return float(Fraction(str(prices.get(action, 0))) * full[key])

    plain = sum(
        pj(a, k) for a, k in (("add", "adds"), ("mul", "muls"), ("compare", "compares"), ("special", "specials"))
    )
    parts = {"mac_pj": 0.0, "ac_pj": 0.0, "neuron_pj": 0.0, "other_pj": 0.0}
    if full["part"] == "synapses":
        parts |= {"mac_pj": pj("mac", "macs"), "ac_pj": pj("ac", "acs"), "other_pj": pj("add", "adds")}
    elif full["part"] == "neurons":
        parts["neuron_pj"] = pj("neuron_update", "updates") if "neuron_update" in prices else plain
    else:
        parts["other_pj"] = plain
    return {**full, **parts, "energy_pj": sum(parts.values())}
