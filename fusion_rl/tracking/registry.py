"""Registered models: their versions, and the aliases that say which of them counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion as StoredVersion
from mlflow.entities.model_registry import RegisteredModel as StoredModel
from mlflow.exceptions import MlflowException

from fusion_rl.errors import TrackingError, UnknownNameError

_PER_PAGE = 100


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model.

    Attributes:
        version: counts from 1.
        aliases: names of it, such as `champion`.
        run_id: the run that made it.
        tags: what was said of it when it was made, and whenever it was judged.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    run_id: str
    created: datetime
    tags: Mapping[str, str]

    @property
    def uri(self) -> str:
        """Its address."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model.

    Attributes:
        aliases: alias -> version.
        updated: when it last got a version, an alias or a tag.
    """

    name: str
    aliases: Mapping[str, int]
    updated: datetime
    versions: tuple[ModelVersion, ...]  # newest first


def registered_models(client: MlflowClient) -> list[RegisteredModel]:
    """All of the store, by name."""
    found: list[StoredModel] = []
    token: str | None = None
    while True:
        page = client.search_registered_models(max_results=_PER_PAGE, order_by=["name ASC"], page_token=token)
        found += page
        token = page.token
        if not token:
            return [_with_versions(client, model) for model in found]


def registered_model(client: MlflowClient, name: str) -> RegisteredModel:
    """One model.

    Raises:
        UnknownNameError: there is none of this name.
    """
    try:
        return _with_versions(client, client.get_registered_model(name))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = [model.name for model in client.search_registered_models()]
        raise UnknownNameError("registered model", name, known) from error


def find_version(model: RegisteredModel, version: str | None) -> ModelVersion:
    """The version with this number, or that this alias names; None: the newest.

    Raises:
        TrackingError: the model has no such version; names those it has.
    """
    wanted = str(model.aliases.get(version or "", version))
    found = [one for one in model.versions if version is None or str(one.version) == wanted]
    if not found:
        known = ", ".join([*(str(one.version) for one in reversed(model.versions)), *model.aliases])
        raise TrackingError(f"model {model.name!r} has no version {version!r}; known: {known or 'none'}")
    return found[0]


def tag_version(client: MlflowClient, version: ModelVersion, tags: Mapping[str, object]) -> None:
    """Say something more of a version."""
    for key, value in tags.items():
        client.set_model_version_tag(version.name, str(version.version), key, str(value))


def _with_versions(client: MlflowClient, model: StoredModel) -> RegisteredModel:
    quote = '"' if "'" in model.name else "'"
    found: list[StoredVersion] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(
            f"name = {quote}{model.name}{quote}", max_results=_PER_PAGE, page_token=token
        )
        found += page
        token = page.token
        if not token:
            break
    aliases = {alias: int(version) for alias, version in model.aliases.items()}
    versions = [
        ModelVersion(
            name=model.name,
            version=int(one.version),
            aliases=tuple(sorted(alias for alias, version in aliases.items() if version == int(one.version))),
            run_id=one.run_id or "",
            created=_moment(one.creation_timestamp),
            tags=dict(one.tags),
        )
        for one in found
    ]
    versions.sort(key=lambda one: -one.version)
    return RegisteredModel(model.name, aliases, _moment(model.last_updated_timestamp), tuple(versions))


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC)
