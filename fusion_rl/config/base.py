"""Settings: the base of all configuration models. Frozen; an unknown key fails and names the nearest one."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from fusion_rl.errors import nearest_hint


class Settings(BaseModel):
    """A frozen group of settings whose every value is checked, defaults included."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for key, value in values.items():
            if key not in cls.model_fields:
                raise PydanticCustomError(
                    "unknown_key",
                    "{problem}",
                    {"problem": cls.explain_unknown_key(str(key)), "key": str(key)},
                )
            annotation = cls.model_fields[key].annotation
            if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
                # pydantic would read true as 1: `k_paths: true` is a slip of the pen, not one path
                problem = f"cannot be {str(value).lower()}: it is not a yes or no question"
                raise PydanticCustomError("not_a_switch", "{problem}", {"problem": problem, "key": key})
        return values

    @classmethod
    def explain_unknown_key(cls, key: str) -> str:
        """The message for a key that is not one of ours; a subclass may know better where it belongs."""
        return f"unknown key '{key}': {nearest_hint(key, cls.model_fields)}"
