//! A module as a lookup plugin: its documentation, made from the module's.

use serde_json::json;

use crate::{
    Module,
    source::{self, InLookup, Lines, ModuleOption},
    stub::{lines, list, mapping, option, present},
    yaml,
};

/// The lookup plugin of a module, which returns one value of its result.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    module: &'a Module,
    written: &'a source::Lookup,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(module: &'a Module, written: &'a source::Lookup) -> Self {
        Self { module, written }
    }

    /// The key of the module's result that it returns.
    pub fn returns(&self) -> &'a str {
        &self.written.returns
    }

    /// What it is, in a line.
    pub fn short_description(&self) -> &'a str {
        &self.written.short_description
    }

    /// The names of its options, in their order.
    pub fn options(&self) -> Vec<&'a str> {
        self.all().filter(|(_, one)| !is_left_out(one)).map(|(name, _)| name).collect()
    }

    /// The options of the module that it does not have, by every name.
    pub fn left_out(&self) -> Vec<&'a str> {
        let names = |(name, one): (&'a str, &'a ModuleOption)| {
            [name].into_iter().chain(one.aliases.iter().flatten().map(String::as_str))
        };
        self.all().filter(|(_, one)| is_left_out(one)).flat_map(names).collect()
    }

    /// The DOCUMENTATION block.
    pub fn documentation_block(&self) -> String {
        let documentation = &self.module.documentation;
        let options =
            self.all().filter(|(_, one)| !is_left_out(one)).map(|(name, one)| (name.to_owned(), told(one))).collect();
        yaml::block(&present([
            ("name", Some(json!(self.module.name))),
            ("short_description", Some(json!(self.written.short_description))),
            ("version_added", Some(json!(self.written.version_added))),
            ("author", lines(&documentation.author)),
            ("description", lines(&self.written.description)),
            ("options", mapping(&options, option)),
            ("notes", lines(&self.written.notes)),
            ("seealso", list([json!({ "module": format!("{COLLECTION}.{}", self.module.name) })].into_iter())),
        ]))
    }

    /// The EXAMPLES block.
    pub fn examples_block(&self) -> &'a str {
        &self.written.examples
    }

    /// The RETURN block.
    pub fn return_block(&self) -> String {
        let description = format!("The {}, in a list of one.", self.written.returns.replace('_', " "));
        yaml::block(&json!({ "_raw": { "description": [description], "type": "list", "elements": "str" } }))
    }

    fn all(&self) -> impl Iterator<Item = (&'a str, &'a ModuleOption)> + use<'a> {
        self.module.documentation.options.iter().map(|(name, one)| (name.as_str(), one))
    }
}

fn is_left_out(option: &ModuleOption) -> bool {
    matches!(option.lookup, Some(InLookup::Is(false)))
}

/// The option in the words of a lookup, which runs where Ansible does.
fn told(option: &ModuleOption) -> ModuleOption {
    let mut told = option.clone();
    if let Some(InLookup::Described(otherwise)) = &option.lookup {
        told.description = Some(otherwise.clone());
    }
    told.description = told.description.map(|lines| {
        let said = |line: &String| line.replace("the target", "the controller");
        Lines(lines.0.iter().map(said).collect())
    });
    told
}

const COLLECTION: &str = "tokensmith.redhat";
