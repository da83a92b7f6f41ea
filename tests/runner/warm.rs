//! The executable is kept on the host: what a task costs there, and what can be seen of it.

use std::env;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_sandbox::link::Link;
use tokensmith_tests::installed::{Installed, find_secrets};
use tokensmith_tests::scene::names;

use crate::{Stage, Task, is_token, name_of};

#[test]
fn a_task_is_one_command_on_a_host_without_python_and_gives_what_the_classic_way_gives() {
    let Some(stage) = Stage::new() else { return };
    let hosts = json!({ "quick": stage.host.login("ts-plain"), "classic": stage.host.login("ts-other") });
    let quick = ["first", "second", "third"].map(Task::token);
    let mut tasks = vec![Task::raw("python", "python3 --version")];
    tasks.extend(quick.into_iter().map(|mut task| {
        task.what +=
            "\n      vars: {tokensmith_path: \"{{ 'classic' if inventory_hostname == 'classic' else 'auto' }}\"}";
        task
    }));
    let (kept, printed) = stage.play(&hosts, &tasks, &["-vvvv"]);
    assert_eq!(kept["quick"]["python"]["failed"], true, "{printed}");
    for task in ["first", "second", "third"] {
        let (quick, classic) = (&kept["quick"][task], &kept["classic"][task]);
        assert!(is_token(quick) && is_token(classic), "{task}: {quick} {printed}");
        assert_eq!(keys(quick), keys(classic));
        for key in ["changed", "failed", "refreshed", "client_id", "scope", "token_type", "warnings"] {
            assert_eq!(quick[key], classic[key], "{key}");
        }
    }
    // The look for Python has a terminal. Three bring the executable there and run it, then there is one for each task.
    let requests = stage.host.requests("ts-plain");
    assert!(requests[0].starts_with("command on "), "{requests:?}");
    assert_eq!(requests[1..], ["command"; 3 + 1 + 1], "{printed}");
    assert!(stage.host.requests("ts-other").len() > 4 * 3, "the classic way takes more");
    stage.assert_kept_in(&stage.cache("ts-plain"), "ts-plain");
    assert_eq!(names(&stage.host.home("ts-plain", "")), [".cache"], "nothing else is left in the home");
    assert!(!printed.contains("is sent with the task"), "{printed}");

    let mut secrets = vec![Installed::ACCOUNT_SECRET.to_owned()];
    let results = kept.as_object().unwrap().values().flat_map(|host| host.as_object().unwrap().values());
    secrets.extend(results.filter_map(|result| result["access_token"].as_str()).map(str::to_owned));
    assert_eq!(secrets.len(), 1 + 6);
    for (place, text) in stage.installed.everything_shown() {
        assert_eq!(find_secrets(&text, &secrets), Vec::<usize>::new(), "in {place}: {text}");
    }
}

#[test]
fn a_running_task_shows_nothing_on_its_host_and_is_not_started_again_when_the_connection_is_cut() {
    let Some(stage) = Stage::new() else { return };
    let link = Link::to(stage.host.address()).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/auth/realms/held/protocol/openid-connect/token", listener.local_addr().unwrap());
    let held = format!(
        "tokensmith.redhat.sso_token: {{token_url: '{url}', client_id: '{{{{ account }}}}', client_secret: '{{{{ account_secret }}}}'}}"
    );
    let hosts = json!({ "cut": stage.host.login_through(&link, "ts-plain") });
    let tasks = [Task::token("before"), Task::of("cut", &held), Task::token("after")];
    let is_over = AtomicBool::new(false);
    let (kept, seen, requests) = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let request = accept(&listener, &is_over).expect("the task asks for a token");
            let seen = everything_on(&stage.host.path("/"));
            link.cut();
            // All that come, until the play is over.
            let again = std::iter::from_fn(|| accept(&listener, &is_over)).count();
            drop(request);
            (seen, 1 + again)
        });
        let (kept, _) = stage.play(&hosts, &tasks, &[]);
        is_over.store(true, Ordering::Relaxed);
        let (seen, requests) = watch.join().unwrap();
        (kept, seen, requests)
    });
    assert!(is_token(&kept["cut"]["before"]) && is_token(&kept["cut"]["after"]), "{kept}");
    assert_eq!(kept["cut"]["cut"]["unreachable"], true, "{kept}");
    assert_eq!(requests, 1);
    let running = seen.iter().any(|(name, text)| name.ends_with("/cmdline") && text.contains(&crate::name()));
    assert!(running, "the executable is among the processes that were looked at");
    for (name, text) in seen {
        assert_eq!(find_secrets(&text, &[Installed::ACCOUNT_SECRET.to_owned()]), Vec::<usize>::new(), "in {name}");
    }
}

#[test]
fn a_crash_on_a_host_shows_nothing_of_what_was_printed() {
    let Some(stage) = Stage::new() else { return };
    let bin = stage.installed.collection().join("plugins/bin");
    let executable = format!("tokensmith_{}", env::consts::ARCH);
    fs::copy(env!("CARGO_BIN_EXE_stand-in"), bin.join(&executable)).unwrap();
    let name = name_of(&fs::read(bin.join(&executable)).unwrap());
    fs::write(bin.join("names.json"), json!({ env::consts::ARCH: name }).to_string()).unwrap();
    let hosts = json!({ "host": stage.host.login("ts-plain") });
    let ask = |what: &str| format!("tokensmith.redhat.sso_token: {{offline_token: {what}}}");
    let tasks = [Task::of("crash", &ask("crash")), Task::of("returned", &ask("return"))];
    let (kept, printed) = stage.play(&hosts, &tasks, &["-vvvv"]);
    let crash = &kept["host"]["crash"];
    assert_eq!(crash["msg"], "The executable ended with status 101 and without a result.", "{printed}");
    assert!(!crash.to_string().contains(STAND_INS_SECRET), "{crash}");
    assert_eq!(kept["host"]["returned"]["access_token"], STAND_INS_SECRET);
    for (place, text) in stage.installed.everything_shown() {
        assert_eq!(find_secrets(&text, &[STAND_INS_SECRET.to_owned()]), Vec::<usize>::new(), "in {place}: {text}");
    }
    // The crashed copy is gone, as it might be damaged, and was sent again for the second task.
    assert_eq!(stage.host.requests("ts-plain"), ["command"; 3 + 3]);
}

/// The next connection, with its request read; `None` when the play is over.
fn accept(listener: &TcpListener, is_over: &AtomicBool) -> Option<TcpStream> {
    listener.set_nonblocking(true).unwrap();
    loop {
        if let Ok((mut stream, _)) = listener.accept() {
            stream.set_nonblocking(false).unwrap();
            let mut request = Vec::new();
            while !find_secrets(&String::from_utf8_lossy(&request), &[Installed::ACCOUNT_SECRET.to_owned()])
                .contains(&0)
            {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            return Some(stream);
        }
        if is_over.load(Ordering::Relaxed) {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What all processes were called with, their environments, and every file where a user might write.
fn everything_on(root: &Path) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for process in fs::read_dir(root.join("proc")).unwrap().flatten() {
        for name in ["cmdline", "environ"] {
            add(&process.path().join(name), &mut seen);
        }
    }
    for folder in ["home", "var/tmp", "run"] {
        add_all(&root.join(folder), &mut seen);
    }
    seen
}

fn add_all(folder: &Path, seen: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => add_all(&entry.path(), seen),
            Ok(kind) if kind.is_file() => add(&entry.path(), seen),
            _ => {}
        }
    }
}

fn add(file: &Path, seen: &mut Vec<(String, String)>) {
    if let Ok(content) = fs::read(file) {
        seen.push((file.display().to_string(), String::from_utf8_lossy(&content).into_owned()));
    }
}

fn keys(result: &Value) -> Vec<&String> {
    let mut keys: Vec<&String> = result.as_object().unwrap().keys().collect();
    keys.sort();
    keys
}

const STAND_INS_SECRET: &str = "this-is-top-secret";
