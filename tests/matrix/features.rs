//! What is to come of each task of `play.yml`: what really is, and what is to be.

use serde_json::{Value, json};

use super::run::{ODD, Seen, Way};

type Check = fn(&Seen) -> (Value, Value);

/// Each by what a user writes into a playbook.
pub const FEATURES: &[(&str, Check)] = &[
    ("`environment` of a task, with quotes, blanks and `$` in it", |seen| {
        (json!(seen.is_access_token(&seen.place(&format!("{ODD}/token")))), json!(true))
    }),
    ("`environment` of a play", |seen| (json!(seen.is_access_token(&seen.place("of the play/token"))), json!(true))),
    ("`become`", |seen| {
        let file = format!("/home/become-{}", seen.name());
        (json!([seen.owner(&file), seen.is_gateway_token(&file)]), json!([ROOT, true]))
    }),
    ("`become_user`", |seen| {
        let file = format!("/home/ts-other/become-user-{}", seen.name());
        (json!([seen.owner(&file), seen.file(&file)]), json!([OTHER, seen.robot_token("become-user")]))
    }),
    ("`delegate_to`", |seen| {
        let name = format!("delegated-{}", seen.name());
        let (there, here) = (format!("/home/ts-sudo/{name}"), format!("/home/ts-plain/{name}"));
        let token = seen.file(&there).is_some_and(|text| text == seen.hub_token());
        (json!([seen.owner(&there), token, seen.file(&here)]), json!([SUDO, true, null]))
    }),
    ("`run_once`", |seen| {
        let fingerprints =
            [seen.near("run_once_result"), seen.far("run_once_result")].map(|result| &result["fingerprint"]);
        (
            json!([seen.regenerations("once"), fingerprints[0] == fingerprints[1], fingerprints[0].is_string()]),
            json!([1, true, true]),
        )
    }),
    ("`loop`, `loop_control.label`", |seen| {
        let results = &seen.near("loop_result")["results"];
        (
            json!([
                results[0]["robot"],
                results[1]["robot"],
                files(seen, ["one", "two"]),
                seen.shows("=> (item=robot number two)")
            ]),
            json!(["acme+one", "acme+two", tokens(seen, ["one", "two"]), true]),
        )
    }),
    ("`check_mode`", |seen| {
        let result = seen.near("check_mode_result");
        (
            json!([
                result["changed"],
                result["reason"],
                seen.regenerations("checked"),
                seen.file(&seen.place("checked"))
            ]),
            json!([true, "forced", 0, null]),
        )
    }),
    ("`diff`", |seen| {
        let result = seen.near("diff_result");
        let fingerprint = result["fingerprint"].as_str().unwrap_or("none");
        let forecast = result["diff"]["after"].to_string().contains(fingerprint);
        (
            json!([forecast, seen.shows("+++ after"), seen.is_gateway_token(&seen.place("diff"))]),
            json!([true, true, true]),
        )
    }),
    ("`module_defaults` for `group/tokensmith.redhat.all` and `.sso`", |seen| {
        let token = seen.near("module_defaults_result")["access_token"].as_str().unwrap_or("none");
        (json!(seen.access_token_works(token)), json!(true))
    }),
    ("`!vault` inline", |seen| (json!(seen.is_access_token(&seen.place("vaulted_inline"))), json!(true))),
    ("a vaulted file in `vars_files`", |seen| {
        (json!(seen.is_access_token(&seen.place("vaulted_in_file"))), json!(true))
    }),
    ("`no_log: true`", |seen| {
        (
            json!([files(seen, ["hidden-one"]), seen.shows("acme+hidden-one"), seen.near("no_log_result")["robot"]]),
            json!([[seen.robot_token("hidden-one")], false, "acme+hidden-one"]),
        )
    }),
    ("`no_log` by template, in a loop", |seen| {
        (
            json!([files(seen, ["shown", "hidden-two"]), seen.shows("acme+shown"), seen.shows("acme+hidden-two")]),
            json!([tokens(seen, ["shown", "hidden-two"]), true, false]),
        )
    }),
    ("a token in the result: registered, and not shown", |seen| {
        let results = &seen.near("secrets_result")["results"];
        let token = results[0]["token"].as_str().unwrap_or("none");
        (json!([seen.gateway_token_works(token), seen.shows(token), results[1]["failed"]]), json!([true, false, true]))
    }),
    ("`throttle`", |seen| {
        let found = ["ran-ts-sudo", "ran-ts-plain", "together"].map(|name| seen.file(&seen.crowd(name)).is_some());
        (json!(found), json!([true, true, false]))
    }),
    ("`ansible_remote_tmp`", |seen| {
        let folder = format!("/var/tmp/remote-tmp-{}", seen.name());
        let token = seen.is_gateway_token(&format!("/home/ts-noexec/remote-tmp-{}", seen.name()));
        let is_kept = seen.owner(&format!("{folder}/tokensmith.redhat")).is_some();
        (json!([token, seen.owner(&folder), is_kept]), json!([true, NOEXEC, seen.way().keeps()]))
    }),
    ("`ANSIBLE_KEEP_REMOTE_FILES=1`", |seen| {
        let (kept, says) = seen.kept_files();
        let is_token = seen.is_access_token(&seen.place("kept_files"));
        (json!([is_token, kept, says]), json!([true, ["AnsiballZ_tokensmith", "args"], seen.way() != Way::Classic]))
    }),
    ("`async`, `poll`", |seen| {
        let result = seen.near("async_result");
        (
            json!([
                seen.is_access_token(&seen.place("async")),
                result["ansible_job_id"].is_string(),
                result["changed"]
            ]),
            json!([true, true, true]),
        )
    }),
    ("`until`, `retries`", |seen| {
        let result = seen.near("until_result");
        (
            json!([result["attempts"], result["reason"], seen.file(&seen.place("until"))]),
            json!([2, "valid", seen.robot_token("until")]),
        )
    }),
    ("`register`, `failed_when`", |seen| {
        let [failed, not_failed] = ["failed_when_result", "never_failed_result"].map(|name| seen.near(name));
        let says = not_failed["msg"].as_str().unwrap_or_default().contains("no_such_option");
        (
            json!([
                failed["failed"],
                failed["failed_when_result"],
                seen.live_tokens("failed_when"),
                not_failed["failed"],
                says
            ]),
            json!([true, true, 1, false, true]),
        )
    }),
    ("`ignore_unreachable`", |seen| (seen.near("unreachable_result")["unreachable"].clone(), json!(true))),
    ("arguments as `key=value`", |seen| {
        let file = seen.place("free form");
        (json!([seen.mode(&file), seen.file(&file)]), json!([0o640, seen.robot_token("free")]))
    }),
];

/// Robots whose names play.yml has, in the organization `acme`.
pub const ROBOTS: [&str; 10] =
    ["become-user", "one", "two", "checked", "hidden-one", "shown", "hidden-two", "until", "free", "once"];

fn files<const N: usize>(seen: &Seen, names: [&str; N]) -> [Value; N] {
    names.map(|name| json!(seen.file(&seen.place(name))))
}

fn tokens<const N: usize>(seen: &Seen, robots: [&str; N]) -> [Value; N] {
    robots.map(|robot| json!(seen.robot_token(robot)))
}

/// The users of the host by their numbers.
const ROOT: u32 = 0;
const SUDO: u32 = 64102;
const NOEXEC: u32 = 64107;
const OTHER: u32 = 64110;
