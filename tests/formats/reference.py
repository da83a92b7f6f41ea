"""Reads files of ansible-galaxy as it reads them: texts of one file per line in, what is in each of them out."""

import io
import json
import sys

import yaml
from ansible.config.manager import ConfigManager, ensure_type

LOADERS = [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)]
SECTION = "galaxy_server.hub"
FILE = sys.argv[1]
MANAGER = ConfigManager(FILE)


def galaxy_token(text):
    opened = lambda: io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    loaded = [yaml.load(opened(), Loader=loader) or {} for loader in LOADERS]
    tokens = [mapping.pop("token", None) for mapping in loaded]
    texts = [token if isinstance(token, str) else None for token in tokens]
    assert repr(loaded[0]) == repr(loaded[1]) and texts[0] == texts[1], "the loaders differ"
    return {"token": texts[0], "rest": repr(loaded[0])}


def ansible_cfg(text):
    with open(FILE, "wb") as file:
        file.write(text.encode())
    MANAGER._parse_config_file(FILE)
    parser = MANAGER._parsers[FILE]
    value = lambda section, option, kind: ensure_type(
        parser.get(section, option, raw=True, fallback=None), kind, origin=FILE, origin_ftype="ini")
    own = dict(parser._sections.get(SECTION, {}))
    own.pop("token", None)
    others = {name: options for name, options in parser._sections.items() if name != SECTION}
    return {
        "token": value(SECTION, "token", "str"),
        "has_section": SECTION in parser._sections,
        "url": value(SECTION, "url", "str"),
        "own": repr(own),
        "rest": repr((others, parser._defaults)),
        "is_listed": "hub" in (value("galaxy", "server_list", "list") or []),
    }


def answer(read, text):
    try:
        return read(text)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    case = json.loads(line)
    read = {"galaxy_token": galaxy_token, "ansible_cfg": ansible_cfg}[case["format"]]
    print(json.dumps([answer(read, text) for text in case["texts"]]), flush=True)
