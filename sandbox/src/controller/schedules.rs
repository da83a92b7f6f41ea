//! Schedules of job templates: which rules are taken.

use regex_lite::Regex;
use serde_json::{Value, json};

use super::plain::Plain;
use crate::exchange::Answer;
use crate::platform::State;

/// The rule, and that the template asks for all that the schedule gives.
pub(crate) fn check(state: &State, row: &Plain) -> Result<(), Answer> {
    let refusal = |field: &str, sentence: String| Err(Answer::json(400, &json!({ field: [sentence] })));
    if let Err(sentence) = check_rule(row.text("rrule")) {
        return refusal("rrule", sentence);
    }
    let template = row.key("unified_job_template").and_then(|id| state.objects.template(id));
    let asks = |what: &str| template.is_some_and(|template| template.fields[what] == true);
    let given = [("limit", !row.text("limit").is_empty()), ("inventory", row.key("inventory").is_some())];
    let unasked = |(field, is_given): &(&str, bool)| *is_given && !asks(&format!("ask_{field}_on_launch"));
    if let Some((field, _)) = given.into_iter().find(unasked) {
        return refusal(field, "Field is not configured to prompt on launch.".to_owned());
    }
    let variables: Vec<_> =
        row.fields["extra_data"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if !variables.is_empty() && !asks("ask_variables_on_launch") {
        let names = variables.join(", ");
        return refusal(
            "extra_data",
            format!(
                "Variables {names} are not allowed on launch. Check the Prompt on Launch setting on the Job Template to \
                 include Extra Variables."
            ),
        );
    }
    Ok(())
}

/// Adds what the server makes of the rule. When it runs next is told for its beginning only.
pub(crate) fn complete(shown: &mut Value, row: &Plain) {
    let rule = one_line(row.text("rrule"));
    let begin = captured(&rule, BEGIN);
    let zone = captured(&rule, "DTSTART;TZID=([^:]+):").unwrap_or_else(|| "UTC".to_owned());
    shown["rrule"] = json!(rule);
    shown["timezone"] = json!(zone);
    let begin = begin.map(|digits| {
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
        let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
        format!("{year}-{month}-{day}T{}:{}:{}Z", part(9, 11), part(11, 13), part(13, 15))
    });
    shown["dtstart"] = json!(begin);
    shown["next_run"] = if row.fields["enabled"] == true { json!(begin) } else { Value::Null };
}

fn check_rule(text: &str) -> Result<(), String> {
    let text = one_line(text);
    let parts: Vec<_> = text.split(' ').filter(|part| !part.is_empty()).collect();
    let begins = parts.iter().filter(|part| part.starts_with("DTSTART")).count();
    if begins > 1 {
        return Err("Multiple DTSTART is not supported.".to_owned());
    }
    if begins == 0 || captured(&text, BEGIN).is_none() {
        return Err("Valid DTSTART required in rrule. Value should start with: DTSTART:YYYYMMDDTHHMMSSZ".to_owned());
    }
    let zone = captured(&text, "DTSTART;TZID=([^:]+):");
    if zone.is_none() && captured(&text, "DTSTART:([0-9]{8}T[0-9]{6}Z)").is_none() {
        return Err("DTSTART cannot be a naive datetime.  Require ;TZINFO= or YYYYMMDDTHHMMSSZZ.".to_owned());
    }
    if zone.is_some_and(|zone| zone != "UTC" && !zone.contains('/')) {
        let sentence = "rrule parsing failed validation: A valid TZID must be provided (e.g., America/New_York)";
        return Err(sentence.to_owned());
    }
    let rules: Vec<_> = parts.iter().filter_map(|part| part.strip_prefix("RRULE:")).collect();
    if rules.is_empty() {
        return Err("One or more rule required in rrule".to_owned());
    }
    rules.into_iter().try_for_each(check_one)
}

fn check_one(rule: &str) -> Result<(), String> {
    let value = |name: &str| rule.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    if value("INTERVAL").is_none() {
        return Err(format!("INTERVAL required in rrule: {rule}"));
    }
    if value("FREQ") == Some("SECONDLY") {
        return Err(format!("SECONDLY is not supported: {rule}"));
    }
    if value("COUNT").is_some() && value("UNTIL").is_some() {
        return Err(format!("RRULE may not contain both COUNT and UNTIL: {rule}"));
    }
    if value("COUNT").and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count > MOST) {
        return Err(format!("COUNT > {MOST} is unsupported: {rule}"));
    }
    Ok(())
}

fn one_line(rule: &str) -> String {
    rule.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn captured(text: &str, pattern: &str) -> Option<String> {
    let found = Regex::new(pattern).ok()?.captures(text)?;
    Some(found.get(1)?.as_str().to_owned())
}

const BEGIN: &str = "DTSTART[^: ]*:([0-9]{8}T[0-9]{6})";
const MOST: u32 = 999;
