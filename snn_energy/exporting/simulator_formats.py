"""The table of simulators: what each input holds, what it needs, and what the simulator leaves out of account."""

from __future__ import annotations

from snn_energy.exporting.formats import Format

SIMULATORS: tuple[Format, ...] = (
    Format(
        command="scalesim",
        form="sizes of one run of each layer",
        holds="convolutions or matrix products (topology.csv), layout.csv, scale.cfg; N:M weights where declared",
        needs="a trace, or a network and data",
        leaves_out="spikes, time steps, neurons, pooling, groups, dilation, unequal strides; it gives no energy",
    ),
    Format(
        command="zigzag",
        form="sizes of one run of each layer",
        holds="projections as ONNX without weights, a mapping, an array priced by a hardware profile",
        needs="a trace, or a network and data; a profile with SRAM and DRAM",
        leaves_out="spikes (in the nodes' metadata only), time steps, neurons, pooling; kernels that are not square",
    ),
    Format(
        command="timeloop",
        form="one loop nest for each layer, time steps as batch",
        holds="Timeloop and Sparseloop problems (0.4) with measured densities of inputs and weights",
        needs="a trace, or a network and data; architecture and mapper files of your own",
        leaves_out="where the non-zeros are (one density for each tensor), neurons, pooling, transposed convolutions",
    ),
    Format(
        command="sata",
        form="sizes of each layer, one sparsity",
        holds="SATA_Sim's workload.yaml with the sparsity that gives the counted events",
        needs="a trace, or a network and data",
        leaves_out="the sparsity of each layer, any padding but 1 (its cycles are those of unpadded images), pooling",
    ),
    Format(
        command="sanafe",
        form="every spike, in time steps",
        holds="a network mapped on Loihi's cores that replays the measured spikes through its synapses",
        needs="a network and data: it is run once more",
        leaves_out="layers that are fed real values or not at every time step; what the neurons themselves would do",
    ),
    Format(
        command="loas",
        form="every spike of one sample",
        holds="spike matrices t x m x k and weights k x n (.npy), and a script that makes LoAS's dictionary",
        needs="a network and data: it is run once more",
        leaves_out="layers that are fed real values, groups, neurons, pooling",
    ),
    Format(
        command="prosperity",
        form="every spike of one sample",
        holds="spike maps t x c x h x w or t x tokens x k (.npy), and a script that makes Prosperity's pickle",
        needs="a network and data: it is run once more",
        leaves_out="layers that are fed real values, attention, pooling, neurons; whatever is not square, groups",
    ),
)
