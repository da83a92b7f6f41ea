//! The lists of the stand-in gateway: pages, order, filters, and who sees what.

use serde_json::{Value, json};
use tokensmith_sandbox::platform::Release;

use crate::platform::{Platform, detail};

#[test]
fn a_list_comes_a_page_at_a_time_with_relative_links() {
    let gateway = Platform::gateway().with_six_tokens();
    let page = |query: &str| gateway.get("admin", &format!("tokens/{query}"));
    let whole = page("").json();
    assert_eq!((&whole["count"], &whole["next"], &whole["previous"]), (&json!(6), &Value::Null, &Value::Null));
    assert_eq!(page("").descriptions(), "t1 t2 t3 t4 t5 t6");
    let middle = page("?page_size=2&page=2&order_by=id").json();
    assert_eq!(middle["next"], "/api/gateway/v1/tokens/?order_by=id&page=3&page_size=2");
    assert_eq!(middle["previous"], "/api/gateway/v1/tokens/?order_by=id&page=1&page_size=2");
    let next = page("?page_size=2&page=2&order_by=id").text("next");
    assert_eq!(gateway.get("admin", &next).descriptions(), "t5 t6");
    assert_eq!(gateway.get("admin", &next).json()["next"], Value::Null);
    for query in ["?page=2", "?page=0", "?page=x", "?page_size=3&page=3"] {
        assert_eq!(page(query).verdict(), detail(404, "Invalid page."), "{query}");
    }
    let bare = page("?count_disabled=1").json();
    assert_eq!(crate::central::keys(&bare), ["results"]);
    assert_eq!(page("?count_disabled=1&page_size=2").descriptions(), "t1 t2");
    assert_eq!(page("?count_disabled=1&page_size=2&page=2").verdict(), detail(404, "Invalid page."));
}

#[test]
fn a_page_has_fifty_rows_and_never_more_than_two_hundred() {
    for (platform, default) in [(Platform::gateway(), 50), (Platform::controller(), 25)] {
        for number in 0..210 {
            platform.handle.issue_token("admin", &format!("t{number}"), "read");
        }
        let count = |query: &str| {
            let answer = platform.get("admin", &format!("tokens/{query}"));
            answer.json()["results"].as_array().map_or_else(|| panic!("{}", answer.body), Vec::len)
        };
        for (query, rows) in
            [("", default), ("?page_size=0", default), ("?page_size=-1", default), ("?page_size=500", 200)]
        {
            assert_eq!(count(query), rows, "{query}");
        }
        assert_eq!(count("?page_size=200&page=2"), 10);
        let next = |query: &str| platform.get("admin", &format!("tokens/{query}")).text("next");
        let short = if default == 25 { "page=2" } else { "page=2&page_size=50" };
        assert_eq!(next(""), format!("{}tokens/?{short}", platform.base));
        assert_eq!(next("?page_size=500"), format!("{}tokens/?page=2&page_size=200", platform.base));
        let rubbish = platform.get("admin", "tokens/?page_size=x");
        let expected = if default == 25 { "500 HTML" } else { "200" };
        assert_eq!(rubbish.verdict(), expected);
    }
}

#[test]
fn every_filter_lets_through_what_it_says() {
    let gateway = Platform::gateway().with_six_tokens();
    let records = gateway.handle.tokens();
    let time = |index: usize| {
        let row = gateway.get("admin", &format!("tokens/{}/", records[index].id)).json();
        (row["created"].as_str().unwrap().to_owned(), row["expires"].as_str().unwrap().to_owned())
    };
    let ((created, expires), ids) = (time(2), (records[0].id, records[4].id));
    let application = gateway.handle.application("deploy", "Default").unwrap();
    gateway.handle.issue("admin", Some(application), "app", "write");
    let alice = gateway.change(|state| state.users.iter().find(|user| user.username == "alice").unwrap().id);
    let rows = [
        ("description=t1".to_owned(), "t1"),
        ("description=T1".to_owned(), ""),
        ("description__exact=t1".to_owned(), "t1"),
        ("description__iexact=T1".to_owned(), "t1"),
        ("description__contains=p".to_owned(), "app"),
        ("description__icontains=PP".to_owned(), "app"),
        ("description__startswith=t&scope=read".to_owned(), "t3"),
        ("description__istartswith=T&user__username=alice".to_owned(), "t1 t3 t5"),
        ("description__endswith=6".to_owned(), "t6"),
        ("description__regex=^t[12]$".to_owned(), "t1 t2"),
        ("description__in=t1,t6,nope".to_owned(), "t1 t6"),
        ("not__description__startswith=t".to_owned(), "app"),
        ("or__description=t1&or__description=t2".to_owned(), "t1 t2"),
        ("or__description=t1&or__scope=read&user__username=alice".to_owned(), "t1 t3"),
        ("chain__scope=read".to_owned(), "t3"),
        (format!("user={alice}"), "t1 t3 t5"),
        (format!("user__id={alice}&order_by=-id"), "t5 t3 t1"),
        (format!("id__in={},{}", ids.0, ids.1), "t1 t5"),
        (format!("id={}", ids.0), "t1"),
        (format!("id__gt={}", ids.1), "t6 app"),
        (format!("application={application}"), "app"),
        ("application__name=deploy".to_owned(), "app"),
        ("application__isnull=true&order_by=-created&page_size=2".to_owned(), "t6 t5"),
        ("application__isnull=false".to_owned(), "app"),
        ("last_used__isnull=false".to_owned(), ""),
        (format!("created__lt={created}"), "t1 t2"),
        (format!("created__lte={created}"), "t1 t2 t3"),
        (format!("created__gt={created}&application__isnull=1"), "t4 t5 t6"),
        (format!("created__gte={created}&scope=read"), "t3"),
        (format!("expires__lt={expires}"), "t1 t2"),
        ("expires__lt=2001-01-01".to_owned(), ""),
        ("expires__gt=2001-01-01T00:00:00Z&description=t2".to_owned(), "t2"),
        ("search=t1&description=t2".to_owned(), "t2"),
        ("order_by=-expires&application__isnull=true".to_owned(), "t6 t5 t4 t3 t2 t1"),
        ("order=-id&user__username=alice&type=x".to_owned(), "t5 t3 t1"),
        ("order_by=scope,-created&user__username=alice".to_owned(), "t3 t5 t1"),
    ];
    for (query, expected) in rows {
        assert_eq!(gateway.get("admin", &format!("tokens/?{query}")).descriptions(), expected, "{query}");
    }
    let token = gateway.handle.issue_token("bob", "used", "read").1;
    gateway.call_with(&token, "GET me/", "");
    assert_eq!(gateway.get("admin", "tokens/?last_used__isnull=false").descriptions(), "used");
}

#[test]
fn what_cannot_be_filtered_is_refused() {
    for platform in [Platform::gateway(), Platform::controller()] {
        let integer = "[\"“abc” value must be an integer.\"]";
        let time = "[\"“abc” value has an invalid format. It must be in YYYY-MM-DD HH:MM[:ss[.uuuuuu]][TZ] format.\"]";
        let rows = [
            ("token=x", detail(403, "Filtering on token is not allowed.")),
            ("token__startswith=x", detail(403, "Filtering on token is not allowed.")),
            ("refresh_token__isnull=true", detail(403, "Filtering on refresh_token is not allowed.")),
            ("x=1", detail(400, "OAuth2AccessToken has no field named 'x'")),
            ("not__x=1", detail(400, "OAuth2AccessToken has no field named 'x'")),
            ("order_by=x", detail(400, "OAuth2AccessToken has no field named 'x'")),
            ("user__x=1", detail(400, "User has no field named 'x'")),
            ("user=abc", detail(400, "Invalid user id: abc")),
            ("id=abc", detail(400, integer)),
            ("expires__lt=abc", detail(400, time)),
            ("application__isnull=abc", detail(400, "Unable to interpret \"abc\" as boolean")),
        ];
        for (query, expected) in rows {
            assert_eq!(platform.get("alice", &format!("tokens/?{query}")).verdict(), expected, "{query}");
        }
    }
}

#[test]
fn a_list_shows_what_the_caller_may_see_in_this_release() {
    let rows = [
        (Platform::gateway(), "t1 t3 t5"),
        (Platform::gateway_of(Release::Dab2026_3_19), "t1 t2 t3 t4 t5 t6"),
        (Platform::gateway_of(Release::Dab2025_5_8), "t1 t2 t3 t4 t5 t6"),
        (Platform::controller(), "t1 t3 t5"),
    ];
    for (platform, seen) in rows {
        let platform = platform.with_six_tokens();
        assert_eq!(platform.get("alice", "tokens/").descriptions(), seen);
        for user in ["admin", "auditor"] {
            assert_eq!(platform.get(user, "tokens/").descriptions(), "t1 t2 t3 t4 t5 t6");
        }
        let mask = if platform.base == "/api/v2/" { "************" } else { "$encrypted$" };
        let body = platform.get("alice", "tokens/").json();
        assert!(body["results"].as_array().unwrap().iter().all(|row| row["token"] == mask));
    }
}

#[test]
fn the_views_of_a_user_and_an_application_are_narrower_lists() {
    let gateway = Platform::gateway().with_six_tokens();
    let application = gateway.handle.application("deploy", "Default").unwrap();
    gateway.handle.issue("alice", Some(application), "app", "write");
    let rows = [
        ("users/2/tokens/".to_owned(), "t1 t3 t5 app"),
        ("users/2/personal_tokens/".to_owned(), "t1 t3 t5"),
        ("users/2/authorized_tokens/".to_owned(), "app"),
        ("users/999/tokens/".to_owned(), ""),
        ("users/999/personal_tokens/".to_owned(), ""),
        (format!("applications/{application}/tokens/"), "app"),
    ];
    for (path, expected) in rows {
        assert_eq!(gateway.get("admin", &path).descriptions(), expected, "{path}");
    }
    assert_eq!(gateway.get("bob", "users/2/tokens/").descriptions(), "");
}

#[test]
fn users_organizations_and_applications_are_found_by_their_names() {
    for platform in [Platform::gateway(), Platform::controller()] {
        let count = |user: &str, path: &str| platform.get(user, path).json()["count"].clone();
        let rows = [
            ("admin", "users/?username=alice", 1),
            ("admin", "users/?username=Alice", 0),
            ("alice", "users/", 1),
            ("admin", "organizations/?name=Engineering", 1),
            ("admin", "applications/?name=ci", 2),
            ("admin", "applications/?name=ci&organization__name=Default", 1),
            ("admin", "applications/?name=ci&organization=2", 1),
            ("admin", "applications/?name=deploy", 1),
            ("admin", "applications/?name=nope", 0),
            ("alice", "applications/", 2),
        ];
        for (user, path, expected) in rows {
            assert_eq!(count(user, path), expected, "{user} {path}");
        }
        let id = platform.handle.application("deploy", "Default").unwrap();
        assert_eq!(count("admin", &format!("applications/?id={id}")), 1);
        assert_eq!(platform.get("admin", &format!("applications/{id}/")).text("name"), "deploy");
        let refusal = platform.get("admin", "applications/?client_secret=x").verdict();
        assert_eq!(refusal, detail(403, "Filtering on client_secret is not allowed."));
        assert_eq!(platform.get("admin", "users/2/").text("username"), "alice");
    }
}
