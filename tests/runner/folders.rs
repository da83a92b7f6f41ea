//! Where an executable can be kept, and where not.

use std::fs;

use serde_json::{Value, json};
use tokensmith_tests::scene::names;

use crate::{CACHE, Stage, Task, is_token};

#[test]
fn a_folder_that_is_not_fit_is_not_used_and_the_next_one_is() {
    let Some(stage) = Stage::new() else { return };
    for (user, script) in [
        ("ts-plain", "mkdir elsewhere && ln -s elsewhere .cache"),
        ("ts-asks", "mkdir -p elsewhere .cache && ln -s ../elsewhere .cache/tokensmith.redhat"),
        ("ts-sudo", "mkdir .cache && chmod 777 .cache"),
        ("root", "mkdir -p ~ts-other/.cache/tokensmith.redhat && chown ts-other ~ts-other/.cache"),
        ("root", "for u in noexec readonly full homeless; do mkdir -m 700 /var/tmp/$u; chown ts-$u /var/tmp/$u; done"),
    ] {
        let output = stage.host.shell(user, &format!("cd ~{user} && {script}"));
        assert!(output.status.success(), "{script}: {output:?}");
    }
    let mut hosts = json!({});
    for user in ["plain", "asks", "sudo", "other", "noisy"] {
        hosts[user] = stage.host.login(&format!("ts-{user}"));
    }
    for user in ["noexec", "readonly", "full", "homeless"] {
        hosts[user] = stage.host.login(&format!("ts-{user}"));
        hosts[user]["ansible_remote_tmp"] = format!("/var/tmp/{user}").into();
    }
    let (kept, printed) = stage.play(&hosts, &[Task::token("first"), Task::token("second")], &["-vv"]);
    for (name, results) in kept.as_object().unwrap() {
        assert!(is_token(&results["first"]) && is_token(&results["second"]), "{name}: {results} {printed}");
        assert_eq!(stage.host.requests(&format!("ts-{name}")), ["command"; 3 + 1], "{name}");
        let user = format!("ts-{name}");
        match name.as_str() {
            "noisy" => stage.assert_kept_in(&stage.cache(&user), &user),
            "noexec" | "readonly" | "full" | "homeless" => {
                stage.assert_kept_in(&stage.host.path("var/tmp").join(name).join("tokensmith.redhat"), &user);
            }
            _ => stage.assert_kept_in(&stage.host.home(&user, ".ansible/tmp/tokensmith.redhat"), &user),
        }
    }
    assert!(!printed.contains("is sent with the task"), "{printed}");
    for (user, folder) in [("ts-plain", "elsewhere"), ("ts-asks", "elsewhere"), ("ts-other", CACHE)] {
        assert_eq!(names(&stage.host.home(user, folder)), [""; 0], "{user}");
    }
}

#[test]
fn where_no_folder_is_fit_the_task_goes_the_classic_way_and_says_why() {
    let Some(stage) = Stage::new() else { return };
    let output = stage.host.shell("root", "cd /home/ts-plain && mkdir .cache && chown ts-plain .cache && mkdir -p .ansible/tmp/tokensmith.redhat .cache/tokensmith.redhat && chown ts-plain .ansible .ansible/tmp");
    assert!(output.status.success(), "{output:?}");
    let users = ["plain", "noexec", "readonly", "homeless"];
    let hosts: Value = users.iter().map(|user| ((*user).to_owned(), stage.host.login(&format!("ts-{user}")))).collect();
    let (kept, printed) = stage.play(&hosts, &[Task::token("task")], &["-vv"]);
    let reasons = [
        ("plain", "/home/ts-plain/.cache/tokensmith.redhat: belongs to another user;"),
        ("noexec", "/home/ts-noexec/.ansible/tmp/tokensmith.redhat: no program can be run there (noexec);"),
        ("readonly", "/home/ts-readonly/.cache: the home does not exist or is not the own one;"),
        ("homeless", "/home/ts-homeless/.ansible/tmp: the home does not exist or is not the own one;"),
    ];
    for (name, reason) in reasons {
        let line = printed.lines().find(|line| line.contains(reason)).unwrap_or_else(|| panic!("{reason}: {printed}"));
        assert!(line.contains("The executable is sent with the task: no folder is fit to keep it: "), "{line}");
        assert_eq!(is_token(&kept[name]["task"]), name == "plain", "{kept}");
    }
    let message = kept["noexec"]["task"]["msg"].as_str().unwrap();
    assert!(message.contains("ermission denied") && message.contains("ansible_remote_tmp"), "{message}");
    for name in ["readonly", "homeless"] {
        assert_eq!(kept[name]["task"]["unreachable"], true, "Ansible has no folder for its files either: {kept}");
    }
}

#[test]
fn a_folder_that_everybody_may_write_to_meanwhile_is_left() {
    let Some(stage) = Stage::new() else { return };
    let tasks =
        [Task::token("first"), Task::raw("opened", "chmod 777 .cache"), Task::token("second"), Task::token("third")];
    let (kept, printed) = stage.play(&json!({ "host": stage.host.login("ts-plain") }), &tasks, &["-vv"]);
    for task in ["first", "second", "third"] {
        assert!(is_token(&kept["host"][task]), "{task}: {kept} {printed}");
    }
    assert_eq!(stage.grants(), 3);
    assert_eq!(names(&stage.cache("ts-plain")), [""; 0]);
    stage.assert_kept_in(&stage.host.home("ts-plain", ".ansible/tmp/tokensmith.redhat"), "ts-plain");
}

#[test]
fn files_that_are_to_stay_on_the_host_are_sent_there() {
    let Some(stage) = Stage::new() else { return };
    let hosts = json!({ "host": stage.host.login("ts-plain") });
    let keep = [("ANSIBLE_KEEP_REMOTE_FILES", "1")];
    let (kept, printed) = stage.play_with(&hosts, &[Task::token("task")], &["-vv"], &keep);
    assert!(is_token(&kept["host"]["task"]), "{kept} {printed}");
    assert!(printed.contains("The executable is sent with the task: ANSIBLE_KEEP_REMOTE_FILES"), "{printed}");
    let folder = stage.host.home("ts-plain", ".ansible/tmp");
    let kept_folder = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!(names(&kept_folder).len(), 2, "the executable and its arguments");
    assert!(!stage.cache("ts-plain").exists());
}
