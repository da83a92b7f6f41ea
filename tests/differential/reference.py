"""Checks arguments with the ArgumentSpecValidator of the installed ansible-core: one case per line in, one result out."""

import json
import os
import pwd
import sys
from types import SimpleNamespace

from ansible.module_utils.common import warnings
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator
from ansible.module_utils.common.parameters import env_fallback


def with_fallbacks(options):
    for option in options.values():
        if "fallback" in option:
            option["fallback"] = (env_fallback, option["fallback"])
        with_fallbacks(option.get("options") or {})


def surround(environment, homes):
    def account(user):
        return SimpleNamespace(pw_dir=homes[user])

    os.environ.clear()
    os.environ.update(environment)
    pwd.getpwnam = account
    pwd.getpwuid = lambda uid: account("")
    warnings._global_warnings.clear()


def fits(value):
    """Whether JSON with 64-bit integers can carry the value."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and fits(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(fits(item) for item in value)
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return value is None or isinstance(value, str)


def check(case):
    specification = case["specification"]
    with_fallbacks(specification["argument_spec"])
    surround(case["environment"], case["homes"])
    try:
        result = ModuleArgumentSpecValidator(**specification).validate(case["arguments"])
    except Exception as error:
        return {"traceback": f"{type(error).__name__}: {error}"}
    if not fits(result.validated_parameters):
        return {"beyond_json": True}
    unsupported = result.unsupported_parameters
    return {
        "parameters": result.validated_parameters,
        "errors": result.error_messages,
        "unsupported": sorted(".".join(name) if isinstance(name, tuple) else name for name in unsupported),
        "levels": len({name[:-1] if isinstance(name, tuple) else () for name in unsupported}),
        "warnings": list(warnings.get_warning_messages()),
        "secrets": sorted(map(str, result._no_log_values)),
    }


for line in sys.stdin:
    print(json.dumps(check(json.loads(line))), flush=True)
