//! What breaks on the way to a host, and on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_sandbox::link::Link;
use tokensmith_tests::scene::names;

use crate::{CACHE, Stage, Task, is_token, name, name_of};

#[test]
fn a_damaged_executable_is_sent_anew_within_the_task_and_nothing_is_done_twice() {
    let Some(stage) = Stage::new() else { return };
    let mut tasks = vec![Task::token("first")];
    for (what, damage) in DAMAGES {
        let line = format!(
            "cd {CACHE} && f={} && g=$HOME/good && {{ [ -f $g ] || cp $f $g; }} && chmod 700 $f && {damage}",
            name()
        );
        tasks.push(Task::raw(&format!("{what}_is_done"), &line));
        tasks.push(Task::token(what));
    }
    let (kept, printed) = stage.play(&json!({ "host": stage.host.login("ts-plain") }), &tasks, &["-vv"]);
    for (what, _) in DAMAGES {
        assert_eq!(kept["host"][format!("{what}_is_done")]["rc"], 0, "{what}: {kept}");
        assert!(is_token(&kept["host"][what]), "{what}: {}", kept["host"][what]);
    }
    assert!(!printed.contains("is sent with the task"), "{printed}");
    // Each damage is done by a command, met by a second, mended by a third, and the fourth runs the task.
    assert_eq!(stage.host.requests("ts-plain").len(), 3 + 4 * DAMAGES.len());
    assert_eq!(stage.grants(), 1 + DAMAGES.len());
    stage.assert_kept_in(&stage.cache("ts-plain"), "ts-plain");
}

#[test]
fn a_connection_that_is_cut_while_the_executable_is_sent_leaves_nothing_and_the_next_task_works() {
    let Some(stage) = Stage::new() else { return };
    let cuts = [("ts-plain", 40_000), ("ts-other", 400_000), ("ts-asks", 1_200_000), ("ts-sudo", 800_000)];
    let links: Vec<Link> = cuts.iter().map(|_| Link::to(stage.host.address()).unwrap()).collect();
    let hosts: Value = cuts
        .iter()
        .zip(&links)
        .map(|((user, bytes), link)| {
            link.cut_after(*bytes);
            let mut login = stage.host.login_through(link, user);
            // By sudo, for the home of root.
            login["ansible_become"] = (*user == "ts-sudo").into();
            ((*user).to_owned(), login)
        })
        .collect();
    let (kept, printed) = stage.play(&hosts, &[Task::token("cut"), Task::token("next")], &["-vv"]);
    for (user, bytes) in cuts {
        assert_eq!(kept[user]["cut"]["unreachable"], true, "after {bytes}: {kept}");
        assert!(is_token(&kept[user]["next"]), "after {bytes}: {kept} {printed}");
        // The end of a cut upload comes to the host when it comes.
        let (cache, user_there) = match user {
            "ts-sudo" => (stage.host.path("home/root").join(CACHE), "root"),
            _ => (stage.cache(user), user),
        };
        eventually(|| names(&cache).len() == 1);
        stage.assert_kept_in(&cache, user_there);
        // One looked for it, one was cut, and then all three.
        assert_eq!(stage.host.requests(user), ["command"; 2 + 3], "after {bytes}");
    }
    assert_eq!(stage.grants(), cuts.len());
}

#[test]
fn many_tasks_that_send_it_at_once_do_not_meet() {
    let Some(stage) = Stage::new() else { return };
    let link = Link::to(stage.host.address()).unwrap();
    // So long that all have asked before the first one has sent.
    link.set_round_trip(Duration::from_millis(400));
    let login = stage.host.login_through(&link, "ts-plain");
    let hosts: Value =
        ["one", "two", "three", "four"].map(|name| (name.to_owned(), login.clone())).into_iter().collect();
    let (kept, printed) = stage.play(&hosts, &[Task::token("first"), Task::token("second")], &["-vv"]);
    for name in ["one", "two", "three", "four"] {
        assert!(is_token(&kept[name]["first"]) && is_token(&kept[name]["second"]), "{name}: {kept} {printed}");
    }
    assert!(!printed.contains("is sent with the task"), "{printed}");
    stage.assert_kept_in(&stage.cache("ts-plain"), "ts-plain");
}

#[test]
fn a_full_disk_leaves_nothing_and_when_there_is_room_again_the_next_task_works() {
    let Some(stage) = Stage::new() else { return };
    let tasks = [
        Task::token("full"),
        Task::raw("some_room", "rm -f filler && head -c 6M /dev/zero > filler"),
        Task::token("nearly_full"),
        Task::raw("room", "rm filler"),
        Task::token("next"),
        Task::token("last"),
    ];
    let (kept, printed) = stage.play(&json!({ "host": stage.host.login("ts-full") }), &tasks, &["-vv"]);
    for (task, reason) in [("full", "cannot be written to"), ("nearly_full", "is the disk full?")] {
        let result = &kept["host"][task];
        assert!(result["msg"].as_str().is_some_and(|text| text.contains("No space left")), "{task}: {result}");
        assert!(printed.contains(reason), "{printed}");
    }
    assert!(is_token(&kept["host"]["next"]) && is_token(&kept["host"]["last"]), "{kept} {printed}");
    assert_eq!(files(&stage.host.home("ts-full", "")), [stage.cache("ts-full").join(name())]);
}

#[test]
fn what_older_versions_left_is_cleared_away_and_nothing_else() {
    let Some(stage) = Stage::new() else { return };
    let (old, recent) = (name_of(b"old"), name_of(b"recent"));
    let (part, short) = (format!(".{}", "2".repeat(32)), "3".repeat(63));
    let script = format!(
        "mkdir -p {CACHE} && cd {CACHE} && mkdir folder && touch {recent} && touch -d '8 days ago' {old} {part} {short} notes folder folder/{old}"
    );
    assert!(stage.host.shell("ts-plain", &format!("cd && {script}")).status.success());
    let (kept, printed) = stage.play(&json!({ "host": stage.host.login("ts-plain") }), &[Task::token("task")], &[]);
    assert!(is_token(&kept["host"]["task"]), "{kept} {printed}");
    let mut left = [recent, short, name(), "folder".to_owned(), "notes".to_owned()];
    left.sort();
    assert_eq!(names(&stage.cache("ts-plain")), left);
    assert_eq!(names(&stage.cache("ts-plain").join("folder")), [old]);
}

fn eventually(is_so: impl Fn() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(self::files(&entry.path())),
            _ => files.push(entry.path()),
        }
    }
    files
}

/// `$f` is the copy that is kept, and `$g` what it was.
const DAMAGES: [(&str, &str); 15] = [
    ("empty", ": > $f"),
    ("a_header", "head -c 64 $g > $f"),
    ("a_page", "head -c 4096 $g > $f"),
    ("a_half", "head -c 1800000 $g > $f"),
    ("all_but_a_byte", "head -c -1 $g > $f"),
    ("a_byte_more", "echo >> $f"),
    ("another_byte", "{ head -c 1800000 $g; printf '\\377'; tail -c +1800002 $g; } > $f && ! cmp -s $f $g"),
    ("text", "echo hello > $f"),
    ("a_script", "echo echo hello > $f"),
    ("a_script_that_fails", "echo false > $f"),
    ("a_script_with_a_result", "echo \"echo '{\\\"changed\\\": true}'\" > $f"),
    ("a_folder", "rm $f && mkdir $f && touch $f/x"),
    ("a_link", "rm $f && ln -s /bin/echo $f"),
    ("not_executable", "chmod 400 $f"),
    ("gone", "rm $f"),
];
