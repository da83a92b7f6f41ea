use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Error, Module, markup, names, yaml};

#[test]
fn a_module_takes_the_options_of_its_fragments_and_its_own_word_wins_key_by_key() {
    let specification = read(MODULE, FRAGMENT).unwrap().specification();
    assert_eq!(
        specification,
        json!({
            "argument_spec": {
                "password": {"type": "str", "no_log": true, "fallback": ["ROBOT_PASSWORD", "PASSWORD"]},
                "format": {"type": "str", "default": "raw", "choices": ["raw", "docker"], "aliases": ["kind"]},
                "connection": {
                    "type": "dict",
                    "options": {
                        "host": {"type": "str", "required": true},
                        "ports": {"type": "list", "elements": "int"},
                    },
                    "required_together": [["host", "ports"]],
                },
                "key_file": {"type": "path", "no_log": false},
            },
            "mutually_exclusive": [["password", "key_file"], ["key_file", "format"]],
            "required_by": {"format": ["key_file"], "password": ["format"]},
        })
    );
}

#[test]
fn the_help_is_plain_text() {
    let help = read(MODULE, FRAGMENT).unwrap().help();
    assert_eq!(help["short_description"], "A robot, with format=raw");
    assert_eq!(
        help["options"]["password"],
        json!({"description": ["Its password."], "type": "str", "secret": true, "environment": ["ROBOT_PASSWORD", "PASSWORD"]})
    );
    assert_eq!(help["options"]["format"]["choices"], json!(["raw", "docker"]));
    assert_eq!(help["options"]["connection"]["type"], "dict");
}

#[test]
fn the_stub_shows_what_ansible_knows_and_tells_of_the_environment() {
    let module = read(MODULE, FRAGMENT).unwrap();
    let documentation: Value = serde_yaml_ng::from_str(&module.documentation_block()).unwrap();
    let options = &documentation["options"];
    assert_eq!(
        options["password"],
        json!({
            "description": [
                "Its password.",
                "If not set, the first of the environment variables E(ROBOT_PASSWORD), E(PASSWORD) that is set is used.",
            ],
            "type": "str",
        })
    );
    assert_eq!(
        options["connection"]["suboptions"]["host"],
        json!({"description": ["Where."], "type": "str", "required": true})
    );
    assert_eq!(documentation["notes"], json!(["Own note.", "Shared note."]));
    assert_eq!(documentation["attributes"]["check_mode"]["support"], "full");
    assert_eq!(documentation["extends_documentation_fragment"], json!(["community.general.attributes"]));
    let returns: Value = serde_yaml_ng::from_str(&module.return_block()).unwrap();
    assert_eq!(
        returns["robot"]["contains"]["token"],
        json!({"description": ["The token."], "returned": "always", "type": "str", "sample": "abc"})
    );
    assert_eq!(module.secret_results(), ["robot"]);
    assert!(module.supports_check_mode());
    assert_eq!(module.examples_block(), "- robot_token:\n");
}

#[test]
fn a_lookup_has_the_options_that_mean_something_to_it_in_words_of_its_own() {
    let written = MODULE.replace("secret: true # ours", "secret: true\n      lookup: Its password, on the target.");
    let module = read(&format!("{written}{LOOKUP}"), &format!("{FRAGMENT}lookup: false\n")).unwrap();
    let lookup = module.lookup().unwrap();
    assert_eq!((lookup.returns(), lookup.short_description()), ("token", "A token, as a value"));
    assert_eq!(
        (lookup.options(), lookup.left_out()),
        (vec!["password", "connection"], vec!["format", "kind", "key_file"])
    );
    let documentation: Value = serde_yaml_ng::from_str(&lookup.documentation_block()).unwrap();
    assert_eq!(documentation["name"], "robot_token");
    assert_eq!(documentation["description"], json!(["Gives it.", "Of every lookup."]));
    assert_eq!(documentation["notes"], json!(["Note of every lookup."]));
    assert_eq!(documentation["options"]["password"]["description"][0], "Its password, on the controller.");
    assert_eq!(documentation["seealso"], json!([{ "module": "tokensmith.redhat.robot_token" }]));
    let returns: Value = serde_yaml_ng::from_str(&lookup.return_block()).unwrap();
    assert_eq!(returns["_raw"]["description"], json!(["The token, in a list of one."]));
    assert_eq!(lookup.examples_block(), "- debug:\n");
    assert!(read(MODULE, FRAGMENT).unwrap().lookup().is_none());
}

#[test]
fn what_is_wrong_is_said_with_file_and_key() {
    let cases = [
        (
            MODULE.replace("    format:", "    form:"),
            "robot_token.yml: DOCUMENTATION.options.form: has no description.",
        ),
        (
            MODULE.replace("type: list", "typ: list"),
            "robot_token.yml: DOCUMENTATION.options.connection.ports: unknown key typ.",
        ),
        (
            MODULE.replace("type: list", "type: tuple"),
            "robot_token.yml: DOCUMENTATION.options.connection.suboptions.ports: tuple is no type.",
        ),
        (
            MODULE.replace("type: list", "type: str"),
            "robot_token.yml: DOCUMENTATION.options.connection.suboptions.ports: only a list has elements.",
        ),
        (
            MODULE.replace("secret: true # ours", ""),
            "robot_token.yml: DOCUMENTATION.options.password: sounds like a secret, so it has to say secret: true or secret: false.",
        ),
        (
            MODULE.replace("module: robot_token", "module: robot"),
            "robot_token.yml: DOCUMENTATION.module: is robot, but the file is named robot_token.",
        ),
        (
            MODULE.replace("[[password, key_file]]", "[[password, file]]"),
            "robot_token.yml: SPECIFICATION.mutually_exclusive: there is no option file.",
        ),
        (
            MODULE.replace("[[password, key_file]]", "[password, key_file]"),
            "robot_token.yml: SPECIFICATION.mutually_exclusive: does not have the form that Ansible knows.",
        ),
        (MODULE.replace("mutually_exclusive", "exclusive"), "robot_token.yml: SPECIFICATION: unknown key exclusive."),
        (
            MODULE.replace("[[host, ports]]", "[[host, port]]"),
            "robot_token.yml: DOCUMENTATION.options.connection.required_together: there is no option port.",
        ),
        (MODULE.replace("RETURN:", "RETURNS:"), "robot_token.yml: unknown field `RETURNS`"),
        (
            format!("{MODULE}{LOOKUP}").replace("returns: token", "returns: robot"),
            "robot_token.yml: LOOKUP.returns: there is no secret robot in RETURN.",
        ),
        (
            MODULE.replace("secret: true # ours", "secret: true\n      lookup: true"),
            "robot_token.yml: DOCUMENTATION.options.password.lookup: may be false, or what the option means to a lookup.",
        ),
        (MODULE.replace("returned: always", "return: always"), "robot_token.yml: RETURN.robot"),
        (MODULE.replace("short_description", "short"), "robot_token.yml: DOCUMENTATION: unknown field `short`"),
        (MODULE.replace("[places,", "[handover,"), "fragments/handover.yml cannot be read: "),
    ];
    for (module, expected) in cases {
        let message = read(&module, FRAGMENT).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nshould say\n{expected}");
    }
    let message = read(MODULE, &FRAGMENT.replace("aliases", "alias")).unwrap_err().to_string();
    assert!(message.ends_with("fragments/places.yml: options.format: unknown key alias."), "{message}");
}

#[test]
fn names_are_those_of_the_yml_files() {
    let folder = write(MODULE, FRAGMENT);
    fs::write(folder.path().join("main.rs"), "").unwrap();
    fs::write(folder.path().join("apple_token.yml"), "").unwrap();
    assert_eq!(names(folder.path()).unwrap(), ["apple_token", "robot_token"]);
}

#[test]
fn markup_becomes_plain_text() {
    let cases = [
        ("Set O(state=present) or V(a\\)b), E(HOME) and C(x y).", "Set state=present or a)b, HOME and x y."),
        (
            "See L(the guide, https://example.com/a), R(this page,anchor) and U(https://example.com).",
            "See the guide <https://example.com/a>, this page and https://example.com.",
        ),
        ("M(a.b.c) and P(a.b.c#lookup) return RV(token).", "a.b.c and a.b.c return token."),
        ("Not markup: MAC(x), f(x), O(open", "Not markup: MAC(x), f(x), O(open"),
        ("B(bold) I(italics)", "bold italics"),
    ];
    for (text, plain) in cases {
        assert_eq!(markup::plain(text), plain);
    }
}

#[test]
fn what_yaml_1_1_would_misread_is_quoted_and_long_texts_are_folded() {
    let long = "word and another ".repeat(30).trim().to_owned();
    let value = json!({
        "date": "2026-12-24", "time": "12:30", "mode": "0600", "no": "yes", "colon": "a: b", "comment": "a #b", "float": 1.5,
        "quote": "it's \"here\"", "empty": "", "none": null, "list": ["raw", "on", 3], "long": long, "quoted": format!("# {long}"),
        "nested": [{"name": "x", "lines": ["one line", long]}, [], {}],
    });
    let block = yaml::block(&value);
    assert_eq!(serde_yaml_ng::from_str::<Value>(&block).unwrap(), value, "{block}");
    for line in [
        "date: \"2026-12-24\"",
        "time: \"12:30\"",
        "mode: \"0600\"",
        "\"no\": \"yes\"",
        "list: [raw, \"on\", 3]",
        "  - name: x",
    ] {
        assert!(block.lines().any(|other| other == line), "{line} in\n{block}");
    }
    assert!(block.lines().all(|line| line.len() <= 120), "{block}");
}

fn read(module: &str, fragment: &str) -> Result<Module, Error> {
    Module::read(write(module, fragment).path(), "robot_token")
}

fn write(module: &str, fragment: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("fragments")).unwrap();
    fs::write(folder.path().join("robot_token.yml"), module).unwrap();
    fs::write(folder.path().join("fragments/places.yml"), fragment).unwrap();
    fs::write(folder.path().join("fragments/lookup.yml"), OF_EVERY_LOOKUP).unwrap();
    folder
}

const MODULE: &str = "
DOCUMENTATION:
  module: robot_token
  short_description: A robot, with O(format=raw)
  version_added: 0.1.0
  author: [Somebody (@somebody)]
  description: One line.
  extends_documentation_fragment: [places, community.general.attributes]
  options:
    password:
      description: Its password.
      secret: true # ours
      environment: [ROBOT_PASSWORD, PASSWORD]
    format:
      choices: [raw, docker]
    connection:
      description: [How, and]
      type: dict
      suboptions:
        host: {description: Where., required: true}
        ports:
          description: Which.
          type: list
          elements: int
      required_together: [[host, ports]]
  notes: Own note.
SPECIFICATION:
  mutually_exclusive: [[password, key_file]]
  required_by: {format: [key_file]}
EXAMPLES: |
  - robot_token:
RETURN:
  robot:
    description: The robot.
    returned: always
    type: dict
    contains:
      token: {description: The token., returned: always, type: str, secret: true, sample: abc}
";

/// Behind `RETURN`.
const LOOKUP: &str = "
  token: {description: The token., type: str, secret: true}
LOOKUP:
  returns: token
  short_description: A token, as a value
  version_added: 0.2.0
  description: Gives it.
  examples: |
    - debug:
";

const OF_EVERY_LOOKUP: &str = "
description: Of every lookup.
notes: Note of every lookup.
";

const FRAGMENT: &str = "
options:
  format:
    description: How it looks.
    choices: [raw]
    default: raw
    aliases: [kind]
  key_file: {description: A file., type: path, secret: false}
attributes:
  check_mode: {description: Forecasts., support: full}
notes: [Shared note.]
SPECIFICATION:
  mutually_exclusive: [[key_file, format]]
  required_by: {password: [format]}
";
