//! Tasks as another user than the one who comes in.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};
use tokensmith_tests::ssh_hosts::{Kind, SshHost};

use crate::{CACHE, Stage, TOKEN, Task, is_token};

#[test]
fn every_user_whom_a_task_becomes_has_an_executable_of_its_own_and_where_sudo_or_su_take_no_input_it_is_sent() {
    let Some(stage) = Stage::new() else { return };
    let login = |user: &str, more: Value| with(with(stage.host.login(user), json!({ "ansible_become": true })), more);
    let hosts = json!({
        "other": login("ts-sudo", json!({ "ansible_become_user": "ts-other" })),
        "root": login("ts-sudo", json!({})),
        "asks": login("ts-asks", json!({ "ansible_become_password": SshHost::password("ts-asks") })),
        "tty": login("ts-tty", json!({})),
        "su": login("ts-plain", json!({ "ansible_become_method": "su", "ansible_become_password": SshHost::password("root") })),
    });
    let (kept, printed) = stage.play(&hosts, &[handed_over("first"), Task::token("second")], &["-vv"]);
    for (name, user) in [("other", "ts-other"), ("root", "root"), ("asks", "root"), ("tty", "root"), ("su", "root")] {
        assert!(is_token(&kept[name]["second"]), "{name}: {kept} {printed}");
        let owner = fs::metadata(stage.host.path("var/tmp").join(name)).unwrap().uid();
        assert_eq!(owner, stage.uid(user), "{name}");
    }
    // Root's copy may have been there when the second came, or not.
    assert!(
        stage
            .host
            .requests("ts-sudo")
            .iter()
            .chain(&stage.host.requests("ts-asks"))
            .all(|request| request == "command")
    );
    assert!(stage.host.requests("ts-sudo").len() <= 4 + 4 && stage.host.requests("ts-asks").len() <= 4, "{printed}");
    stage.assert_kept_in(&stage.cache("ts-other"), "ts-other");
    stage.assert_kept_in(&stage.host.path("home/root").join(CACHE), "root");
    for user in ["ts-sudo", "ts-asks", "ts-tty", "ts-plain"] {
        assert!(!stage.cache(user).exists(), "{user}");
    }
    assert_eq!(printed.matches("The executable is sent with the task: ").count(), 4, "{printed}");
    for (reason, times) in [("you must have a tty to run sudo", 2), ("become_method su hands no input on", 2)] {
        assert_eq!(printed.matches(reason).count(), times, "{reason}: {printed}");
    }
}

#[test]
fn a_task_on_the_controller_itself_as_another_user_runs_the_copy_which_that_user_keeps() {
    let Some(stage) = Stage::on(Kind::Ordinary) else { return };
    let hosts = json!({ "here": {
        "ansible_connection": "local",
        "ansible_become": true,
        "ansible_become_user": "ts-other",
    } });
    let (kept, printed) = stage.play_inside(&hosts, &[handed_over("first"), Task::token("second")]);
    assert!(is_token(&kept["here"]["second"]), "{kept} {printed}");
    assert!(!printed.contains("is sent with the task"), "{printed}");
    assert_eq!(fs::metadata(stage.host.path("var/tmp/here")).unwrap().uid(), stage.uid("ts-other"));
    stage.assert_kept_in(&stage.cache("ts-other"), "ts-other");
}

fn handed_over(name: &str) -> Task {
    Task::of(name, &format!("{}, dest: '/var/tmp/{{{{ inventory_hostname }}}}'}}", TOKEN.trim_end_matches('}')))
}

fn with(mut variables: Value, more: Value) -> Value {
    if let (Some(variables), Value::Object(more)) = (variables.as_object_mut(), more) {
        variables.extend(more);
    }
    variables
}
