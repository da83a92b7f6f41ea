//! Tokens over REST.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_tests::gateway_site::{Caller, GatewaySite};

use super::{on_every_release, on_every_release_and_its_stand_in, stored_form};

#[test]
fn the_header_of_a_401_tells_what_its_body_hides() -> Result<()> {
    on_every_release_and_its_stand_in(|site, release| {
        let user = site.make_user("refused")?;
        let deleted = site.issue(&user, &json!({}))?;
        let deleted = delete_with_itself(site, &deleted)?;
        let expired = site.issue_ending_in(&user, &json!({}), 0)?;
        let row = site.issue(&user, &json!({}))?;
        let living = value(&row);
        let stored = format!("Bearer {}", stored_form(living));
        let unknown = "Bearer thisIsNotATokenOfAnybodyAtAll1";
        let synonym = format!("Token {living}");
        let mut cases = vec![
            ("nobody", Caller::Nobody, NONE, BARE),
            ("unknown user", Caller::Password("nobody", "wrong"), "Invalid username/password.", BARE),
            ("wrong password", Caller::Password(&user, "wrong"), "Invalid username/password.", BARE),
            ("unknown token", Caller::Authorization(unknown), NONE, INVALID),
            ("deleted token", Caller::Token(&deleted), NONE, INVALID),
            ("the stored form of a living token", Caller::Authorization(&stored), NONE, INVALID),
            ("expired token", Caller::Token(value(&expired)), NONE, EXPIRED),
        ];
        if release != GatewaySite::CURRENT {
            cases.push(("scheme Token", Caller::Authorization(&synonym), NONE, BARE));
        }
        for (case, caller, detail, header) in cases {
            for path in ["tokens/", "me/"] {
                let answer = site.get(caller, path)?;
                assert_eq!(answer.expect(401)?, json!({ "detail": detail }), "{case}");
                assert_eq!(answer.header("WWW-Authenticate"), header, "{case}");
            }
        }
        Ok(())
    })
}

#[test]
fn the_scheme_of_a_token_may_be_written_in_any_case() -> Result<()> {
    on_every_release_and_its_stand_in(|site, release| {
        let token = site.issue(&site.make_user("scheme")?, &json!({}))?;
        let schemes: &[&str] = if release == GatewaySite::CURRENT {
            &["Bearer", "bearer", "BEARER", "Token"]
        } else {
            &["Bearer", "bearer", "BEARER"]
        };
        for scheme in schemes {
            let header = format!("{scheme} {}", value(&token));
            assert_eq!(site.get(Caller::Authorization(&header), "me/")?.status, 200, "{scheme}");
        }
        Ok(())
    })
}

#[test]
fn the_root_answers_everybody_and_proves_nothing() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        site.get(Caller::Nobody, "")?.expect(200)?;
        assert_eq!(site.get(Caller::Token("dead"), "")?.status, 200);
        Ok(())
    })
}

#[test]
fn a_path_without_its_slash_is_redirected() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let answer = site.get(Caller::User("alice"), "tokens")?;
        assert_eq!((answer.status, answer.header("Location")), (301, "/api/gateway/v1/tokens/"));
        Ok(())
    })
}

#[test]
fn a_personal_token_is_answered_in_clear_once() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let user = site.make_user("personal")?;
        let wished = json!({
            "description": "for the pipeline", "scope": "read", "token": "chosen", "refresh_token": "chosen",
            "expires": "2039-01-01T00:00:00Z", "user": 1,
        });
        let answer = site.post(Caller::User(&user), "tokens/", &wished)?;
        let row = answer.expect(201)?;
        let keys: Vec<&str> = row.as_object().context("an object")?.keys().map(String::as_str).collect();
        assert_eq!(keys, KEYS);
        assert_eq!(answer.header("Location"), format!("/api/gateway/v1/tokens/{}/", row["id"]));
        assert_eq!(row["url"], answer.header("Location"));
        assert_eq!((&row["description"], &row["scope"]), (&json!("for the pipeline"), &json!("read")));
        assert_eq!(
            (&row["refresh_token"], &row["application"], &row["last_used"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(row["summary_fields"]["user"]["username"], user);
        assert_eq!(row["user"], row["created_by"]);
        assert!(value(&row).len() == 30 && value(&row).chars().all(|letter| letter.is_ascii_alphanumeric()));
        for time in ["created", "modified", "expires"] {
            let text = row[time].as_str().context("a time")?;
            assert!(
                text.len() == "2026-11-22T14:13:52.164032Z".len() && text.ends_with('Z') && !text.starts_with("2039")
            );
        }
        let path = format!("tokens/{}/", row["id"]);
        let read = site.get(Caller::User(&user), &path)?.expect(200)?;
        assert_eq!((&read["token"], &read["refresh_token"]), (&json!("$encrypted$"), &Value::Null));
        Ok(())
    })
}

#[test]
fn nothing_is_needed_to_create_a_token() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let row = site.issue(&site.make_user("plain")?, &json!({}))?;
        assert_eq!((&row["description"], &row["scope"]), (&json!(""), &json!("write")));
        Ok(())
    })
}

#[test]
fn a_token_lives_a_year_or_on_the_oldest_release_a_thousand() -> Result<()> {
    // The product's own settings give the oldest one a year too, and so does the stand-in.
    on_every_release(|site, release| {
        let row = site.issue(&site.make_user("life")?, &json!({}))?;
        let time = |field: &str| {
            row[field]
                .as_str()
                .unwrap_or_default()
                .parse::<chrono::DateTime<chrono::Utc>>()
                .map(|time| time.timestamp())
        };
        let life = time("expires")? - time("created")?;
        let expected = if release == "2025.5.8" { 31_536_000_000 } else { 31_536_000 };
        assert!((life - expected).abs() <= 60, "{life}");
        Ok(())
    })
}

#[test]
fn an_application_token_has_a_refresh_token_which_is_shown_once() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let application = site.find("applications", "name", "deploy")?;
        let row = site.issue("admin", &json!({ "application": application["id"], "description": "application's" }))?;
        assert_eq!(row["application"], application["id"]);
        assert_eq!(row["refresh_token"].as_str().map(str::len), Some(30));
        assert!(site.works(value(&row))?);
        let path = format!("tokens/{}/", row["id"]);
        let read = site.get(Caller::User("admin"), &path)?.expect(200)?;
        assert_eq!((&read["token"], &read["refresh_token"]), (&json!("$encrypted$"), &json!("$encrypted$")));
        let refused = site.post(Caller::User("alice"), "tokens/", &json!({ "application": application["id"] }))?;
        assert_eq!(refused.expect(403)?, json!({ "detail": NO_PERMISSION }));
        Ok(())
    })
}

#[test]
fn a_refused_token_names_the_field_at_fault() -> Result<()> {
    on_every_release_and_its_stand_in(|site, release| {
        let scopes = if release >= "2026.3.19" { "read, write, openid, roles" } else { "read, write" };
        let list = if release >= "2026.3.19" { "['read', 'write', 'openid', 'roles']" } else { "['read', 'write']" };
        let repeated = format!("Must be a simple space-separated string with allowed scopes {list}.");
        let cases = [
            (json!({ "scope": "admin" }), "scope", format!("Invalid scope: admin. Must be one of: {scopes}")),
            (json!({ "scope": "read read" }), "scope", repeated),
            (json!({ "scope": "" }), "scope", "This field may not be blank.".into()),
            (json!({ "scope": null }), "scope", "This field may not be null.".into()),
            (json!({ "application": 99 }), "application", "Invalid pk \"99\" - object does not exist.".into()),
            (json!({ "application": "x" }), "application", "Incorrect type. Expected pk value, received str.".into()),
        ];
        for (body, field, sentence) in cases {
            let answer = site.post(Caller::User("admin"), "tokens/", &body)?;
            assert_eq!(answer.expect(400)?, json!({ field: [sentence] }), "{body}");
        }
        let external = site.post(Caller::User("erin"), "tokens/", &json!({}))?.expect(403)?;
        assert_eq!(external, json!({ "detail": EXTERNAL }));
        Ok(())
    })
}

#[test]
fn a_token_may_do_what_its_scope_says_and_a_read_token_cannot_delete_itself() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let user = site.make_user("scoped")?;
        for (scope, write) in [("read", false), ("write", true), ("read write", true)] {
            let row = site.issue(&user, &json!({ "scope": scope }))?;
            let caller = Caller::Token(value(&row));
            site.get(caller, "tokens/")?.expect(200)?;
            let own = format!("tokens/{}/", row["id"]);
            let (created, deleted) = (site.post(caller, "tokens/", &json!({}))?, site.delete(caller, &own)?);
            assert_eq!((created.status, deleted.status), if write { (201, 204) } else { (403, 403) }, "{scope}");
            assert!(write || deleted.json() == json!({ "detail": NO_PERMISSION }));
        }
        Ok(())
    })
}

#[test]
fn description_and_scope_can_change_and_the_end_of_a_token_cannot() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let user = site.make_user("changed")?;
        let row = site.issue(&user, &json!({ "scope": "read" }))?;
        let path = format!("tokens/{}/", row["id"]);
        let wished = json!({
            "description": "other", "scope": "write", "expires": "2039-01-01T00:00:00Z", "token": "chosen", "user": 1,
        });
        let changed = site.call(Method::PATCH, Caller::User(&user), &path, Some(&wished))?.expect(200)?;
        assert_eq!((&changed["description"], &changed["scope"]), (&json!("other"), &json!("write")));
        assert_eq!((&changed["expires"], &changed["user"]), (&row["expires"], &row["user"]));
        assert!(site.works(value(&row))? && !site.works("chosen")?);
        Ok(())
    })
}

#[test]
fn a_deleted_token_is_dead_at_once_and_gone() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let user = site.make_user("deleted")?;
        let row = site.issue(&user, &json!({}))?;
        let path = format!("tokens/{}/", row["id"]);
        let answer = site.delete(Caller::User(&user), &path)?;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        assert!(!site.works(value(&row))?);
        let gone = json!({ "detail": "No OAuth2AccessToken matches the given query." });
        assert_eq!(site.delete(Caller::User(&user), &path)?.expect(404)?, gone);
        assert_eq!(site.get(Caller::User(&user), &path)?.expect(404)?, gone);
        assert_eq!(site.get(Caller::User(&user), "tokens/abc/")?.expect(404)?, json!({ "detail": "Not found." }));
        for method in [Method::PUT, Method::DELETE] {
            assert_eq!(site.call(method, Caller::User(&user), "tokens/", Some(&json!({})))?.status, 405);
        }
        Ok(())
    })
}

#[test]
fn the_row_of_another_user_is_hidden_since_2026_6_2_and_forbidden_before() -> Result<()> {
    on_every_release_and_its_stand_in(|site, release| {
        let is_current = release == GatewaySite::CURRENT;
        let row = site.issue(&site.make_user("owner")?, &json!({}))?;
        let (other, path) = (site.make_user("other")?, format!("tokens/{}/", row["id"]));
        let hidden = if is_current { 404 } else { 403 };
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let answer = site.call(method.clone(), Caller::User(&other), &path, Some(&json!({})))?;
            assert_eq!(answer.status, hidden, "{method}");
        }
        let list = site.get(Caller::User(&other), &format!("tokens/?id={}", row["id"]))?.expect(200)?;
        assert_eq!(list["count"], u8::from(!is_current));
        assert!(is_current || list["results"][0]["token"] == "$encrypted$");
        site.get(Caller::User("auditor"), &path)?.expect(200)?;
        assert_eq!(site.delete(Caller::User("auditor"), &path)?.status, hidden);
        site.delete(Caller::User("admin"), &path)?.expect(204)?;
        Ok(())
    })
}

#[test]
fn a_list_comes_in_pages_with_relative_addresses() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let user = site.make_user("pages")?;
        let caller = Caller::User(&user);
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(site.issue(&user, &json!({ "description": "one of three" }))?["id"].clone());
        }
        let query = format!("tokens/?user__username={user}&order_by=-id&page_size=2");
        let first = site.get(caller, &query)?.expect(200)?;
        assert_eq!((&first["count"], &first["previous"]), (&json!(3), &Value::Null));
        assert_eq!([&first["results"][0]["id"], &first["results"][1]["id"]], [&ids[2], &ids[1]]);
        let next = first["next"].as_str().context("a next page")?;
        let path = next.strip_prefix("/api/gateway/v1/").context("a relative address")?;
        let second = site.get(caller, path)?.expect(200)?;
        assert_eq!((&second["next"], &second["results"][0]["id"]), (&Value::Null, &ids[0]));
        let past = site.get(caller, &format!("{query}&page=3"))?.expect(404)?;
        assert_eq!(past, json!({ "detail": "Invalid page." }));
        let bare = site.get(caller, &format!("{query}&count_disabled=1"))?.expect(200)?;
        assert_eq!(bare.as_object().map(|object| object.keys().collect::<Vec<_>>()), Some(vec![&"results".to_owned()]));
        Ok(())
    })
}

#[test]
fn a_page_holds_at_most_two_hundred_rows() -> Result<()> {
    let Some(site) = GatewaySite::shared()? else { return Ok(()) };
    let user = site.make_user("many")?;
    for _ in 0..201 {
        site.issue(&user, &json!({}))?;
    }
    for (asked, rows) in [(500, 200), (200, 200), (0, 50)] {
        let list = site.get(Caller::User(&user), &format!("tokens/?page_size={asked}"))?.expect(200)?;
        assert_eq!(list["results"].as_array().map(Vec::len), Some(rows), "{asked}");
        assert_eq!(list["count"], 201);
    }
    Ok(())
}

#[test]
fn a_list_is_filtered_by_what_is_known_of_a_token_and_never_by_its_value() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let user = site.make_user("filters")?;
        let first = site.issue(&user, &json!({ "description": "first one", "scope": "read" }))?;
        let second = site.issue(&user, &json!({ "description": "Second & last" }))?;
        let used = site.issue(&user, &json!({ "description": "used" }))?;
        assert!(site.works(value(&used))?);
        let (one, two, three) = (&first["id"], &second["id"], &used["id"]);
        let cases = [
            ("description=first one".to_owned(), vec![one]),
            ("description=First one".to_owned(), vec![]),
            ("description__iexact=First one".to_owned(), vec![one]),
            ("description=Second %26 last".to_owned(), vec![two]),
            ("scope=read".to_owned(), vec![one]),
            (format!("user={}", first["user"]), vec![one, two, three]),
            ("application__isnull=true".to_owned(), vec![one, two, three]),
            ("application__isnull=false".to_owned(), vec![]),
            ("last_used__isnull=false".to_owned(), vec![three]),
            ("not__description=used".to_owned(), vec![one, two]),
            ("expires__lt=2026-01-01T00:00:00Z".to_owned(), vec![]),
            ("expires__gt=2026-01-01T00:00:00Z".to_owned(), vec![one, two, three]),
            (format!("created__gte={}", first["created"].as_str().context("a time")?), vec![one, two, three]),
            (format!("created__gt={}", used["created"].as_str().context("a time")?), vec![]),
            (format!("id__in={one},{three}"), vec![one, three]),
            ("search=nothing has this".to_owned(), vec![one, two, three]),
        ];
        for (filter, expected) in cases {
            let path = format!("tokens/?user__username={user}&order_by=id&{filter}");
            let list = site.get(Caller::User(&user), &path)?.expect(200)?;
            let ids: Vec<&Value> = list["results"].as_array().context("rows")?.iter().map(|row| &row["id"]).collect();
            assert_eq!(ids, expected, "{filter}");
        }
        let refusals = [
            ("token=x", 403, "Filtering on token is not allowed."),
            ("nonsense=x", 400, "OAuth2AccessToken has no field named 'nonsense'"),
            ("id=abc", 400, "value must be an integer"),
            ("user=abc", 400, "Invalid user id: abc"),
        ];
        for (filter, status, sentence) in refusals {
            let answer = site.get(Caller::User(&user), &format!("tokens/?{filter}"))?;
            let detail = answer.expect(status)?["detail"].to_string();
            assert!(detail.contains(sentence), "{filter}: {detail}");
        }
        Ok(())
    })
}

#[test]
fn the_views_of_a_user_and_of_an_application_are_for_reading() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let user = site.make_user("views")?;
        let row = site.issue(&user, &json!({}))?;
        for (view, count) in [("tokens", 1), ("personal_tokens", 1), ("authorized_tokens", 0)] {
            let path = format!("users/{}/{view}/", row["user"]);
            assert_eq!(site.get(Caller::User(&user), &path)?.expect(200)?["count"], count, "{view}");
            assert_eq!(site.post(Caller::User("admin"), &path, &json!({}))?.status, 405, "{view}");
        }
        assert_eq!(site.get(Caller::User(&user), "users/999999/tokens/")?.expect(200)?["count"], 0);
        let path = format!("applications/{}/tokens/", site.find("applications", "name", "deploy")?["id"]);
        site.get(Caller::User("admin"), &path)?.expect(200)?;
        assert_eq!(site.post(Caller::User("admin"), &path, &json!({}))?.status, 405);
        Ok(())
    })
}

#[test]
fn an_application_is_known_by_its_name_and_organization() -> Result<()> {
    on_every_release_and_its_stand_in(|site, _| {
        let admin = Caller::User("admin");
        assert!(site.find("applications", "name", "ci").is_err());
        let organization = site.find("organizations", "name", "Engineering")?;
        let path = format!("applications/?name=ci&organization={}", organization["id"]);
        assert_eq!(site.get(admin, &path)?.expect(200)?["count"], 1);
        let mut wished = json!({
            "name": site.make_user("application")?, "organization": organization["id"], "client_type": "confidential",
            "authorization_grant_type": "password", "redirect_uris": "",
        });
        let made = site.post(admin, "applications/", &wished)?.expect(201)?;
        assert!(made["client_secret"].as_str().is_some_and(|secret| secret.len() > 30));
        let read = site.get(admin, &format!("applications/{}/", made["id"]))?.expect(200)?;
        assert_eq!(read["client_secret"], "$encrypted$");
        site.post(admin, "applications/", &wished)?.expect(400)?;
        wished["authorization_grant_type"] = json!("client-credentials");
        site.post(admin, "applications/", &wished)?.expect(400)?;
        site.post(Caller::User("alice"), "applications/", &wished)?.expect(403)?;
        Ok(())
    })
}

/// Deletes a token by its own authority; its value.
fn delete_with_itself(site: &GatewaySite, row: &Value) -> Result<String> {
    let token = value(row).to_owned();
    site.delete(Caller::Token(&token), &format!("tokens/{}/", row["id"]))?.expect(204)?;
    Ok(token)
}

fn value(row: &Value) -> &str {
    row["token"].as_str().unwrap_or_else(|| panic!("there is no token in {row}"))
}

const KEYS: [&str; 16] = [
    "id",
    "url",
    "related",
    "summary_fields",
    "created",
    "created_by",
    "modified",
    "modified_by",
    "expires",
    "user",
    "application",
    "description",
    "last_used",
    "scope",
    "token",
    "refresh_token",
];
const NONE: &str = "Authentication credentials were not provided.";
const NO_PERMISSION: &str = "You do not have permission to perform this action.";
const EXTERNAL: &str = "(access_denied) OAuth2 Tokens cannot be created by users associated with an external authentication \
                        provider (Corporate Keycloak)";
const BARE: &str = "Bearer realm=\"api\"";
const INVALID: &str = "Bearer realm=\"api\",error=\"invalid_token\",error_description=\"The access token is invalid.\"";
const EXPIRED: &str =
    "Bearer realm=\"api\",error=\"invalid_token\",error_description=\"The access token has expired.\"";
