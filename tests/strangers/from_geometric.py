"""Models and layers of torch_geometric on one small graph."""

from collections.abc import Callable
from typing import Any

import torch
from case import Build, Cases, noise
from torch import Tensor, nn
from torch_geometric import nn as pyg

NODES, FEATURES, HIDDEN = 6, 9, 24
EDGES = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 2, 4, 1], [1, 2, 3, 4, 5, 0, 2, 4, 0, 3]])
KINDS = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])


class Two(nn.Module):
    """Two layers of one kind and a head."""

    def __init__(self, make: Callable[[int, int], nn.Module], *, wide: int = HIDDEN) -> None:
        super().__init__()
        self.enter = nn.Linear(FEATURES, HIDDEN)
        self.first, self.second = make(HIDDEN, HIDDEN), make(wide, HIDDEN)
        self.head = nn.Linear(wide, 3)

    def forward(self, x: Tensor, *graph: Any) -> Tensor:
        h = self.first(self.enter(x).tanh(), *graph).tanh()
        return self.head(self.second(h, *graph).tanh())


def layers(make: Callable[[int, int], nn.Module], *more: Any, wide: int = HIDDEN) -> Build:
    def build() -> Any:
        extra = [thing() if callable(thing) else thing for thing in more]
        return Two(make, wide=wide), (noise(NODES, FEATURES), EDGES, *extra)

    return build


def model(name: str, **options: Any) -> Build:
    make = getattr(pyg.models, name)
    return lambda: (make(FEATURES, HIDDEN, 3, 4, **options), (noise(NODES, FEATURES), EDGES))


def edge_features() -> Tensor:
    return noise(EDGES.shape[1], 3)


def pna(a: int, b: int) -> nn.Module:
    degrees = torch.bincount(EDGES[1].bincount())
    return pyg.PNAConv(a, b, ["mean", "max", "std"], ["identity", "amplification"], degrees)


def rgat(a: int, b: int) -> nn.Module:
    layer = pyg.RGATConv(a, b, 2)
    for name in ("w", "l1", "b1", "l2", "b2"):  # some are left as memory was
        nn.init.normal_(getattr(layer, name), std=0.3)
    return layer


def mlp(a: int, b: int) -> nn.Module:
    return nn.Sequential(nn.Linear(a, b), nn.Tanh(), nn.Linear(b, b))


def attentive() -> Any:
    net = pyg.models.AttentiveFP(FEATURES, HIDDEN, 3, 3, 2, 2)
    return net, (noise(NODES, FEATURES), EDGES, edge_features(), torch.tensor([0, 0, 0, 1, 1, 1]))


def schnet() -> Any:
    net = pyg.models.SchNet(16, 16, 2, 8, 6.0, interaction_graph=everybody)
    return net, (torch.tensor([1, 6, 8, 1, 6, 1]), noise(6, 3), torch.tensor([0, 0, 0, 1, 1, 1]))


def everybody(positions: Tensor, batch: Tensor) -> Any:
    pairs = (batch[:, None] == batch[None, :]).logical_xor(torch.eye(6, dtype=torch.bool))
    edges = pairs.nonzero().T
    return edges, (positions[edges[0]] - positions[edges[1]]).norm(dim=-1)


def graph_unet() -> Any:
    return pyg.models.GraphUNet(FEATURES, HIDDEN, 3, 2), (noise(NODES, FEATURES), EDGES)


def light_gcn() -> Any:
    return pyg.models.LightGCN(NODES, HIDDEN, 2), (EDGES,)


class Pooled(nn.Module):
    """A graph network and a learned read-out."""

    def __init__(self, pool: nn.Module, wide: int = HIDDEN) -> None:
        super().__init__()
        self.body, self.pool = pyg.models.GCN(FEATURES, HIDDEN, 2), pool
        self.head = nn.Linear(wide, 3)

    def forward(self, x: Tensor, edges: Tensor, batch: Tensor) -> Tensor:
        return self.head(self.pool(self.body(x, edges).tanh(), batch))


def pooled(make: Callable[[], nn.Module], wide: int = HIDDEN) -> Build:
    batch = torch.tensor([0, 0, 0, 1, 1, 1])
    return lambda: (Pooled(make(), wide), (noise(NODES, FEATURES), EDGES, batch))


class Heterogeneous(nn.Module):
    """Two kinds of nodes, two kinds of edges: dictionaries in, one tensor out."""

    def __init__(self) -> None:
        super().__init__()
        kinds = (["a", "b"], [("a", "to", "b"), ("b", "to", "a")])
        self.first = pyg.HGTConv(FEATURES, HIDDEN, kinds, heads=2)
        self.second = pyg.HGTConv(HIDDEN, HIDDEN, kinds, heads=2)
        self.head = nn.Linear(HIDDEN, 3)

    def forward(self, nodes: Any, edges: Any) -> Tensor:
        h = {k: v.tanh() for k, v in self.first(nodes, edges).items()}
        return self.head(self.second(h, edges)["a"])


def heterogeneous() -> Any:
    nodes = {"a": noise(4, FEATURES), "b": noise(4, FEATURES)}
    to = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    return Heterogeneous(), (nodes, {("a", "to", "b"): to, ("b", "to", "a"): to.flip(0)})


CASES: Cases = {
    **{name: model(name) for name in ("GCN", "GraphSAGE", "GAT", "EdgeCNN")},
    "GIN": model("GIN", norm="batch_norm"),
    "GIN (train)": model("GIN", norm="batch_norm"),
    "GAT, v2, jumping": model("GAT", v2=True, heads=2, jk="cat"),
    "GCN, layer_norm (train)": model("GCN", norm="layer_norm"),
    "ChebConv": layers(lambda a, b: pyg.ChebConv(a, b, 3)),
    "GraphConv": layers(pyg.GraphConv),
    "GatedGraphConv": layers(lambda a, b: pyg.GatedGraphConv(b, 3)),
    "ResGatedGraphConv": layers(pyg.ResGatedGraphConv),
    "TransformerConv": layers(lambda a, b: pyg.TransformerConv(a, b, 2), wide=2 * HIDDEN),
    "TAGConv": layers(pyg.TAGConv),
    "ARMAConv": layers(pyg.ARMAConv),
    "SGConv": layers(lambda a, b: pyg.SGConv(a, b, 2)),
    "SSGConv": layers(lambda a, b: pyg.SSGConv(a, b, 0.1)),
    "APPNP": layers(lambda a, b: pyg.APPNP(3, 0.1)),
    "AGNNConv": layers(lambda a, b: pyg.AGNNConv()),
    "MFConv": layers(pyg.MFConv),
    "RGCNConv": layers(lambda a, b: pyg.RGCNConv(a, b, 2), KINDS),
    "FastRGCNConv, bases": layers(lambda a, b: pyg.FastRGCNConv(a, b, 2, num_bases=2), KINDS),
    "RGATConv": layers(rgat, KINDS),
    "FiLMConv": layers(pyg.FiLMConv),
    "SuperGATConv": layers(pyg.SuperGATConv),
    "EGConv": layers(lambda a, b: pyg.EGConv(a, b, num_heads=4)),
    "LEConv": layers(pyg.LEConv),
    "ClusterGCNConv": layers(pyg.ClusterGCNConv),
    "GENConv": layers(pyg.GENConv),
    "FeaStConv": layers(lambda a, b: pyg.FeaStConv(a, b, 2)),
    "HypergraphConv": layers(pyg.HypergraphConv),
    "GeneralConv": layers(pyg.GeneralConv),
    "MixHopConv": layers(pyg.MixHopConv, wide=3 * HIDDEN),
    "AntiSymmetricConv": layers(lambda a, b: pyg.AntiSymmetricConv(a)),
    "GINConv": layers(lambda a, b: pyg.GINConv(mlp(a, b))),
    "EdgeConv": layers(lambda a, b: pyg.EdgeConv(mlp(2 * a, b))),
    "PNAConv": layers(pna),
    "NNConv": layers(lambda a, b: pyg.NNConv(a, b, mlp(3, a * b)), edge_features),
    "CGConv": layers(lambda a, b: pyg.CGConv(a, 3), edge_features),
    "GINEConv": layers(lambda a, b: pyg.GINEConv(mlp(a, b), edge_dim=3), edge_features),
    "GMMConv": layers(lambda a, b: pyg.GMMConv(a, b, 3, 2), edge_features),
    "GPSConv": layers(lambda a, b: pyg.GPSConv(a, pyg.GCNConv(a, a), heads=2, norm=None)),
    "AttentiveFP": attentive,
    "SchNet": schnet,
    "GraphUNet": graph_unet,
    "LightGCN": light_gcn,
    "Set2Set": pooled(lambda: pyg.Set2Set(HIDDEN, 3), 2 * HIDDEN),
    "attentional pool": pooled(lambda: pyg.AttentionalAggregation(nn.Linear(HIDDEN, 1))),
    "HGTConv": heterogeneous,
}
