//! What the pages in `docs/` say is so: messages, options, modules and playbooks exist, links lead somewhere, examples are right.

mod markdown;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokensmith::ansible::specification::{Environment, Kind, OptionSpecification, Options, Specification};
use tokensmith_documentation::Module;
use tokensmith_tests::executable;

use self::markdown::{Page, Table, spans};

#[test]
fn each_guide_of_a_system_has_the_same_four_parts() {
    for name in GUIDES {
        let page = page(name);
        let parts: Vec<_> =
            page.headings.iter().filter(|heading| heading.level == 2).map(|heading| &heading.text).collect();
        assert_eq!(parts, PARTS, "{name}");
        let messages = page.tables.iter().find(|table| table.header == MESSAGES);
        assert!(messages.is_some_and(|table| table.section == PARTS[3]), "{name}");
    }
}

#[test]
fn each_module_leads_to_its_guide() {
    for module in modules() {
        let documentation = module.documentation_block();
        let leads_to = |guide: &&str| documentation.contains(&format!("/docs/{guide}.md"));
        assert!(GUIDES.iter().any(leads_to), "{}", module.name());
    }
}

#[test]
fn each_message_that_a_page_explains_is_one_that_the_executable_or_the_action_plugin_says() {
    let executable = fs::read(executable::path()).unwrap();
    let plugin = fs::read_to_string(source("plugins/plugin_utils/native.py")).unwrap();
    let said = String::from_utf8_lossy(&executable) + plugin.as_str();
    let mut unsaid = Vec::new();
    for (page, row) in message_rows() {
        let messages = spans(&row[0]);
        assert!(!messages.is_empty() && row.iter().all(|cell| !cell.is_empty()), "{page}: {row:?}");
        for message in messages {
            let pieces = pieces(message);
            assert!(pieces.iter().any(|piece| piece.contains(' ')), "{page}: `{message}` could be anything");
            unsaid.extend(
                pieces.into_iter().filter(|piece| !said.contains(piece)).map(|piece| format!("{page}: {piece}")),
            );
        }
    }
    assert!(unsaid.is_empty(), "nothing says {unsaid:#?}");
}

#[test]
fn each_refusal_of_a_system_stands_in_a_guide() {
    let rows: Vec<_> = message_rows().into_iter().map(|(_, row)| row[0].clone()).collect();
    let mut unexplained = Vec::new();
    let explained: Vec<_> = rows.iter().flat_map(|cell| spans(cell)).map(pieces).collect();
    for system in ["hub", "platform", "quay", "rhacs", "sso"] {
        let code = fs::read_to_string(source(&format!("src/systems/{system}/refusal.rs"))).unwrap();
        let begin = code.find("fn sentence(").unwrap();
        let sentences = texts(&code[begin..begin + code[begin..].find("\n    }\n").unwrap()]);
        assert!(sentences.len() > 4, "{system}: {sentences:?}");
        unexplained.extend(
            sentences
                .into_iter()
                .filter(|sentence| !explained.iter().any(|pieces| pieces.iter().all(|piece| sentence.contains(piece)))),
        );
    }
    assert!(unexplained.is_empty(), "no guide tells what to do about {unexplained:#?}");
}

#[test]
fn each_name_in_a_guide_is_one_of_the_collection_or_a_known_one_of_somebody_else() {
    let known = known_names();
    let (mut missing, mut foreign) = (Vec::new(), BTreeSet::new());
    for name in GUIDES.iter().chain(&OTHER_PAGES) {
        for span in page(name).spans() {
            let exists = match setting(&span) {
                Some((option, value)) => is_setting(option, &value) || known.contains(option),
                None => !is_identifier(&span) || known.contains(&span),
            };
            if FOREIGN_NAMES.contains(&span.as_str()) {
                foreign.insert(span);
            } else if !exists {
                missing.push(format!("{name}: {span}"));
            }
        }
    }
    assert!(missing.is_empty(), "there is no {missing:#?}");
    assert_eq!(Vec::from_iter(&foreign), FOREIGN_NAMES, "what is named there of others, in the order of the alphabet");
}

#[test]
fn each_module_and_playbook_that_a_page_names_exists() {
    let modules = tokensmith_documentation::names(&source("modules")).unwrap();
    let exists = |name: &str| {
        let is_group = name == "all" || modules.iter().any(|module| module.starts_with(&format!("{name}_")));
        is_group
            || modules.iter().any(|module| module == name)
            || source("playbooks").join(name).with_extension("yml").exists()
            || source("plugins/lookup").join(name).with_extension("py").exists()
    };
    for page in pages() {
        for (_, behind) in page.text.match_indices(PREFIX).map(|(at, _)| page.text[at..].split_at(PREFIX.len())) {
            let name: String = behind.chars().take_while(|letter| is_part_of_a_name(*letter)).collect();
            assert!(matches!(name.as_str(), "" | "NAME") || exists(&name), "{}: there is no {PREFIX}{name}", page.name);
        }
    }
}

#[test]
fn each_link_in_a_page_leads_to_a_file_and_a_heading_that_are_there() {
    for page in pages() {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.path.clone() } else { page.path.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.name);
            let has_heading = || Page::read(&target).headings.iter().any(|heading| heading.anchor() == anchor);
            assert!(anchor.is_empty() || has_heading(), "{}: {link} leads to no heading", page.name);
        }
    }
}

#[test]
fn each_task_in_a_page_and_in_the_examples_of_a_module_passes_the_specification_of_its_module() {
    let blocks = pages().into_iter().flat_map(|page| {
        let yaml = page.blocks.into_iter().filter(|block| block.language == "yaml");
        yaml.map(move |block| (page.name.clone(), block.text))
    });
    let examples = modules().into_iter().map(|module| (module.name().to_owned(), module.examples_block().to_owned()));
    let mut tasks = 0;
    for (place, text) in blocks.chain(examples) {
        let value: Value = serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error} in\n{text}"));
        tasks += check_tasks(&place, &value, &Map::new());
    }
    assert!(tasks > 40, "only {tasks}");
}

#[test]
fn what_the_page_on_moving_calls_the_same_is_the_same() {
    let page = page("moving");
    let (mut options, mut variables) = (0, 0);
    for table in &page.tables {
        let names = spans(&table.section);
        let Some(specification) = names.last().and_then(|name| module(name)) else { continue };
        match table.header[0].as_str() {
            "their option" => options += check_options(table, specification.options()),
            "environment" => variables += check_variables(table, specification.options()),
            _ => {}
        }
    }
    assert!(options > 30 && variables > 15, "{options} options, {variables} variables");
}

/// Their names in the first column, ours in the second, which says "the same" where theirs is a name or an alias of ours.
fn check_options(table: &Table, options: &Options) -> usize {
    for row in &table.rows {
        let (theirs, ours) = (spans(&row[0]), spans(&row[1]));
        assert!(!theirs.is_empty(), "{row:?}");
        let claimed = if row[1] == "the same" { &theirs } else { &ours };
        for claim in claimed {
            let (name, value) = setting(claim).map_or((*claim, None), |(name, value)| (name, Some(value)));
            let option = options.find(name).unwrap_or_else(|| panic!("{}: there is no option {name}", table.section));
            assert!(value.is_none_or(|value| takes(option, &value)), "{}: {claim}", table.section);
        }
    }
    table.rows.len()
}

fn check_variables(table: &Table, options: &Options) -> usize {
    for row in &table.rows {
        for (variable, option) in
            spans(&row[0]).into_iter().flat_map(|name| spans(&row[1]).into_iter().map(move |option| (name, option)))
        {
            let found =
                options.find(option).unwrap_or_else(|| panic!("{}: there is no option {option}", table.section));
            assert!(
                found.fallback.iter().any(|name| name == variable),
                "{}: {option} does not come from {variable}",
                table.section
            );
        }
    }
    table.rows.len()
}

/// Checks all tasks in a value, with the defaults that stand around them, and says how many there are.
fn check_tasks(place: &str, value: &Value, defaults: &Map<String, Value>) -> usize {
    match value {
        Value::Array(values) => values.iter().map(|value| check_tasks(place, value, defaults)).sum(),
        Value::Object(fields) => {
            let around = fields.get("module_defaults").and_then(Value::as_object).unwrap_or(defaults);
            let task = fields.iter().find_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
            let here = task.map_or(0, |(name, arguments)| {
                let defaults = around.get(&format!("{PREFIX}{name}")).and_then(Value::as_object);
                check_task(place, name, defaults.into_iter().chain(arguments.as_object()).flatten());
                1
            });
            let below = fields.iter().filter(|(key, _)| key.as_str() != "module_defaults");
            here + below.map(|(_, value)| check_tasks(place, value, around)).sum::<usize>()
        }
        _ => 0,
    }
}

fn check_task<'a>(place: &str, name: &str, arguments: impl Iterator<Item = (&'a String, &'a Value)>) {
    let specification = module(name).unwrap_or_else(|| panic!("{place}: there is no module {name}"));
    let filled = arguments.map(|(key, value)| (key.clone(), filled_in(specification.options().find(key), value)));
    let checked = specification.check(filled.collect(), &NoEnvironment);
    assert_eq!(checked.failure(name), None, "{place}");
}

/// A template has no value here, so something of the option's type takes its place.
fn filled_in(option: Option<&OptionSpecification>, value: &Value) -> Value {
    match option.map(|option| (option.kind, &option.choices)) {
        Some((kind, choices)) if value.as_str().is_some_and(|text| text.contains("{{")) => match (kind, choices) {
            (_, Some(choices)) => choices[0].clone(),
            (Kind::Bool, _) => json!(true),
            (Kind::Int | Kind::Float, _) => json!(1),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn home(&self, _user: Option<&str>) -> Option<String> {
        None
    }
}

/// Such as `state: rotated`.
fn setting(span: &str) -> Option<(&str, Value)> {
    let (name, value) = span.split_once(": ")?;
    let is_name = name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    is_name.then(|| Some((name, serde_yaml_ng::from_str(value).ok()?))).flatten()
}

fn is_setting(name: &str, value: &Value) -> bool {
    modules().iter().any(|module| {
        let specification = specification(module);
        let options = specification.options();
        let below = options.by_name.values().filter_map(|option| option.options.as_ref()?.find(name));
        options.find(name).into_iter().chain(below).any(|option| takes(option, value))
    })
}

fn takes(option: &OptionSpecification, value: &Value) -> bool {
    let fits = match option.kind {
        Kind::Bool => value.is_boolean(),
        Kind::Int => value.is_i64(),
        Kind::List => value.is_array() || value.is_string(),
        _ => true,
    };
    fits && option.choices.as_ref().is_none_or(|choices| choices.contains(value) || value.is_array())
}

/// Options, values, results, variables: each word that stands in what describes the modules and in the playbooks.
fn known_names() -> BTreeSet<String> {
    let mut texts: Vec<_> = modules()
        .iter()
        .flat_map(|module| [module.documentation_block(), module.return_block(), module.specification().to_string()])
        .collect();
    for folder in ["playbooks", "playbooks/vars", "playbooks/files", "plugins/plugin_utils"] {
        let files =
            fs::read_dir(source(folder)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        texts.extend(files.map(|path| fs::read_to_string(path).unwrap()));
    }
    let names = texts.iter().flat_map(|text| text.split(|letter: char| !is_part_of_a_name(letter)));
    let playbooks = fs::read_dir(source("playbooks")).unwrap().map(|entry| entry.unwrap().path());
    let playbooks = playbooks.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    names.map(str::to_owned).chain(playbooks).chain(modules().iter().map(|module| module.name().to_owned())).collect()
}

/// Written as options, variables and environment variables are; a single word could be anything.
fn is_identifier(span: &str) -> bool {
    span.contains('_') && span.chars().all(is_part_of_a_name)
}

fn is_part_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// What stands in a message whatever varies.
fn pieces(message: &str) -> Vec<&str> {
    message.split('…').map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

/// The texts in a piece of code, those over several lines as one.
fn texts(code: &str) -> Vec<String> {
    let joined: String =
        code.split("\\\n").enumerate().map(|(index, part)| if index == 0 { part } else { part.trim_start() }).collect();
    joined.replace("\\\"", "'").split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn message_rows() -> Vec<(String, Vec<String>)> {
    let rows_of = |page: Page| {
        let tables = page.tables.into_iter().filter(|table| table.header == MESSAGES);
        tables.flat_map(|table| table.rows).map(|row| (page.name.clone(), row)).collect::<Vec<_>>()
    };
    let rows: Vec<_> = pages().into_iter().flat_map(rows_of).collect();
    assert!(rows.len() > 100, "only {}", rows.len());
    rows
}

fn page(name: &str) -> Page {
    Page::read(&source("docs").join(name).with_extension("md"))
}

fn pages() -> Vec<Page> {
    let docs = fs::read_dir(source("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    docs.chain(["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(source)).map(|path| Page::read(&path)).collect()
}

fn module(name: &str) -> Option<Specification> {
    let known = tokensmith_documentation::names(&source("modules")).unwrap();
    known.iter().any(|known| known == name).then(|| specification(&Module::read(&source("modules"), name).unwrap()))
}

fn modules() -> Vec<Module> {
    Module::read_all(&source("modules")).unwrap()
}

fn specification(module: &Module) -> Specification {
    serde_json::from_value(module.specification()).unwrap()
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

const GUIDES: [&str; 6] = ["sso_token", "quay", "gateway", "gateway_manage", "hub", "rhacs"];
const OTHER_PAGES: [&str; 3] = ["controller_credentials", "messages", "moving"];
const PARTS: [&str; 4] = ["Before you begin", "Least privilege", "Rotation", "When something goes wrong"];
/// What a table begins with that is held against what is really said.
const MESSAGES: [&str; 3] = ["the message says", "it means", "do this"];
const PREFIX: &str = "tokensmith.redhat.";
/// Names of other programs, servers and collections.
const FOREIGN_NAMES: [&str; 14] = [
    "REGISTRY_AUTH_FILE",
    "ROBOTS_DISALLOW",
    "aap_ca_bundle",
    "become_user",
    "controller_config_file",
    "drf_create_token",
    "gateway_ca_bundle",
    "my_robot",
    "offline_access",
    "quay_docker_config",
    "quay_docker_token",
    "quay_password",
    "quay_username",
    "server_list",
];
