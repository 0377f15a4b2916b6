"""Networks that treat all candidate paths alike: the same weights for each, whatever its place in the list.

Each path is encoded from its own features and the context; a path's latent code is then mixed with the mean over
all paths, and gives the logits (or values) of its actions. Permuting the paths permutes these and nothing else; the
value of the state comes from the mean over the paths. Source of the scheme: M. Zaheer et al., Deep Sets, 2017.

The features come from `PathFeatures` or `GraphFeatures`. An action number is path x (actions of a path) + rest,
as in all action codecs. With `CandidateFeatures` a candidate decision stands where a path does: it is one action, and
there may be fewer of them than there is room for, which then have no part in the mean.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy, QuantileNetwork
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

if TYPE_CHECKING:
    _Policy: TypeAlias = ActorCriticPolicy
else:  # the mix-in comes before the classes whose methods it extends
    _Policy = object


class PathEncoder(nn.Module):
    """Latent codes of the candidate paths, [B, K, H], from features [B, K x F + G].

    Args:
        features: the extractor that they come from; its paths, path_size and context_size are K, F and G, and
            `presence`, if it has one, the entry of a path's that is above 0 where there is a path.
        hidden: units of the layers that each path goes through; the last is H.
        activation: between layers.
    """

    def __init__(self, features: Any, hidden: list[int], activation: type[nn.Module]) -> None:
        super().__init__()
        self._shape = (features.paths, features.path_size)
        self._presence: int | None = getattr(features, "presence", None)
        size = features.path_size + features.context_size
        self.units = hidden[-1] if hidden else size
        self.each = nn.Sequential(*create_mlp(size, 0, hidden, activation))
        self.mix = nn.Sequential(nn.Linear(2 * self.units, self.units), activation())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Codes of a batch."""
        paths, size = self._shape
        own = features[:, : paths * size].reshape(-1, paths, size)
        context = features[:, None, paths * size :].expand(-1, paths, -1)
        codes = self.each(torch.cat([own, context], dim=2))
        everyone = self.mean(codes, features)[:, None].expand_as(codes)
        mixed: torch.Tensor = self.mix(torch.cat([codes, everyone], dim=2))
        return mixed

    def mean(self, codes: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Mean of the codes of the paths that there are, [B, H]."""
        if self._presence is None:
            return codes.mean(dim=1)
        paths, size = self._shape
        there = features[:, : paths * size].reshape(-1, paths, size)[:, :, self._presence, None] > 0
        return (codes * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


class PathHead(nn.Module):
    """The same linear layer for the code of each path: [B, K, H] or [B, K x H] to [B, groups x K x actions of a path].

    Args:
        units: H.
        paths: K.
        actions: of all paths together.
        groups: outputs of an action, as the quantiles of its return.
    """

    def __init__(self, units: int, paths: int, actions: int, groups: int = 1) -> None:
        super().__init__()
        self._codes, self._outputs = (paths, units), (groups, actions // paths)
        self.linear = nn.Linear(units, groups * actions // paths)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Outputs of a batch."""
        outputs: torch.Tensor = self.linear(codes.reshape(-1, *self._codes))
        return outputs.reshape(-1, self._codes[0], *self._outputs).transpose(1, 2).flatten(1)


class PathActorCritic(nn.Module):
    """The encoder in the place of Stable-Baselines3's `MlpExtractor`.

    Policy and value share the encoder. What belongs to the value alone is named so: TRPO goes by the names.
    """

    def __init__(self, features: Any, hidden: list[int], activation: type[nn.Module]) -> None:
        super().__init__()
        self.encoder = PathEncoder(features, hidden, activation)
        units = self.encoder.units
        self.value_net = nn.Sequential(nn.Linear(units, units), activation())
        self.latent_dim_pi, self.latent_dim_vf = features.paths * units, units

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latent codes for policy and value."""
        codes = self.encoder(features)
        return codes.flatten(1), self.value_net(self.encoder.mean(codes, features))

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """Latent codes for the policy, [B, K x H]."""
        codes: torch.Tensor = self.encoder(features)
        return codes.flatten(1)

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """Latent codes for the value, [B, H]."""
        value: torch.Tensor = self.value_net(self.encoder.mean(self.encoder(features), features))
        return value


class _PathHeads(_Policy):
    def _build_mlp_extractor(self) -> None:
        hidden: Any = self.net_arch
        self.mlp_extractor = PathActorCritic(self.features_extractor, hidden, self.activation_fn)  # type: ignore[assignment]

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        extractor: Any = self.features_extractor
        actions = int(self.action_space.n)  # type: ignore[attr-defined]
        units = self.mlp_extractor.latent_dim_vf
        self.action_net = PathHead(units, extractor.paths, actions)
        if self.ortho_init:
            self.action_net.apply(partial(self.init_weights, gain=0.01))
        # made anew, for the new layer's sake
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]


class PathPolicy(_PathHeads, ActorCriticPolicy):
    """For PPO, A2C and TRPO."""


class MaskablePathPolicy(_PathHeads, MaskableActorCriticPolicy):  # type: ignore[misc]
    """For MaskablePPO."""


def _values(network: QNetwork | QuantileNetwork, groups: int = 1) -> nn.Sequential:
    """An encoder and a head in the place of a Q-network's layers."""
    extractor: Any = network.features_extractor
    encoder = PathEncoder(extractor, network.net_arch, network.activation_fn)
    return nn.Sequential(encoder, PathHead(encoder.units, extractor.paths, int(network.action_space.n), groups))


class PathDQNPolicy(DQNPolicy):
    """For DQN and masked DQN."""

    def make_q_net(self) -> QNetwork:
        """A network of values whose layers treat paths alike."""
        network = QNetwork(**self._update_features_extractor(self.net_args, features_extractor=None))
        network.q_net = _values(network)
        return network.to(self.device)


class PathQRDQNPolicy(QRDQNPolicy):
    """For QR-DQN and masked QR-DQN."""

    def make_quantile_net(self) -> QuantileNetwork:
        """A network of quantiles whose layers treat paths alike."""
        network = QuantileNetwork(**self._update_features_extractor(self.net_args, features_extractor=None))
        network.quantile_net = _values(network, self.n_quantiles)
        return network.to(self.device)
