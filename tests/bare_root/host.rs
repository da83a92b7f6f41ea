//! The same over ssh: a host whose users are in such a root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use serde_json::{Value, json};
use tokensmith_tests::installed::{self, Installed};
use tokensmith_tests::scene::names;
use tokensmith_tests::ssh_hosts::{BARE, Kind, SshHost};

use crate::{CA, MANAGE, World};

#[test]
fn a_host_that_has_the_executable_runs_every_module_by_one_command_each() {
    let Some((host, installed, world)) = setting() else { return };
    let root = host.path(BARE);
    fs::write(root.join(&CA[1..]), world.authorities()).unwrap();
    fs::write(root.join("bin/aap-gateway-manage"), MANAGE).unwrap();
    fs::set_permissions(root.join("bin/aap-gateway-manage"), fs::Permissions::from_mode(0o755)).unwrap();
    put_executable(&host, &installed);
    let tasks = world.tasks();
    let play: Vec<String> = tasks
        .iter()
        .map(|task| {
            let mut options = task.options.clone();
            if task.needs_trust {
                options["ca_path"] = json!(CA);
            }
            task_text(&task.name, &options)
        })
        .collect();
    let results = play_on(&host, &installed, &play);
    for task in &tasks {
        let result = &results[&task.name];
        assert!(result["failed"] != true && result["msg"].is_null(), "{}: {result}", task.name);
    }
    assert_eq!(host.requests(USER), vec!["command"; tasks.len()]);
}

#[test]
fn a_host_that_cannot_take_the_executable_in_is_told_by_what_it_lacks_and_left_alone() {
    let Some((host, installed, world)) = setting() else { return };
    let task = &world.tasks()[0];
    let results = play_on(&host, &installed, &[task_text(&task.name, &task.options)]);
    let result = &results[&task.name];
    assert!(result["failed"] == true && result["unreachable"] != true, "{result}");
    let (name, _) = executable(&installed);
    let told = result["msg"].as_str().unwrap_or_default();
    for words in [
        "The target has no cat, chmod, ls, mkdir, mv and rm, which it takes to put the executable there.",
        "plugins/bin/tokensmith_x86_64",
        &format!("as ~/.cache/tokensmith.redhat/{name}, with mode 0500"),
        "`delegate_to: localhost`",
    ] {
        assert!(told.contains(&words.replace("x86_64", std::env::consts::ARCH)), "{words}: {result}");
    }
    assert_eq!(host.requests(USER), ["command"]);
    assert_eq!(names(&host.path(BARE).join(HOME)), [""; 0]);
}

#[test]
fn a_host_that_does_not_say_what_it_is_is_told_so() {
    let Some((host, installed, world)) = setting() else { return };
    fs::remove_file(host.path(BARE).join("bin/uname")).unwrap();
    let task = &world.tasks()[0];
    let results = play_on(&host, &installed, &[task_text(&task.name, &task.options)]);
    let told = &results[&task.name];
    assert!(
        told["msg"].as_str().is_some_and(|told| told.contains("does not say what it is, as it has no uname")),
        "{told}"
    );
}

/// `None` where there can be no such host.
fn setting() -> Option<(SshHost, Installed, World)> {
    let world = World::new()?;
    let host = SshHost::start(Kind::Bare).unwrap()?;
    Some((host, Installed::on_tools(), world))
}

/// Where a target keeps it, as a target keeps it.
fn put_executable(host: &SshHost, installed: &Installed) {
    let (name, content) = executable(installed);
    let home = host.path(BARE).join(HOME);
    let owner = fs::metadata(&home).unwrap().uid();
    let mut folder = home;
    for part in [".cache", "tokensmith.redhat"] {
        folder.push(part);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&folder, Some(owner), Some(owner)).unwrap();
    }
    let copy = folder.join(name);
    fs::write(&copy, content).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o500)).unwrap();
    chown(&copy, Some(owner), Some(owner)).unwrap();
}

/// The name under which a target keeps it, and itself.
fn executable(installed: &Installed) -> (String, Vec<u8>) {
    let bin = installed.collection().join("plugins/bin");
    let names: Value = serde_json::from_slice(&fs::read(bin.join("names.json")).unwrap()).unwrap();
    let machine = std::env::consts::ARCH;
    let name = names[machine].as_str().unwrap().to_owned();
    (name, fs::read(bin.join(format!("tokensmith_{machine}"))).unwrap())
}

/// What each task resulted in, by the name of its module.
fn play_on(host: &SshHost, installed: &Installed, tasks: &[String]) -> Value {
    let hosts = json!({ "bare": host.login(USER) });
    let (played, kept) = installed.play_on(&hosts, &Nothing, &tasks.concat(), &["-vv"], &[]);
    assert!(kept["bare"].is_object(), "{}", played.printed);
    kept["bare"].clone()
}

fn task_text(module: &str, options: &Value) -> String {
    TASK.replace("MODULE", module).replace("OPTIONS", &options.to_string())
}

/// The tasks say all themselves.
struct Nothing;

impl installed::World for Nothing {
    fn defaults(&self) -> Value {
        json!({})
    }

    fn secrets(&self) -> Value {
        json!({})
    }
}

const USER: &str = "ts-plain";
const HOME: &str = "home/ts-plain";
const TASK: &str = "
    - tokensmith.redhat.MODULE: OPTIONS
      register: result
      ignore_errors: true
      ignore_unreachable: true
    - ansible.builtin.set_fact:
        kept: \"{{ kept | default({}) | combine({'MODULE': result}) }}\"
      no_log: true";
