"""Spiking neurons of other simulators: what each class means, by qualified name, so that no simulator is imported.

One convention makes the counts of all simulators comparable: the published equation is written as sums of products
with every constant folded, and one update costs an addition for each term after the first, a multiplication for each
factor that is not 1, an exponential where there is one, and a comparison for each threshold. How a class happens to
compute it (a fused kernel, a subtraction before the threshold, both branches of a reset) does not matter. A hard reset
selects and costs nothing; a soft one subtracts once for each spike. A leak, rest or reset potential of 0 is no term.

A recurrent neuron adds one term more: the product of its recurrent weights with the spikes of the last time step, which
is a projection of its own (so is the product with the input, where the class holds those weights too). A one-to-one
recurrence, where each neuron feeds its own spike back, is one addition for each spike.

An integrator is a neuron that never fires: it costs no comparison, and what it returns is no spike.

No row claims a spike height: every class here takes a spike function from its user, so the data decide.

A class without a row is counted operator by operator, like any other module, and may be detected by its behaviour
(`counting.stateful`). `LEFT_OUT` of each file names those classes of the simulator, and why.
"""

from snn_energy.counting.simulators import norse, rockpool, sinabs, snntorch, spikingjelly

LEFT_OUT: dict[str, str] = {
    name: reason
    for simulator in (snntorch, spikingjelly, norse, sinabs, rockpool)
    for reason, names in simulator.LEFT_OUT.items()
    for name in names.split()
}
"""Neuron classes without a row, by qualified name, and why they have none."""
