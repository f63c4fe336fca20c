"""The shipped profiles against published numbers, typed here from the papers' tables and not read from the profiles."""

from __future__ import annotations

import pytest

from snn_energy.hardware import all_hardware, load_hardware

# Horowitz 2014, Fig. 1.1.9, and Jouppi 2021, Table 2: pJ, and pJ of a 64-bit access.
MEMORY_45 = {"sram-8kb": 10, "sram-32kb": 20, "sram-1mb": 100, "dram": 1300}
MEMORY_7 = {"sram-8kb": 7.5, "sram-32kb": 8.5, "sram-1mb": 14, "dram-ddr3-ddr4": 1300}
# datatype: addition, multiplication, multiply-accumulate as everybody quotes it
JOUPPI = {
    "int8": (0.007, 0.07, 0.077),
    "int32": (0.03, 1.48, 1.51),
    "fp16": (0.16, 0.34, 0.50),
    "bf16": (0.11, 0.21, 0.32),
    "fp32": (0.38, 1.31, 1.69),
}
HAN = {"int32": (0.1, 3.1, 3.2), "fp32": (0.9, 3.7, 4.6)}
HAN_MEMORY = {"register-file": 1, "sram-32kb": 5, "dram": 640}  # 32-bit words
# SATA_Sim at 400 MHz, power in mW: adder, multiplier, comparator.
SATA_MW = {
    8: (0.01689, 0.0821, 0.00908),
    16: (0.0367, 0.511, 0.01955),
    32: (0.0758, 2.786, None),
}

# What each profile must hold, whole section by whole section: a number missing or added fails as well.
PUBLISHED: dict[tuple[str, str], dict[str, float]] = {
    # Davies 2018, Table 2
    ("loihi", "energy_pj"): {"ac": 23.6, "neuron_update": 81},
    ("loihi", "event_pj"): {
        "synaptic-update-stdp": 120, "spike-within-tile": 1.7, "hop-east-west": 3.0, "hop-north-south": 4.0,
    },
    ("loihi", "timing_ns"): {
        "synaptic-operation": 3.5, "synaptic-update-stdp": 6.1, "neuron-update": 8.4, "spike-within-tile": 2.1,
        "hop-east-west": 4.1, "hop-north-south": 6.5, "barrier": 465, "barrier-256-chips": 14_300,
        "barrier-768-chips": 16_200,
    },
    ("loihi", "system"): {
        "static-power_mw": 104.4, "reset-energy_uj": 5.94, "step_us": 13, "tile-spikes_per_s": 3.44e9,
    },
    # SANA-FE, arch/loihi.yaml
    ("loihi-sana-fe", "energy_pj"): {"ac": 35.5, "neuron_update": 72.8},
    ("loihi-sana-fe", "event_pj"): {
        "soma-access": 51.2, "soma-update": 21.6, "spike-out": 69.3, "synapse-dense": 35.5, "synapse-sparse": 33.6,
        "synapse-convolutional": 24.0, "axon-in": 0, "axon-out": 111, "hop-north-south": 4.2, "hop-east-west": 3.0,
    },
    ("loihi-sana-fe", "timing_ns"): {
        "axon-in": 16, "soma-access": 6.0, "soma-update": 3.7, "spike-out": 30, "synapse-dense": 3.8,
        "synapse-sparse": 4.7, "synapse-convolutional": 3.1, "axon-out": 5.1, "hop-north-south": 6.5,
        "hop-east-west": 4.1, "barrier-1-tile": 600, "barrier-2-tiles": 1000, "barrier-4-tiles": 1400,
        "barrier-29-tiles": 1800,
    },
    ("loihi-2", "energy_pj"): {},
    ("loihi-2", "timing_ns"): {
        "soma-access": 3.0, "soma-update": 1.85, "synaptic-operation": 0.76, "spike-out": 3, "barrier-1-tile": 66.7,
        "barrier-2-tiles": 111, "barrier-4-tiles": 156, "barrier-29-tiles": 200, "shortest-step": 200,
    },
    ("truenorth-total", "energy_pj"): {"ac": 26},
    ("truenorth-peak", "energy_pj"): {"ac": 2.5},
    ("spinnaker-1-hoppner", "energy_pj"): {"ac": 13_300, "neuron_update": 26_000},
    ("spinnaker-1-seneca", "energy_pj"): {"ac": 45},
    ("spinnaker-1-wiki", "energy_pj"): {"ac": 8000},
    ("spinnaker-2-proto", "energy_pj"): {"ac": 450, "neuron_update": 2190},
    ("spinnaker-2-seneca", "energy_pj"): {"ac": 10},
    ("odin", "energy_pj"): {"ac": 12.7},
    ("odin", "system"): {"inference-energy_nj": 15},
    ("reckon", "energy_pj"): {"ac": 5.3},
    ("mubrain", "energy_pj"): {"ac": 26},
    ("mubrain", "system"): {"power_uw": 70, "classification-energy_nj": 340},
    ("tianjic", "energy_pj"): {"ac": 1.54},
    ("neuronflow", "energy_pj"): {"ac": 20},
    ("seneca", "energy_pj"): {"ac": 2.8},
    # SENECA, Table 8; an accumulate without reuse is 3.7 + 3.7 + 1.4 + 3.9
    ("seneca-instructions", "energy_pj"): {"ac": 12.7, "add": 1.4, "mul": 1.4, "compare": 1.2},
    ("seneca-instructions", "event_pj"): {
        "two-int8": 1.2, "eql-abs": 1.1, "and-or": 1.1, "shift": 1.2, "int-to-float": 1.1, "round": 1.4, "load": 3.7,
        "store": 3.9, "event-capture": 0.5, "event-generate": 1.1, "riscv-instruction": 11.6,
        "riscv-data-memory": 10, "network-event": 2,
    },
    ("speck", "energy_pj"): {},
    ("speck", "timing_ns"): {"one-layer": 1580, "nine-layers": 3360},
    ("speck", "system"): {"resting-power_mw": 0.42, "core-0-synops_per_s": 1e8, "other-core-synops_per_s": 3e7},
    ("xylo-audio-2", "system"): {"dynamic-power_uw": 291, "inference-energy_uj": 6.6},
    ("brainscales-2", "system"): {"ecg-sample-energy_uj": 192, "ecg-sample_us": 276, "system-power_w": 5.6},
    ("akida-1000", "energy_pj"): {},
    # Aladdin: adder 0.21, multiplier 12.68, so 12.89 together
    ("aladdin-40nm-int32", "energy_pj"): {"mac": 12.89, "ac": 0.21, "add": 0.21, "mul": 12.68, "compare": 0.02947},
    ("aladdin-40nm-int32", "event_pj"): {"counter": 0.25074},
    ("aladdin-40nm-int32", "memory_pj"): {"register-bit": 0.009},
    ("lemaire-2022-int32", "energy_pj"): {"mac": 3.2, "ac": 0.1, "add": 0.1, "mul": 3.1},
    ("lemaire-2022-int32", "memory_pj"): {"sram-8kb": 10, "sram-32kb": 20, "sram-1mb": 100},
    ("yan-2024-22nm", "energy_pj"): {"ac": 0.05448, "add": 0.05448, "compare": 0.05448},
    ("yan-2024-22nm", "event_pj"): {"move-sparse": 3.0, "move-dense": 0.25},
    ("yan-2024-22nm", "memory_pj"): {"dram-dense": 20.3, "dram-sparse-worst": 1300},
    ("sata-sim-int8", "memory_pj"): {
        "glb-8kb-read": 6.65794, "glb-8kb-write": 7.03328, "glb-32kb-read": 11.0295, "glb-32kb-write": 12.772,
        "glb-144kb-read": 28.6315, "glb-144kb-write": 28.2197, "dram-read": 468.762,
    },
    ("sata-sim-int8", "system"): {
        "glb-8kb-leakage_mw": 1.81265, "glb-32kb-leakage_mw": 6.25862, "glb-144kb-leakage_mw": 24.9086,
        "clock_mhz": 400,
    },
    ("sata-sim-int8", "event_pj"): {"and": 0.005875, "register": 0.031225},
    ("sata-sim-int16", "event_pj"): {"register": 0.062775},
    ("neuromc-32nm", "memory_pj"): {
        "register-1b": 0.0025380281690140847, "register-16b": 0.040608450704225356, "sram-spikes-1b": 0.44854798,
        "sram-weights-16b": 5.302477904, "sram-inputs-16b": 5.792676768, "sram-potentials-256b": 92.68282828,
        "sram-6mb-read": 458.1830181, "sram-6mb-write": 375.0422185, "sram-2mb-read": 46.976, "sram-2mb-write": 45.96,
        "dram": 1300,
    },
    ("step-memory", "memory_pj"): {"any": 3.12},
    ("spikesim-rram", "event_pj"): {
        "crossbar-rram": 1.76423, "crossbar-sram": 671.089, "converter": 2.03084, "multiplexer": 0.094245,
        "neuron": 5.096, "h-tree": 157.12, "tile-buffer": 397, "temporary-buffer": 0.2, "memory-fetch": 4.64,
        "subtraction": 1.15e-6,
    },
    ("timeloop-eyeriss", "energy_pj"): {"mac": 0.207692},
    ("timeloop-eyeriss", "event_pj"): {
        "dram": 512, "global-buffer-read": 18.18, "global-buffer-write": 14.14, "inputs-spad-read": 0.202,
        "inputs-spad-write": 0.177, "weights-spad-read": 1.977, "weights-spad-write": 1.882, "sums-spad-read": 0.2513,
        "sums-spad-write": 0.2191,
    },
    ("eyeriss-65nm", "energy_pj"): {"mac": 11.93},
    ("prosperity-28nm", "memory_pj"): {"dram": 12.45},
    ("prosperity-28nm", "system"): {
        "prosperity-power_mw": 446.5, "eyeriss-power_mw": 1410.5, "sato-power_mw": 319.5, "ptb-power_mw": 982,
        "mint-power_mw": 396.3, "stellar-power_mw": 834, "clock_mhz": 500,
    },
    ("keras-spiking-cpu", "energy_pj"): {"mac": 8600, "ac": 8600},
    ("keras-spiking-gpu", "energy_pj"): {"mac": 300, "ac": 300},
    ("keras-spiking-arm", "energy_pj"): {"mac": 900, "ac": 900},
    ("keras-spiking-loihi", "energy_pj"): {"ac": 27.1, "neuron_update": 81},
    # Dally 2023: HFMA is 1.5 pJ and 20 times that on top
    ("nvidia-gpu-fp16", "energy_pj"): {"mac": 31.5},
    ("nvidia-gpu-fp16", "event_pj"): {"hfma": 1.5, "hdp4a": 6, "hmma": 110, "imma": 160},
    ("blouw-2018-kws", "system"): {
        "gpu-dynamic-power_w": 22.86, "gpu-inferences_per_s": 770.39, "cpu-dynamic-power_w": 11.47,
        "cpu-inferences_per_s": 1813.63, "jetson-tx1-dynamic-power_w": 2.34, "jetson-tx1-inferences_per_s": 419,
        "movidius-dynamic-power_w": 0.437, "movidius-inferences_per_s": 300, "loihi-dynamic-power_w": 0.081,
        "loihi-inferences_per_s": 296,
    },
}  # fmt: skip

# Sizes of chips, from the places that the profiles name.
LIMITS: dict[str, dict[str, object]] = {
    "loihi": {
        "cores": 128, "neurons_per_core": 1024, "weight_memory_bits_per_core": 128 * 1024 * 8,
        "output_axons_per_core": 4096, "input_axons_per_core": 4096, "weight_bits": 9, "shared_weights": True,
    },
    "truenorth-total": {
        "cores": 4096, "neurons_per_core": 256, "input_axons_per_core": 256, "weight_memory_bits_per_core": 256 * 256,
        "weight_bits": 1,
    },
    "odin": {
        "cores": 1, "neurons_per_core": 256, "input_axons_per_core": 256, "synapses_per_chip": 64 * 1024,
        "weight_bits": 3,
    },
    "tianjic": {
        "cores": 156, "input_axons_per_core": 256, "neurons_per_core": 256, "neurons_per_chip": 40_000,
        "synapses_per_chip": 10_000_000,
    },
    "loihi-2": {"cores": 128, "neurons_per_chip": 1_000_000, "synapses_per_chip": 120_000_000},
    "spinnaker-1-hoppner": {"cores": 18, "neurons_per_core": 1000, "weight_memory_bits_per_chip": 128 * 2**20 * 8},
    "akida-1000": {"cores": 80, "weight_memory_bits_per_chip": 8 * 2**20 * 8, "weight_bits": 4},
    "speck": {
        "cores": 9,
        "neurons_per_core": tuple(k * 1024 for k in (64, 64, 64, 32, 32, 16, 16, 16, 16)),
        "weight_memory_bits_per_core": tuple(k * 1024 * 8 for k in (16, 16, 16, 32, 32, 64, 64, 16, 16)),
        "weight_bits": 8, "shared_weights": True, "whole_layers": True, "power_of_two_addresses": True,
    },
}  # fmt: skip

VALUE = {"energy_pj": "value_pj", "memory_pj": "value_pj", "event_pj": "value_pj", "timing_ns": "value_ns"}


def values(name: str, section: str) -> dict[str, float]:
    entries = getattr(load_hardware(name), section)
    return {key: getattr(entry, VALUE.get(section, "value")) for key, entry in entries.items()}


@pytest.mark.parametrize(("name", "section"), PUBLISHED)
def test_a_section_holds_the_published_numbers_and_no_others(name, section):
    assert values(name, section) == PUBLISHED[name, section]


@pytest.mark.parametrize("name", LIMITS)
def test_a_chip_is_as_large_as_published(name):
    assert {key: limit.value for key, limit in load_hardware(name).limits.items()} == LIMITS[name]


def test_both_profiles_of_one_chip_have_its_limits():
    for one, other in (("loihi", "loihi-sana-fe"), ("truenorth-total", "truenorth-peak")):
        assert load_hardware(one).limits == load_hardware(other).limits


@pytest.mark.parametrize("datatype", JOUPPI)
def test_seven_nanometres(datatype):
    add, mul, mac = JOUPPI[datatype]
    profile = load_hardware(f"jouppi-7nm-{datatype}")
    assert values(profile.name, "energy_pj") == {"mac": mac, "ac": add, "add": add, "mul": mul}
    assert mac == pytest.approx(add + mul, rel=1e-12)
    memory = profile.memory_pj
    assert {key: memory[key].value_pj for key in MEMORY_7} == MEMORY_7
    assert (memory["dram-hbm2"].range_pj, memory["dram-gddr6"].range_pj) == ((250, 450), (350, 480))
    assert {entry.access_bits for entry in memory.values()} == {64}


@pytest.mark.parametrize("datatype", ["fp32", "fp16", "int32", "int8"])
def test_memory_of_horowitz_is_for_accesses_of_64_bits(datatype):
    memory = load_hardware(f"horowitz-45nm-{datatype}").memory_pj
    assert {key: entry.value_pj for key, entry in memory.items()} == MEMORY_45
    assert {entry.access_bits for entry in memory.values()} == {64}
    assert [memory[key].size_bytes for key in MEMORY_45] == [8192, 32768, 1048576, None]
    assert memory["dram"].range_pj == (1300, 2600)
    assert memory["dram"].pj_per_bit == pytest.approx(20.3, abs=0.05)  # as Yan 2024 and others quote it


@pytest.mark.parametrize("datatype", HAN)
def test_han(datatype):
    add, mul, mac = HAN[datatype]
    assert values(f"han-45nm-{datatype}", "energy_pj") == {"mac": mac, "ac": add, "add": add, "mul": mul}
    assert values(f"han-45nm-{datatype}", "memory_pj") == HAN_MEMORY
    assert {entry.access_bits for entry in load_hardware(f"han-45nm-{datatype}").memory_pj.values()} == {32}


@pytest.mark.parametrize("bits", SATA_MW)
def test_sata_sim_is_power_over_400_mhz(bits):
    add, mul, compare = (None if mw is None else mw / 0.4 for mw in SATA_MW[bits])
    expected = {"mac": add + mul, "ac": add, "add": add, "mul": mul}
    if compare is not None:
        expected["compare"] = compare
    assert values(f"sata-sim-int{bits}", "energy_pj") == pytest.approx(expected, rel=1e-12)
    assert values(f"sata-sim-int{bits}", "memory_pj") == values("sata-sim-int8", "memory_pj")


def test_ranges():
    assert load_hardware("loihi").energy_pj["neuron_update"].range_pj == (52, 81)  # inactive, active
    assert load_hardware("loihi").timing_ns["barrier"].range_ns == (113, 465)  # 1 to 32 tiles
    assert load_hardware("loihi").system["step_us"].range == (5.8, 13)
    assert load_hardware("loihi-sana-fe").energy_pj["ac"].range_pj == (24.0, 35.5)
    # Eyeriss: power / (frames/s x MACs) of AlexNet and VGG-16
    low, high = 278e-3 / (35 * 666e6) * 1e12, 236e-3 / (0.7 * 15.3e9) * 1e12
    assert load_hardware("eyeriss-65nm").energy_pj["mac"].range_pj == pytest.approx((low, high), abs=0.005)


def test_every_profile_is_under_test_here_or_in_the_other_tables():
    named = {name for name, _ in PUBLISHED} | set(LIMITS)
    prefixes = ("horowitz-", "jouppi-", "han-", "sata-sim-", "scaled-")
    assert [p.name for p in all_hardware() if p.name not in named and not p.name.startswith(prefixes)] == []
    assert len(all_hardware()) >= 20
