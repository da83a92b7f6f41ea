//! The protocol: whatever happens, one JSON object on standard output, nothing on standard error, and the right exit status.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tokensmith_tests::executable::{self, Run};
use tokensmith_tests::scene::Scene;

#[test]
fn broken_arguments_are_one_failing_result_that_repeats_nothing_of_them() {
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let cases: [(&str, &[u8], &str); 17] = [
        ("empty", b"", "not a JSON object"),
        ("white space", b" \n", "not a JSON object"),
        ("truncated in a text", br#"{"offline_token": "hunter2"#, "not a JSON object"),
        ("truncated after a member", br#"{"offline_token": "hunter2","#, "not a JSON object"),
        ("truncated in a nested list", br#"{"scope": ["hunter2", "#, "not a JSON object"),
        ("not JSON", b"offline_token=hunter2", "not a JSON object"),
        ("Python", b"{'offline_token': 'hunter2'}", "not a JSON object"),
        ("a list", br#"["hunter2"]"#, "not a JSON object"),
        ("a text", br#""hunter2""#, "not a JSON object"),
        ("null", b"null", "not a JSON object"),
        ("not a number", br#"{"request_timeout": NaN, "offline_token": "hunter2"}"#, "not a JSON object"),
        ("two documents", br#"{"offline_token": "hunter2"} {}"#, "not a JSON object"),
        ("invalid UTF-8", b"{\"offline_token\": \"hunter2\xff\"}", "not UTF-8 text"),
        ("UTF-16", b"\xff\xfe{\0}\0", "not UTF-8 text"),
        ("a lone surrogate", br#"{"offline_token": "hunter2\ud800"}"#, "is not Unicode text"),
        ("a lone surrogate in a name", br#"{"hunter2\udcff": 1}"#, "is not Unicode text"),
        ("nested without end", deep.as_bytes(), "nested deeper than"),
    ];
    for (case, arguments, sentence) in cases {
        for (way, run) in both_ways(arguments) {
            assert!(run.failed() && run.message().contains(sentence), "{case}, {way}: {run}");
            assert!(!run.stdout.contains("hunter2"), "{case}, {way}: {run}");
        }
    }
}

#[test]
fn an_arguments_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, circle) = (folder.path().join("file"), folder.path().join("circle"));
    fs::write(&file, "{}").unwrap();
    symlink(&circle, &circle).unwrap();
    let cases = [
        (folder.path().join("missing"), "(os error 2)"),
        (folder.path().to_owned(), "(os error 21)"),
        (file.join("below"), "(os error 20)"),
        (circle, "(os error 40)"),
        (PathBuf::from("/proc/self/mem"), "(os error 5)"),
    ];
    for (path, why) in cases {
        let run = Run::from_output(&executable::command_line([&path]));
        assert!(run.failed() && run.message().contains(why), "{run}");
        assert!(run.message().contains(&format!("the arguments file {}", path.display())), "{run}");
    }
}

#[test]
fn an_arguments_file_of_somebody_else_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.path().join("arguments");
    fs::write(&file, "{}").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let program = copy_of_the_executable(folder.path(), "tokensmith");
    let mut command = Command::new(program);
    if fs::read(&file).is_ok() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let run = Run::from_output(&executable::run_with_input(command.arg(&file), b""));
    assert!(run.failed() && run.message().contains("Permission denied"), "{run}");
}

#[test]
fn closed_standard_input_is_empty_standard_input() {
    let output = shell("exec \"$0\" - <&-");
    let run = Run::from_output(&output);
    assert!(run.failed() && run.message().contains("not a JSON object"), "{run}");
}

#[test]
fn an_output_that_takes_nothing_is_no_reason_to_die_loudly_but_the_exit_status_tells() {
    let version = ["--version"].as_slice();
    for (case, words) in [("a result", ["-"].as_slice()), ("the version", version)] {
        for (output, gone) in [("a reader that has gone", reader_gone()), ("a full disk", full_disk())] {
            let mut child = executable::command()
                .args(words)
                .stdin(Stdio::piped())
                .stdout(gone)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let _may_not_be_read = child.stdin.take().unwrap().write_all(SUCCEEDING.as_bytes());
            let ended = child.wait_with_output().unwrap();
            assert_eq!(ended.status.signal(), None, "{case}, {output}");
            assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{case}, {output}");
            if words != version {
                assert_eq!(ended.status.code(), Some(1), "{case}, {output}: nobody got the result");
            }
        }
    }
}

#[test]
fn closed_standard_output_and_error_are_survived() {
    for redirection in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let ended = shell(&format!("exec \"$0\" - {redirection}"));
        assert_eq!(ended.status.code(), Some(1), "{redirection}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{redirection}");
    }
}

#[test]
fn a_panic_is_one_result_without_its_text() {
    for way in ["text", "unwrap", "slice", "payload", "thread", "after a warning"] {
        let arguments = json!({ "_ansible_module_name": "panics", "way": way, "secret": "hunter2-hunter2" });
        let run = Run::from_output(&executable::run_with_input(
            Command::new(PANICS).arg("-"),
            arguments.to_string().as_bytes(),
        ));
        assert!(run.failed() && !run.changed(), "{way}: {run}");
        assert!(run.message().starts_with("This is a mistake in tokensmith"), "{way}: {run}");
        assert!(run.message().contains("panics.rs:") && run.message().contains("please report it"), "{way}: {run}");
        assert!(!run.stdout.contains("hunter2") && !run.stdout.contains("is wrong"), "{way}: {run}");
    }
}

#[test]
fn the_module_that_panics_can_do_without() {
    let arguments = json!({ "_ansible_module_name": "panics", "way": "none", "secret": "hunter2-hunter2" });
    let run =
        Run::from_output(&executable::run_with_input(Command::new(PANICS).arg("-"), arguments.to_string().as_bytes()));
    assert_eq!(run.succeeded().text("token"), "hunter2-hunter2");
}

#[test]
fn the_module_is_found_by_our_key_then_by_the_engines_name_then_by_the_programs() {
    let folder = tempfile::tempdir().unwrap();
    let plain = copy_of_the_executable(folder.path(), "tokensmith_x86_64");
    let copied = copy_of_the_executable(folder.path(), "AnsiballZ_sso_token");
    let linked = folder.path().join("sso_token");
    symlink(&plain, &linked).unwrap();
    let found = "one of the following is required";
    let all = modules().join(", ");
    let unsaid = format!("do not say which module to run. This executable holds: {all}.");
    let unknown = format!("no module other. This executable holds: {all}.");
    let cases: [(&Path, Value, &str); 12] = [
        (&plain, json!({ "_tokensmith_module": "sso_token" }), found),
        (
            &plain,
            json!({ "_tokensmith_module": "sso_token", "_ansible_module_name": "tokensmith.redhat.other" }),
            found,
        ),
        (&plain, json!({ "_ansible_module_name": "tokensmith.redhat.sso_token" }), found),
        (&plain, json!({ "_ansible_module_name": "sso_token" }), found),
        (&plain, json!({ "_tokensmith_module": 5, "_ansible_module_name": "sso_token" }), found),
        (&copied, json!({}), found),
        (&copied, json!({ "_ansible_module_name": "tokensmith.redhat.native.tokensmith_x86_64" }), found),
        (&linked, json!({}), found),
        (&plain, json!({}), &unsaid),
        (&plain, json!({ "_ansible_module_name": "a.b.other" }), &unsaid),
        (&plain, json!({ "_tokensmith_module": "other" }), &unknown),
        (
            &copied,
            json!({ "_tokensmith_module": "other", "_ansible_module_name": "tokensmith.redhat.sso_token" }),
            &unknown,
        ),
    ];
    for (program, arguments, sentence) in cases {
        let output =
            executable::run_with_input(Command::new(program).env_clear().arg("-"), arguments.to_string().as_bytes());
        let run = Run::from_output(&output);
        assert!(run.failed() && run.message().contains(sentence), "{} {arguments}: {run}", program.display());
    }
}

#[test]
fn what_the_engine_says_is_no_option_however_new() {
    let run = executable::module(
        "sso_token",
        &json!({
            "_ansible_verbosity": 4, "_ansible_no_log": false, "_ansible_syslog_facility": "LOG_USER", "_ansible_socket": null,
            "_ansible_remote_tmp": "~/.ansible/tmp", "_ansible_keep_remote_files": true, "_ansible_selinux_special_fs": ["nfs"],
            "_ansible_tracebacks_for": ["error"], "_ansible_of_tomorrow": { "deep": [1] }, "_ansible_": 0
        }),
    );
    assert!(run.message().starts_with("one of the following is required"), "{run}");
    assert!(!run.stdout.contains("_ansible_"), "{run}");
}

#[test]
fn the_invocation_is_there_without_secrets_unless_the_engine_wants_none() {
    for (wanted, there) in [(None, true), (Some(true), true), (Some(false), false)] {
        let mut arguments = json!({ "client_id": "an-id", "client_secret": "hunter2-hunter2", "state": "absent" });
        if let Some(wanted) = wanted {
            arguments["_ansible_inject_invocation"] = wanted.into();
        }
        let run = executable::module("sso_token", &arguments);
        assert!(run.failed() && !run.stdout.contains("hunter2"), "{run}");
        assert_eq!(run.result.get("invocation").is_some(), there, "{wanted:?}: {run}");
        if there {
            let arguments = &run.result["invocation"]["module_args"];
            assert_eq!(arguments["client_secret"], "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER");
            assert_eq!((&arguments["client_id"], &arguments["state"]), (&json!("an-id"), &json!("absent")));
        }
    }
}

#[test]
fn a_number_of_thirty_digits_keeps_them() {
    let scene = Scene::new();
    let digits = "123456789012345678901234567890";
    let options =
        scene.options(json!({ "client_id": 0, "client_secret": "hunter2", "_tokensmith_module": "sso_token" }));
    let arguments = options.to_string().replace("\"client_id\":0", &format!("\"client_id\":{digits}"));
    assert!(arguments.contains(digits));
    let run = Run::from_output(&executable::run_with_input(executable::command().arg("-"), arguments.as_bytes()));
    assert!(run.failed(), "there is no such client: {run}");
    assert_eq!(run.result["invocation"]["module_args"]["client_id"], digits);
    assert_eq!(scene.sandbox.records().to("/token")[0].parameter("client_id"), Some(digits));
}

#[test]
fn check_mode_and_diff_are_what_the_engine_says() {
    for (check, diff) in [(false, false), (true, false), (false, true), (true, true)] {
        let scene = Scene::new();
        let dest = scene.path("access");
        let run = scene
            .sso_token(json!({
                "offline_token": scene.offline_token(), "dest": dest, "_ansible_check_mode": check, "_ansible_diff": diff
            }))
            .succeeded();
        assert!(run.changed(), "{run}");
        assert_eq!(run.result.get("diff").is_some(), diff, "check mode {check}: {run}");
        assert_eq!(dest.exists(), !check, "{run}");
        assert_eq!(scene.sandbox.records().all().is_empty(), check, "{run}");
    }
}

#[test]
fn arguments_of_ten_megabytes_are_arguments() {
    let scene = Scene::new();
    let filler = "é\"x ".repeat(2_000_000);
    let arguments = scene.options(
        json!({ "offline_token": scene.offline_token(), "_tokensmith_module": "sso_token", "_ansible_filler": filler }),
    );
    for (way, run) in both_ways(arguments.to_string().as_bytes()) {
        assert!(!run.failed() && run.stdout.len() < 100_000, "{way}");
    }
    let long = "hunter2.".repeat(1_250_000);
    let run = scene.sso_token(
        json!({ "offline_token": long, "token_url": "http://127.0.0.1:1/realms/x/protocol/openid-connect/token" }),
    );
    assert!(run.failed() && !run.stdout.contains("hunter2"), "{}", run.message());
}

#[test]
fn help_and_version_are_on_standard_output() {
    let list = format!("Modules:\n  {}", modules()[0]);
    let cases: [(&[&str], &str); 5] = [
        (&["--help"], &list),
        (&["help"], &list),
        (&["--version"], concat!("tokensmith ", env!("CARGO_PKG_VERSION"))),
        (&["sso_token", "--help"], "--offline-token-file <PATH>"),
        (&["sso_token", "-h"], "--check"),
    ];
    for (words, text) in cases {
        let output = executable::command_line(words);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains(text), "{words:?}: {stdout}");
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{words:?}"
        );
    }
}

#[test]
fn wrong_usage_is_told_on_standard_error() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "Usage: tokensmith"),
        (&["other_module", "--check"], "'other_module'"),
        (&["--nonsense"], "'--nonsense'"),
        (&["sso_token", "--nonsense"], "'--nonsense'"),
        (&["sso_token", "--state", "rotated"], "[possible values: present, absent]"),
        (&["sso_token", "--dest"], "a value is required"),
        // Everybody on a host can read command lines, so secrets have no flag.
        (&["sso_token", "--offline-token", "hunter2"], "'--offline-token'"),
        (&["sso_token", "--client-secret=hunter2"], "'--client-secret'"),
    ];
    for (words, text) in cases {
        let output = executable::command_line(words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains(text) && stderr.contains("Usage: ") || stderr.contains("--help"),
            "{words:?}: {stderr}"
        );
        assert!(stderr.contains(text), "{words:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{words:?}: {stderr}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{words:?}: {stderr}");
    }
}

#[test]
fn a_command_takes_its_secret_from_standard_input_or_a_file() {
    let scene = Scene::new();
    let secret_file = scene.file("secret", "s3cret-from-a-file\n");
    let token_url = scene.realm.token_url();
    for (source, input, sent) in
        [("-", "s3cret-from-input\n", "s3cret-from-input"), (secret_file.to_str().unwrap(), "", "s3cret-from-a-file")]
    {
        scene.sandbox.records().clear();
        let output = executable::run_with_input(
            executable::command()
                .args(["sso_token", "--client-id", "nobody", "--client-secret-file", source, "--token-url", &token_url])
                .args(["--use-proxy=false", "--ca-path"])
                .arg(scene.sandbox.ca_path()),
            input.as_bytes(),
        );
        let run = Run::from_output(&output);
        assert!(run.message().contains("check client_id") && !run.stdout.contains("s3cret"), "{run}");
        assert_eq!(scene.sandbox.records().to("/token")[0].parameter("client_secret"), Some(sent));
    }
}

#[test]
fn a_secret_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let words = ["sso_token", "--client-id", "c", "--client-secret-file", missing.to_str().unwrap()];
    let run = Run::from_output(&executable::command_line(words));
    assert!(run.failed() && run.message().contains(&format!("{} cannot be read", missing.display())), "{run}");
    let binary = Run::from_output(&executable::run_with_input(
        executable::command().args(["sso_token", "--client-id", "c", "--client-secret-file", "-"]),
        b"hunter2\xff",
    ));
    assert!(binary.failed() && binary.message().contains("Standard input cannot be read"), "{binary}");
    assert!(!binary.stdout.contains("hunter2"), "{binary}");
}

/// Runs the executable with these bytes in a file, and on standard input.
fn both_ways(arguments: &[u8]) -> [(&'static str, Run); 2] {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("arguments");
    fs::write(&file, arguments).unwrap();
    [
        ("file", Run::from_output(&executable::command_line([file]))),
        ("standard input", Run::from_output(&executable::run_with_input(executable::command().arg("-"), arguments))),
    ]
}

/// Runs a shell line in which `$0` is the executable. What it says on standard output and error is caught.
fn shell(line: &str) -> Output {
    let mut command = Command::new("sh");
    executable::run_with_input(command.arg("-c").arg(line).arg(executable::path()), b"")
}

fn reader_gone() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// The names of all modules, sorted.
fn modules() -> Vec<String> {
    tokensmith_documentation::names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules")).unwrap()
}

fn copy_of_the_executable(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::copy(executable::path(), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const NOBODY: u32 = 65534;
/// Arguments of a run that succeeds without a server.
const SUCCEEDING: &str = r#"{"_tokensmith_module": "sso_token", "_ansible_check_mode": true, "state": "absent", "offline_token_file": "/there-is-none"}"#;
const PANICS: &str = env!("CARGO_BIN_EXE_panics");
