"""NIR files between this package and snnTorch, Norse, SpikingJelly and Sinabs: the counts are the same on both sides.

Weights are small multiples of 1/8 and decays powers of two, so that every simulator computes the very same membranes;
then a spike or a synaptic operation more or less is an error and no rounding.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snn_energy as se
from snn_energy.errors import DataError
from snn_energy.exporting import ExportError, export_nir
from snn_energy.exporting.losses import ExportRefused
from snn_energy.nirgraph import load_nir

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
h5py = pytest.importorskip("h5py")
nir = pytest.importorskip("nir")

STEPS, SAMPLES = 6, 3


def dyadic(model: nn.Module) -> nn.Module:
    """Give every layer weights that are multiples of 1/8."""
    generator = torch.Generator().manual_seed(7)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            for parameter in module.parameters():
                parameter.data = torch.randint(-4, 9, parameter.shape, generator=generator).float() / 8
    return model.eval()


def frames(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return (torch.rand(STEPS, SAMPLES, *shape, generator=generator) < 0.4).float()


def counted(model: nn.Module, x: Tensor, batch_axis: int = 1, complete: bool = True) -> dict[str, Any]:
    """What must not change: the counts of each layer and of each neuron layer, whatever they are called."""
    with contextlib.redirect_stdout(io.StringIO()):
        trace = se.trace(model, x, samples=SAMPLES, batch_axis=batch_axis)
    assert trace.coverage.complete or not complete
    layers = [
        (row.weights, row.dense_macs, row.connections, row.events, row.effective_events, row.acs, row.macs)
        for row in trace.layers
    ]
    return {
        "layers": sorted(layers),
        "neurons": sorted((row.updates, row.spikes) for row in trace.neurons if row.spiking),
    }


def quietly(do: Callable[[], Any]) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return do()


class Stepped(nn.Module):
    """A network of one time step that hands its state on, run over frames `t n ...`."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        state, steps = None, []
        for now in x.unbind(0):
            out, state = self.step(now, state)
            steps.append(out)
        return torch.stack(steps)


# -- snnTorch ----------------------------------------------------------------------------------------------------------


class SnnTorchNet(nn.Module):
    """Two layers; the neurons by name, the loop over time outside."""

    def __init__(self, first: str) -> None:
        super().__init__()
        snn = pytest.importorskip("snntorch")
        self.fc = nn.Linear(5, 6)
        reset: dict[str, Any] = {"reset_mechanism": "zero", "threshold": 1.0}
        self.lif = {
            "Leaky": lambda: snn.Leaky(beta=0.5, **reset),
            "Synaptic": lambda: snn.Synaptic(alpha=0.5, beta=0.75, reset_delay=False, **reset),
            "RLeaky": lambda: snn.RLeaky(beta=0.5, linear_features=6, reset_delay=False, **reset),
        }[first]()
        self.out, self.last = nn.Linear(6, 4), snn.Leaky(beta=0.75, **reset)

    def forward(self, x: Tensor) -> Tensor:
        for module in (self.lif, self.last):
            module.reset_mem()
        spikes = []
        for now in x.unbind(0):
            hidden = self.lif(self.fc(now))[0]
            spikes.append(self.last(self.out(hidden))[0])
        return torch.stack(spikes)


@pytest.mark.parametrize("first", ["Leaky", "Synaptic", "RLeaky"])
def test_snntorch_reads_what_we_write(first: str, tmp_path: Path) -> None:
    from snntorch.import_nir import import_from_nir

    net, x = dyadic(SnnTorchNet(first)), frames(5)
    exported = export_nir(net, x, tmp_path / "net.nir", layout="TN", convention="snntorch")
    assert exported.agreement is not None
    assert exported.agreement.spikes > 10
    ours = counted(net, x)
    assert counted(load_nir(tmp_path / "net.nir"), x) == ours
    read = nir.read(tmp_path / "net.nir")
    if first == "RLeaky":  # nirtorch 2.6 does not run the subgraph that snnTorch makes of a recurrent layer
        assert set(read.edges) >= {("lif.neuron", "lif.recurrent"), ("lif.recurrent", "lif.neuron")}
        return
    assert counted(Stepped(quietly(lambda: import_from_nir(read))), x) == ours


@pytest.mark.parametrize("beta", [0.5, 0.7, 0.9, 0.95, 0.99])
def test_decays_survive_snntorch_to_the_last_bit(beta: float, tmp_path: Path) -> None:
    """Time constants are chosen so that 1 - dt/tau, in single precision, is the very decay."""
    snn = pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    net = SnnTorchNet("Leaky")
    net.lif = snn.Leaky(beta=beta, reset_mechanism="zero")
    export_nir(dyadic(net), frames(5), tmp_path / "net.nir", layout="TN", convention="snntorch")
    read = nir.read(tmp_path / "net.nir")
    theirs = quietly(lambda: import_from_nir(read))
    assert set(theirs.lif.beta.flatten().tolist()) == {torch.tensor(beta).item()}


@pytest.mark.parametrize("first", ["Leaky", "Synaptic"])
def test_we_read_what_snntorch_writes(first: str, tmp_path: Path) -> None:
    snn = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    made = dyadic(SnnTorchNet(first))

    def hidden(size: int) -> dict[str, Any]:  # its exporter wants constants of the layer's shape
        return {
            "init_hidden": True, "reset_mechanism": "zero", "reset_delay": False, "threshold": torch.ones(size),
        }  # fmt: skip

    def full(size: int, value: float) -> Tensor:
        return torch.full((size,), value)

    leaky = snn.Leaky(beta=full(6, 0.5), **hidden(6))
    lif = leaky if first == "Leaky" else snn.Synaptic(alpha=full(6, 0.5), beta=full(6, 0.75), **hidden(6))
    plain = nn.Sequential(made.fc, lif, made.out, snn.Leaky(beta=full(4, 0.75), **hidden(4)))
    graph = quietly(lambda: export_to_nir(plain, torch.rand(1, 5), ignore_dims=[0]))
    nir.write(tmp_path / "net.nir", graph)
    assert counted(load_nir(tmp_path / "net.nir", convention="snntorch"), frames(5)) == counted(made, frames(5))


class Tutorial(nn.Module):
    """As in snnTorch's tutorials: images, a loop over time inside, membranes recorded beside the spikes."""

    def __init__(self) -> None:
        super().__init__()
        snn = pytest.importorskip("snntorch")
        self.fc1, self.lif1 = nn.Linear(8, 12), snn.Leaky(beta=0.5, reset_mechanism="zero")
        self.fc2, self.lif2 = nn.Linear(12, 4), snn.Leaky(beta=0.75, reset_mechanism="zero")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x.flatten(1)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


def test_a_network_as_in_the_tutorials(tmp_path: Path) -> None:
    net, x = dyadic(Tutorial()), torch.randint(0, 9, (SAMPLES, 2, 4)) / 8
    exported = export_nir(net, x, tmp_path / "net.nir")
    assert exported.agreement is not None
    assert exported.agreement.silent == ()
    assert (exported.time_steps, exported.nodes["Flatten"]) == (STEPS, 1)
    assert counted(load_nir(tmp_path / "net.nir"), x, batch_axis=0) == counted(net, x, batch_axis=0)


def test_what_snntorch_does_beyond_nir_is_refused_by_name(tmp_path: Path) -> None:
    snn = pytest.importorskip("snntorch")
    net, x = dyadic(SnnTorchNet("Leaky")), frames(5)
    net.lif = snn.Leaky(beta=0.5)  # subtracts, one time step late
    with pytest.raises(ExportRefused, match=r"reset in the time step after.*subtracts the threshold") as refused:
        export_nir(net, x, tmp_path / "net.nir", layout="TN")
    assert {loss.where for loss in refused.value.losses} == {"lif"}
    assert not (tmp_path / "net.nir").exists()
    written = export_nir(net, x, tmp_path / "net.nir", layout="TN", force=True)
    assert written.losses == refused.value.losses
    assert "subtracts" in nir.read(tmp_path / "net.nir").metadata["snn_energy.losses"]
    net.lif = snn.Alpha(alpha=0.75, beta=0.5, reset_mechanism="zero")
    with pytest.raises(ExportError, match=r"an? alpha neuron \(Alpha\) \(lif\)"):
        export_nir(net, x, tmp_path / "net.nir", layout="TN", force=True)


# -- Norse -------------------------------------------------------------------------------------------------------------


def norse_cells() -> dict[str, Callable[[], list[nn.Module]]]:
    norse = pytest.importorskip("norse.torch")
    quick = {"tau_mem_inv": torch.tensor(500.0), "tau_syn_inv": torch.tensor(250.0)}
    return {
        "LIFCell": lambda: [norse.LIFCell(norse.LIFParameters(**quick, v_th=torch.tensor(0.75)))],
        "IAFCell": lambda: [norse.IAFCell()],
        "LIBoxCell": lambda: [norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=quick["tau_mem_inv"]))],
        "LICell": lambda: [norse.LICell(norse.LIParameters(**quick))],
    }


@pytest.mark.parametrize("cell", ["LIFCell", "IAFCell", "LIBoxCell", "LICell"])
def test_cells_of_norse(cell: str, tmp_path: Path) -> None:
    norse = pytest.importorskip("norse.torch")
    net = Stepped(dyadic(norse.SequentialState(nn.Linear(5, 6), *norse_cells()[cell](), nn.Linear(6, 4))))
    export_nir(net, frames(5), tmp_path / "net.nir", layout="TN")
    ours = counted(net, frames(5))
    assert counted(load_nir(tmp_path / "net.nir"), frames(5)) == ours
    with torch.no_grad():
        assert torch.allclose(load_nir(tmp_path / "net.nir")(frames(5)), net(frames(5)))


def norse_net() -> nn.Module:
    norse = pytest.importorskip("norse.torch")

    def box(size: int) -> nn.Module:  # decay 1/2 at 1 ms; files hold constants of the layer's shape
        zeros, ones = torch.zeros(size), torch.ones(size)
        parameters = norse.LIFBoxParameters(tau_mem_inv=500 * ones, v_leak=zeros, v_th=ones, v_reset=zeros)
        cell: nn.Module = norse.LIFBoxCell(parameters)
        return cell

    return Stepped(dyadic(norse.SequentialState(nn.Linear(5, 6), box(6), nn.Linear(6, 4), box(4))))


def test_norse_reads_what_we_write(tmp_path: Path) -> None:
    net, x = norse_net(), frames(5)
    import norse.torch as norse

    exported = export_nir(net, x, tmp_path / "net.nir", layout="TN", convention="norse")
    assert exported.agreement is not None
    assert exported.agreement.spikes > 10
    ours = counted(net, x)
    assert counted(load_nir(tmp_path / "net.nir"), x) == ours
    theirs = norse.from_nir(nir.read(tmp_path / "net.nir"), dt=0.001)
    assert counted(Stepped(theirs), x) == ours


def test_we_read_what_norse_writes(tmp_path: Path) -> None:
    """Norse writes tau dt in place of tau, and the batch axis of its sample as a part of the shape."""
    net, x = norse_net(), frames(5)
    import norse.torch as norse

    nir.write(tmp_path / "net.nir", norse.to_nir(net.step, torch.rand(1, 5)))
    assert counted(load_nir(tmp_path / "net.nir", convention="norse", dt=1e-6), x) == counted(net, x)


# -- SpikingJelly ------------------------------------------------------------------------------------------------------


def jelly_net(kind: str, step_mode: str = "m") -> nn.Module:
    """A convolution, a map of neurons, a linear layer."""
    jelly = pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import functional, layer, neuron

    assert jelly
    made: dict[str, Callable[[], nn.Module]] = {
        "IFNode": lambda: neuron.IFNode(v_reset=0.0),
        "LIFNode": lambda: neuron.LIFNode(tau=2.0, decay_input=False, v_reset=0.0),
        "LIFNode, input decays": lambda: neuron.LIFNode(tau=2.0, decay_input=True, v_reset=0.0),
        "CUBALIFNode": lambda: neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_reset=0.0),
    }
    net = nn.Sequential(
        layer.Conv2d(2, 3, 3, padding=1, stride=2), made[kind](), layer.Flatten(), layer.Linear(12, 4), made[kind]()
    )
    functional.set_step_mode(net, step_mode)
    return dyadic(net)


JELLY = ["IFNode", "LIFNode", "LIFNode, input decays", "CUBALIFNode"]


class Fresh(nn.Module):
    """A SpikingJelly network that forgets before each call."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        from spikingjelly.activation_based import functional

        functional.reset_net(self.net)
        out: Tensor = self.net(x)
        return out


@pytest.mark.parametrize("kind", JELLY)
def test_spikingjelly_reads_what_we_write(kind: str, tmp_path: Path) -> None:
    net, x = Fresh(jelly_net(kind)), frames(2, 4, 4)
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    exported = export_nir(net, x, tmp_path / "net.nir", layout="TN", convention="spikingjelly")
    assert exported.agreement is not None
    assert exported.agreement.spikes > 10
    ours = counted(net, x)
    assert counted(load_nir(tmp_path / "net.nir"), x) == ours
    theirs = Stepped(import_from_nir(nir.read(tmp_path / "net.nir"), step_mode="s"))
    # Its importer calls its neurons past their forward, so no tracer sees them; their spikes are the operands.
    assert counted(theirs, x)["layers"] == ours["layers"]
    with torch.no_grad():
        assert torch.equal(theirs(x), net(x))


def test_norms_containers_and_pools_of_spikingjelly(tmp_path: Path) -> None:
    pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import functional, layer, neuron

    def net() -> nn.Module:
        made = nn.Sequential(
            layer.Conv2d(2, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4, eps=0.0), neuron.IFNode(v_reset=0.0),
            layer.MaxPool2d(2),
            layer.SeqToANNContainer(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4, eps=0.0)),
            neuron.LIFNode(v_reset=0.0, decay_input=False), layer.AvgPool2d(2), layer.Flatten(), layer.Linear(16, 3),
        )  # fmt: skip
        functional.set_step_mode(made, "m")
        return Fresh(dyadic(made))

    x = frames(2, 8, 8)
    exported = export_nir(net(), x, tmp_path / "net.nir", layout="TN", convention="spikingjelly")
    assert exported.agreement is not None
    assert exported.agreement.silent == ()
    assert counted(load_nir(tmp_path / "net.nir"), x) == counted(net(), x)


@pytest.mark.parametrize("kind", JELLY)
def test_we_read_what_spikingjelly_writes(kind: str, tmp_path: Path) -> None:
    single, x = jelly_net(kind, "s"), frames(2, 4, 4)
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    export_to_nir(single, x[0], save_path=tmp_path / "net.nir")
    assert counted(load_nir(tmp_path / "net.nir", convention="spikingjelly"), x) == counted(Fresh(jelly_net(kind)), x)


# -- Sinabs ------------------------------------------------------------------------------------------------------------


def sinabs_net() -> nn.Module:
    sl = pytest.importorskip("sinabs.layers")
    tau = torch.full((6,), float(1 / np.log(2.0)))  # decay 1/2; its exporter writes constants of the layer's shape
    return nn.Sequential(
        nn.Linear(5, 6),
        sl.LIFSqueeze(tau_mem=tau, batch_size=SAMPLES, norm_input=False, spike_threshold=torch.ones(6)),
        nn.Linear(6, 4),
        sl.IAFSqueeze(batch_size=SAMPLES, spike_threshold=torch.ones(4)),
    )


def gentle(model: nn.Module) -> nn.Module:
    """Weights too small for two spikes in one time step, and none negative, so that no floor is met."""
    generator = torch.Generator().manual_seed(7)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = torch.randint(0, 6, module.weight.shape, generator=generator).float() / 16
            module.bias.data.fill_(1 / 16)
    return model.eval()


def folded(x: Tensor) -> Tensor:
    """Frames `t n ...` as Sinabs takes them, `(n t) ...`."""
    return x.transpose(0, 1).flatten(0, 1)


def test_sinabs_both_ways(tmp_path: Path) -> None:
    """Sinabs fires several times at once, which NIR does not hold: the file says so. On these inputs it never does."""
    net, x = gentle(sinabs_net()), frames(5)
    import sinabs.nir

    with pytest.raises(ExportRefused, match="several spikes in one time step"):
        export_nir(net, folded(x), tmp_path / "net.nir", convention="sinabs")
    net = gentle(sinabs_net())  # Sinabs keeps its state, and the run above left some
    exported = export_nir(net, folded(x), tmp_path / "net.nir", convention="sinabs", force=True)
    assert exported.agreement is not None
    assert exported.agreement.spikes > 10
    assert not exported.agreement.differing
    ours = counted(gentle(sinabs_net()), folded(x), batch_axis=0)
    assert counted(load_nir(tmp_path / "net.nir"), x) == ours
    theirs = sinabs.nir.from_nir(nir.read(tmp_path / "net.nir"), batch_size=SAMPLES)
    # What nirtorch's executor returns beside the output is nothing that a tracer has seen being made.
    assert counted(theirs, folded(x), batch_axis=0, complete=False) == ours
    again = gentle(sinabs_net())
    nir.write(tmp_path / "theirs.nir", sinabs.nir.to_nir(again, folded(x)))
    assert counted(load_nir(tmp_path / "theirs.nir", convention="sinabs"), x) == ours


@pytest.mark.parametrize("kind", ["IAF", "LIF", "LIF with synapse", "ExpLeak"])
def test_layers_of_sinabs(kind: str, tmp_path: Path) -> None:
    """With one spike at a time and a reset to 0, Sinabs' layers are NIR's; time is on axis 1."""
    sl = pytest.importorskip("sinabs.layers")
    import sinabs.activation as act

    once = {"spike_fn": act.SingleSpike, "reset_fn": act.MembraneReset()}
    tau, syn = torch.tensor(3.0), torch.tensor(2.0)
    made: dict[str, Callable[[], nn.Module]] = {
        "IAF": lambda: sl.IAF(**once),
        "LIF": lambda: sl.LIF(tau_mem=tau, norm_input=True, **once),
        "LIF with synapse": lambda: sl.LIF(tau_mem=tau, tau_syn=syn, norm_input=False, **once),
        "ExpLeak": lambda: sl.ExpLeak(tau_mem=tau),
    }
    x = frames(5).transpose(0, 1)

    def net() -> nn.Module:
        return dyadic(nn.Sequential(nn.Linear(5, 6), made[kind](), nn.Linear(6, 4)))

    with torch.no_grad():
        exported = export_nir(net(), x, tmp_path / "net.nir", layout="NT")
        assert exported.losses == ()
        network = load_nir(tmp_path / "net.nir")
        assert torch.allclose(network(x.transpose(0, 1)), net()(x).transpose(0, 1), atol=1e-5)
    assert counted(network, x.transpose(0, 1)) == counted(net(), x, batch_axis=0)


# -- from one to another -----------------------------------------------------------------------------------------------


def test_a_file_of_one_simulator_becomes_that_of_another(tmp_path: Path) -> None:
    """SpikingJelly fires at the threshold, Norse above it, and Norse reads no R: the thresholds carry both."""
    pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    def net(step_mode: str) -> nn.Module:  # without a Flatten, which Norse reads in another way
        nodes = [neuron.LIFNode(tau=2.0, decay_input=False, v_reset=0.0) for _ in range(2)]
        made = nn.Sequential(layer.Linear(5, 6), nodes[0], layer.Linear(6, 4), nodes[1])
        functional.set_step_mode(made, step_mode)
        return dyadic(made)

    x = frames(5)
    export_to_nir(net("s"), x[0], save_path=tmp_path / "jelly.nir")
    network = load_nir(tmp_path / "jelly.nir", convention="spikingjelly")
    export_nir(network, x, tmp_path / "norse.nir", layout="TN", convention="norse")
    ours = counted(Fresh(net("m")), x)
    assert counted(load_nir(tmp_path / "norse.nir"), x) == ours
    norse = pytest.importorskip("norse.torch")
    theirs = Stepped(norse.from_nir(nir.read(tmp_path / "norse.nir"), dt=0.001))
    assert counted(theirs, x) == ours


# -- files -------------------------------------------------------------------------------------------------------------


def some_graph() -> Any:
    """With a subgraph that feeds back, as snnTorch writes recurrent layers."""
    one = np.ones(3, dtype=np.float32)
    inner = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([3])),
            "lif": nir.LIF(tau=2e-4 * one, r=2 * one, v_leak=0 * one, v_threshold=one),
            "w_rec": nir.Linear(np.eye(3, dtype=np.float32)),
            "output": nir.Output(np.array([3])),
        },
        edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    return nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([2])),
            "fc": nir.Affine(np.full((3, 2), 0.5, dtype=np.float32), one),
            "rec": inner,
            "output": nir.Output(np.array([3])),
        },
        edges=[("input", "fc"), ("fc", "rec"), ("rec", "output")],
    )


def test_a_file_of_the_nir_package_with_a_subgraph(tmp_path: Path) -> None:
    from snn_energy.nirgraph import NirNetwork
    from snn_energy.nirgraph.records import from_nir

    nir.write(tmp_path / "g.nir", some_graph())
    network, x = load_nir(tmp_path / "g.nir"), torch.ones(4, 1, 2)
    # The current is 2 at every step, and 1 more after a spike: each neuron fires at each of the 4 steps.
    trace = se.trace(network, x, batch_axis=1)
    assert {row.name: row.events for row in trace.layers} == {"fc": 4 * 6, "rec.w_rec": 3 * 9}
    assert [(row.name, row.spikes) for row in trace.neurons] == [("rec.lif", 12)]
    assert torch.equal(NirNetwork(from_nir(some_graph()))(x), network(x))


def damaged(path: Path, how: Callable[[Any], None]) -> Path:
    nir.write(path, some_graph())
    with h5py.File(path, "r+") as file:
        how(file)
    return path


def _elsewhere(file: Any) -> None:
    del file["node/nodes/fc/weight"]
    file["node/nodes/fc/weight"] = h5py.ExternalLink("/somewhere/else.h5", "/secret")


def _strange(file: Any) -> None:
    del file["node/nodes/fc/type"]
    file["node/nodes/fc/type"] = "Tanh"


def _narrow(file: Any) -> None:
    del file["node/nodes/fc/weight"]
    file["node/nodes/fc/weight"] = np.ones((3, 5), dtype=np.float32)


def _pickled(file: Any) -> None:
    del file["node/nodes/fc/bias"]
    file["node/nodes/fc"].create_dataset("bias", data=np.void(b"\x80\x04."))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (_elsewhere, r"fc/weight points elsewhere"),
        (_strange, r"node fc: unknown primitive 'Tanh' \(known: Input"),
        (_narrow, r"node fc \(Affine\): its weight \[3, 5\] takes \[5\] \(got \[2\]\)"),
        (_pickled, r"fc/bias holds \|V3; expected numbers or text"),
        (lambda file: file["node"].__delitem__("edges"), r"there is no /node/edges"),
        (lambda file: file["node/nodes/fc"].__delitem__("bias"), r"node fc \(Affine\): no field 'bias'"),
    ],
)
def test_damaged_files_are_refused_in_one_line(how: Any, message: str, tmp_path: Path) -> None:
    path = damaged(tmp_path / "g.nir", how)
    with pytest.raises(DataError, match=message) as refused:
        load_nir(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_hdf5(tmp_path: Path) -> None:
    (tmp_path / "g.nir").write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        load_nir(tmp_path / "g.nir")
    with pytest.raises(DataError, match="no such file"):
        load_nir(tmp_path / "missing.nir")


def test_equal_networks_make_equal_files_that_the_nir_package_reads(tmp_path: Path) -> None:
    from snn_energy.models import SpikingCNN, fold

    torch.manual_seed(0)
    net = fold(SpikingCNN(1, 10, 8, widths=(4, 6), time_steps=3).eval())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3)
    x = torch.rand(4, 1, 8, 8)
    for name in ("a", "b"):
        export_nir(net, x, tmp_path / f"{name}.nir")
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()
    graph = nir.read(tmp_path / "a.nir")  # checks the types of all edges
    assert isinstance(graph.nodes["blocks.0.conv"], nir.Conv2d)
    assert np.array_equal(graph.nodes["blocks.0.conv"].weight, net.blocks[0].conv.weight.detach().numpy())
    assert isinstance(graph.nodes["blocks.0.neuron"], nir.LIF)
    # Our neurons fire at the threshold, NIR's above it: the next float below.
    assert set(graph.nodes["blocks.0.neuron"].v_threshold.flat) == {np.nextafter(np.float32(1), np.float32(0))}
    assert np.allclose(graph.nodes["blocks.0.neuron"].tau, 2e-4)
