//! What becomes of the inputs of a credential that is written to: every row of the controller's table.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_sandbox::Fault;
use tokensmith_sandbox::controller::{Moment, OtherWriter};

use crate::platform::{Answer, Platform};

#[test]
fn with_all_keys_sent_only_the_new_value_changes() {
    let scene = Scene::start();
    let before = scene.stored();
    let shown = scene.get().json()["inputs"].clone();
    let expected = json!({ "url": URL, "note": "n1", "token": MASK, "second": MASK, "verify": true });
    assert_eq!(shown, expected, "what is stored is masked, and an empty secret is not there");
    let answer = scene.patch(&json!({ "description": "new", "inputs": with(&shown, "token", json!("NEW")) }));
    assert_eq!((answer.status, &answer.json()["inputs"]), (200, &expected));
    let after = scene.stored();
    assert_eq!(after.inputs(), &map(with(&Value::Object(before.inputs().clone()), "token", json!("NEW"))));
    assert_eq!(after.ciphertext("second"), before.ciphertext("second"), "it was not even written again");
    assert_ne!(after.ciphertext("token"), before.ciphertext("token"));
    assert_eq!(after.description, "new");
}

#[test]
fn every_row_of_the_table_is_answered_as_the_controller_does() {
    let all = |name: &str, value: Value| {
        with(&json!({ "url": URL, "note": "n1", "token": MASK, "second": MASK, "verify": true }), name, value)
    };
    let old = || json!({ "url": URL, "note": "n1", "token": "OLD", "second": "S2", "verify": true });
    let without = |name: &str| {
        let mut inputs = map(old());
        inputs.shift_remove(name);
        Value::Object(inputs)
    };
    let rows = [
        ("only the new secret", json!({ "inputs": { "token": "NEW" } }), "200", json!({ "token": "NEW" })),
        ("nothing at all", json!({ "inputs": {} }), "200", json!({})),
        ("null", json!({ "inputs": null }), r#"400 {"inputs":["This field may not be null."]}"#, old()),
        ("no inputs", json!({ "name": "renamed" }), "200", old()),
        ("a mask over nothing", json!({ "inputs": all("empty", json!(MASK)) }), "500 HTML", old()),
        ("more than a mask", json!({ "inputs": all("token", json!("$encrypted$x")) }), "500 HTML", old()),
        ("an empty secret", json!({ "inputs": all("second", json!("")) }), "200", without("second")),
        ("no secret", json!({ "inputs": all("second", json!(null)) }), "200", without("second")),
        (
            "a mask in a plain field",
            json!({ "inputs": all("note", json!(MASK)) }),
            "200",
            with(&old(), "note", json!(MASK)),
        ),
        (
            "one field too many",
            json!({ "description": "x", "inputs": with(&all("token", json!("NEW")), "nosuch", json!("y")) }),
            r#"400 {"inputs":["Additional properties are not allowed ('nosuch' was unexpected)"]}"#,
            old(),
        ),
        (
            "a number",
            json!({ "description": "x", "inputs": all("token", json!(5)) }),
            r#"400 {"inputs":{"token":["5 is not of type 'string'"]}}"#,
            old(),
        ),
        (
            "a word for a flag",
            json!({ "inputs": all("verify", json!("yes")) }),
            r#"400 {"inputs":{"verify":["'yes' is not of type 'boolean'"]}}"#,
            old(),
        ),
    ];
    for (what, body, verdict, stored) in rows {
        let scene = Scene::start();
        let modified = scene.get().text("modified");
        assert_eq!(scene.patch(&body).verdict(), verdict, "{what}");
        let credential = scene.stored();
        assert_eq!(credential.inputs(), &map(stored), "{what}");
        assert_eq!(credential.description, "", "{what}: nothing of a refused request is applied");
        assert_eq!(scene.get().text("modified") != modified, verdict == "200", "{what}");
    }
}

#[test]
fn a_put_takes_the_organization_away() {
    let scene = Scene::start();
    let path = format!("PUT credentials/{}/", scene.id);
    let required = r#"400 {"name":["This field is required."],"credential_type":["This field is required."]}"#;
    assert_eq!(scene.controller.call("admin", &path, "{}").verdict(), required);
    let body = json!({ "name": "robot", "credential_type": scene.stored().credential_type });
    assert_eq!(scene.controller.call("admin", &path, &body.to_string()).status, 200);
    let after = scene.stored();
    assert_eq!((after.organization, after.input("token")), (None, Some("OLD")));
}

#[test]
fn a_post_takes_what_only_begins_like_a_mask_as_it_is() {
    let scene = Scene::start();
    let kind = scene.stored().credential_type;
    let post = |name: &str, token: &str| {
        let body = json!({ "name": name, "credential_type": kind, "organization": 1, "inputs": { "token": token } });
        scene.controller.call("admin", "POST credentials/", &body.to_string())
    };
    let reserved = r#"400 {"inputs":["$encrypted$ is a reserved keyword, and cannot be used for token."]}"#;
    assert_eq!(post("a", MASK).verdict(), reserved);
    let answer = post("b", "$encrypted$x");
    assert_eq!((answer.status, &answer.json()["inputs"]["token"]), (201, &json!(MASK)));
    let stored = scene.controller.handle.credentials_named("b").remove(0);
    assert_eq!((stored.input("token"), stored.ciphertext("token")), (Some("$encrypted$x"), None));
}

#[test]
fn the_activity_stream_says_who_wrote_and_no_secret() {
    let scene = Scene::start();
    let shown = scene.get().json()["inputs"].clone();
    assert_eq!(scene.patch(&json!({ "inputs": shown })).status, 200);
    assert_eq!(scene.controller.handle.activity(scene.id), [], "nothing of the row became another");
    assert_eq!(scene.patch(&json!({ "inputs": with(&shown, "token", json!("OLD")) })).status, 200);
    let hidden = json!({ "inputs": ["hidden", "hidden"] });
    let expected = ("admin".to_owned(), "update", hidden.clone());
    assert_eq!(scene.controller.handle.activity(scene.id), [expected], "the same secret has another ciphertext");
    let page = scene.controller.get("admin", &format!("credentials/{}/activity_stream/", scene.id));
    let entry = &page.json()["results"][0];
    assert_eq!((&entry["operation"], &entry["changes"]), (&json!("update"), &hidden));
    assert_eq!(entry["summary_fields"]["actor"]["username"], "admin");
    assert!(!page.body.contains("OLD"));
}

#[test]
fn two_writers_that_meet_lose_an_update_and_both_get_200() {
    let scene = Scene::start();
    let shown = scene.get().json()["inputs"].clone();
    let hold = scene.controller.handle.hold_patch(scene.id);
    let body = json!({ "inputs": with(&shown, "token", json!("FIRST")) });
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| scene.patch(&body));
        assert!(hold.is_reached());
        assert_eq!(scene.patch(&json!({ "inputs": with(&shown, "second", json!("OTHERS")) })).status, 200);
        hold.release();
        first.join().unwrap()
    });
    assert_eq!(first.status, 200);
    let stored = scene.stored();
    assert_eq!((stored.input("token"), stored.input("second")), (Some("FIRST"), Some("S2")), "the second is lost");
    let seconds = |what: &str| {
        scene.controller.handle.history(scene.id).iter().filter(|version| version.inputs["second"] == what).count()
    };
    assert_eq!((seconds("S2"), seconds("OTHERS")), (2, 1));
}

#[test]
fn a_change_that_stands_still_is_made_though_its_client_has_gone() {
    let scene = Scene::start();
    let hold = scene.controller.handle.hold_patch(scene.id);
    let body = r#"{"description": "late"}"#;
    let authorization = scene.controller.password_of("admin");
    let (id, length) = (scene.id, body.len());
    let request = format!(
        "PATCH /api/v2/credentials/{id}/ HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut client = TcpStream::connect(scene.controller.handle.plain_url().trim_start_matches("http://")).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    assert!(hold.is_reached());
    drop(client);
    hold.release();
    let deadline = Instant::now() + Duration::from_secs(60);
    while scene.stored().description != "late" {
        assert!(Instant::now() < deadline, "it was never made");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn another_writer_comes_at_the_moment_that_was_named() {
    let rows = [
        (Moment::BeforePatch, "NEW", "OTHERS"),
        (Moment::WithinPatch, "NEW", "n1"),
        (Moment::AroundPatch, "OLD", "OTHERS"),
        (Moment::AfterPatch, "NEW", "OTHERS"),
    ];
    for (moment, token, note) in rows {
        let scene = Scene::start();
        let (credential, username) = (scene.id, "carol".to_owned());
        let inputs = map(json!({ "note": "OTHERS" }));
        let other = OtherWriter { credential, moment, username, inputs, description: None };
        scene.controller.handle.expect_other_writer(other);
        // What is not sent is kept as it is, so that only the moment decides.
        let mut body = json!({ "inputs": { "url": URL, "token": "NEW", "second": MASK, "verify": true } });
        body["inputs"]["note"] = json!(if moment == Moment::BeforePatch { "OTHERS" } else { "n1" });
        assert_eq!(scene.patch(&body).status, 200, "{moment:?}");
        let stored = scene.stored();
        assert_eq!((stored.input("token"), stored.input("note")), (Some(token), Some(note)), "{moment:?}");
        let last = scene.controller.handle.history(scene.id).pop().unwrap().username;
        let is_last = matches!(moment, Moment::AroundPatch | Moment::AfterPatch);
        assert_eq!(last, if is_last { "carol" } else { "admin" }, "{moment:?}");
        let count = scene.controller.handle.history(scene.id).len();
        assert_eq!(scene.patch(&json!({ "description": "x" })).status, 200);
        assert_eq!(scene.controller.handle.history(scene.id).len(), count + 1, "it comes once");
    }
}

#[test]
fn faults_hit_before_or_after_the_change() {
    let rows = [
        (Fault::server_error(), Some(500), "OLD"),
        (Fault::server_error().acting(), Some(500), "NEW"),
        (Fault::cut(), None, "OLD"),
        (Fault::lost_answer(), None, "NEW"),
    ];
    for (fault, status, token) in rows {
        let scene = Scene::start();
        let shown = scene.get().json()["inputs"].clone();
        scene.controller.sandbox.faults().add(fault.method("PATCH").path("/credentials/").times(1));
        let answer = scene.try_patch(&json!({ "inputs": with(&shown, "token", json!("NEW")) }));
        assert_eq!(answer.ok().map(|answer| answer.status), status, "{token}");
        assert_eq!(scene.stored().input("token"), Some(token));
    }
}

#[test]
fn a_change_takes_as_long_as_the_gap_between_its_reading_and_its_writing() {
    let scene = Scene::start();
    let gap = Duration::from_millis(200);
    scene.controller.handle.set_write_gap(gap);
    let begin = Instant::now();
    assert_eq!(scene.patch(&json!({ "description": "x" })).status, 200);
    assert!(begin.elapsed() >= gap);
    assert_eq!(scene.stored().description, "x");
}

/// A controller with one credential of a custom type.
struct Scene {
    controller: Platform,
    id: i64,
}

impl Scene {
    fn start() -> Self {
        let controller = Platform::controller();
        let handle = &controller.handle;
        let field =
            |id: &str, kind: &str, secret: bool| json!({ "id": id, "label": id, "type": kind, "secret": secret });
        let fields = [
            field("url", "string", false),
            field("note", "string", false),
            field("token", "string", true),
            field("second", "string", true),
            field("empty", "string", true),
            json!({ "id": "verify", "label": "verify", "type": "boolean" }),
        ];
        handle.add_credential_type("Robot", json!({ "fields": fields }), json!({})).unwrap();
        let inputs = json!({ "url": URL, "note": "n1", "token": "OLD", "second": "S2", "empty": "", "verify": true });
        let id = handle.add_credential("robot", "Default", "Robot", inputs).unwrap();
        Self { controller, id }
    }

    fn get(&self) -> Answer {
        self.controller.get("admin", &format!("credentials/{}/", self.id))
    }

    fn patch(&self, body: &Value) -> Answer {
        self.controller.call("admin", &format!("PATCH credentials/{}/", self.id), &body.to_string())
    }

    fn try_patch(&self, body: &Value) -> reqwest::Result<Answer> {
        let request = self.controller.request(&format!("PATCH credentials/{}/", self.id));
        let request = request.header("authorization", self.controller.password_of("admin"));
        Answer::try_of(request.header("content-type", "application/json").body(body.to_string()))
    }

    fn stored(&self) -> tokensmith_sandbox::controller::Credential {
        self.controller.handle.credential(self.id).unwrap()
    }
}

fn with(inputs: &Value, name: &str, value: Value) -> Value {
    let mut inputs = inputs.clone();
    inputs[name] = value;
    inputs
}

fn map(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

const MASK: &str = "$encrypted$";
const URL: &str = "https://quay.example.com";
