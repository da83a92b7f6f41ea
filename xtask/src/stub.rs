//! The Python that is made for each module: what the tools read, and the way to the executable.

use anyhow::{Result, ensure};
use serde_json::Value;
use tokensmith_documentation::{Lookup, Module};

/// `plugins/modules/NAME.py`: documentation, and the arguments for `ansible-test sanity` to hold against it.
pub(crate) fn module(module: &Module) -> Result<String> {
    let blocks = [
        ("DOCUMENTATION", module.documentation_block()),
        ("EXAMPLES", module.examples_block().trim_end().to_owned()),
        ("RETURN", module.return_block()),
    ];
    let documentation = texts(module, &blocks)?;
    let arguments = arguments(module);
    let imports = if arguments.contains("env_fallback") { "AnsibleModule, env_fallback" } else { "AnsibleModule" };
    let name = module.name();
    Ok(format!(
        r#"#!/usr/bin/python
# -*- coding: utf-8 -*-
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Made from modules/{name}.yml by the build, for ansible-doc, ansible-lint, ansible-test and automation hub to read.
# The module itself is a native executable, which the action plugin of this name runs.
from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

{documentation}from ansible.module_utils.basic import {imports}


def main():
    module = AnsibleModule(
{arguments}    )
    module.fail_json(msg="{name} is a native executable, run by its action plugin: call it as tokensmith.redhat.{name}.")


if __name__ == "__main__":
    main()
"#
    ))
}

/// `plugins/action/NAME.py`.
pub(crate) fn action(module: &Module) -> String {
    let secrets = match module.secret_results().as_slice() {
        [] => String::new(),
        names => format!("    SECRETS = {}\n", tuple(names)),
    };
    format!(
        r#"# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from ansible_collections.tokensmith.redhat.plugins.plugin_utils.native import NativeModule


class ActionModule(NativeModule):
    MODULE = "{}"
{secrets}"#,
        module.name()
    )
}

/// `plugins/lookup/NAME.py`.
pub(crate) fn lookup(module: &Module, lookup: Lookup<'_>) -> Result<String> {
    let blocks = [
        ("DOCUMENTATION", lookup.documentation_block()),
        ("EXAMPLES", lookup.examples_block().trim_end().to_owned()),
        ("RETURN", lookup.return_block()),
    ];
    let documentation = texts(module, &blocks)?;
    let (name, returns) = (module.name(), lookup.returns());
    let left_out: String = lookup.left_out().iter().map(|name| format!("        {name:?},\n")).collect();
    let secrets = tuple(&module.secret_results());
    Ok(format!(
        r#"# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Made from modules/{name}.yml by the build.
from __future__ import annotations

{documentation}from ansible_collections.tokensmith.redhat.plugins.plugin_utils.lookup import NativeLookup


class LookupModule(NativeLookup):
    MODULE = "{name}"
    RETURNS = "{returns}"
    SECRETS = {secrets}
    LEFT_OUT = (
{left_out}    )
"#
    ))
}

fn texts(module: &Module, blocks: &[(&str, String)]) -> Result<String> {
    let mut texts = String::new();
    for (name, block) in blocks {
        ensure!(
            !block.contains(QUOTES),
            "modules/{}.yml: {name} has three quotes in a row, which ends a Python text",
            module.name()
        );
        texts.push_str(&format!("{name} = r{QUOTES}\n---\n{block}\n{QUOTES}\n\n"));
    }
    Ok(texts)
}

/// A Python tuple.
fn tuple(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    if let [name] = names.as_slice() { format!("({name},)") } else { format!("({})", names.join(", ")) }
}

fn arguments(module: &Module) -> String {
    let specification = module.specification();
    let mut lines = String::new();
    for (name, value) in specification.as_object().into_iter().flatten() {
        lines.push_str(&format!("        {name}={},\n", literal(value, 8, name)));
    }
    if module.supports_check_mode() {
        lines.push_str("        supports_check_mode=True,\n");
    }
    lines
}

/// A Python literal, on one line where it fits behind its name.
fn literal(value: &Value, indent: usize, name: &str) -> String {
    let inline = inline(value);
    if indent + name.len() + inline.len() <= WIDTH {
        return inline;
    }
    let (open, close, items): (_, _, Vec<_>) = match value {
        Value::Object(entries) => (
            '{',
            '}',
            entries.iter().map(|(key, value)| entry(key, value, |value| literal(value, indent + 4, key))).collect(),
        ),
        Value::Array(items) => ('[', ']', items.iter().map(|item| literal(item, indent + 4, "")).collect()),
        _ => return inline,
    };
    let margin = " ".repeat(indent);
    let items: String = items.into_iter().map(|item| format!("{margin}    {item},\n")).collect();
    format!("{open}\n{items}{margin}{close}")
}

fn inline(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<_> = entries.iter().map(|(key, value)| entry(key, value, inline)).collect();
            format!("{{{}}}", entries.join(", "))
        }
        // JSON's texts and numbers are Python's.
        other => other.to_string(),
    }
}

fn entry(key: &str, value: &Value, literal: impl Fn(&Value) -> String) -> String {
    match (key, value) {
        ("fallback", Value::Array(_)) => format!("\"fallback\": (env_fallback, {})", inline(value)),
        _ => format!("{}: {}", Value::from(key), literal(value)),
    }
}

const QUOTES: &str = "\"\"\"";
/// Sanity takes 160, of which quotes, a colon and a comma come on top.
const WIDTH: usize = 150;
