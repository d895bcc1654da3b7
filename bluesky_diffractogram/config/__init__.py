"""What users write: the configuration, its units and its ranges."""

from .arc import Arc
from .cake import CakeConfig
from .changes import INPUT_FILES, NUMBERS, alters_stream, changed_keys, empties_buffers, same_meaning
from .dark import DarkConfig
from .errors import ConfigError
from .load import (
    Commands,
    configuration,
    configuration_json,
    load_config,
    plain,
    split_commands,
    update_config,
)
from .merge import MergedDetector, as_if_alone, plain_merge
from .model import DiffractogramConfig
from .moving import GeometryConfig
from .peaks import PeaksConfig
from .ranges import DiffractogramRange, parse_range
from .source import read_settings
from .statistic import StatisticConfig
from .units import UNITS, RadialUnit, parse_unit

__all__ = [
    "INPUT_FILES",
    "NUMBERS",
    "UNITS",
    "Arc",
    "CakeConfig",
    "Commands",
    "ConfigError",
    "DarkConfig",
    "DiffractogramConfig",
    "DiffractogramRange",
    "GeometryConfig",
    "MergedDetector",
    "PeaksConfig",
    "RadialUnit",
    "StatisticConfig",
    "alters_stream",
    "as_if_alone",
    "changed_keys",
    "configuration",
    "configuration_json",
    "empties_buffers",
    "load_config",
    "parse_range",
    "parse_unit",
    "plain",
    "plain_merge",
    "read_settings",
    "same_meaning",
    "split_commands",
    "update_config",
]
