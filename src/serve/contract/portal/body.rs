//! Bodies of the portal contract: read once, checked member by member, refused in the shape its clients
//! know (`{"detail": [{"type", "loc", "msg", "input"}]}`, as `FastAPI` writes it). Pure.
//!
//! A refusal tells what was sent. What may be a secret is told as `<redacted>`, whatever it is called.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::domain::secret::SecretText;
use crate::serve::contract::answer::{Answer, echoed};

/// What stands in place of a secret.
const REDACTED: &str = "<redacted>";

/// Members told as they were sent; everything else might be a secret under a wrong name.
pub(super) const TOLD: [&str; 8] = [
    "name",
    "email",
    "hostname",
    "port",
    "username",
    "allow_unknown_hosts",
    "known_hosts_path",
    "id",
];

/// Members whose names are told, and never what was sent as them.
const SECRETS: [&str; 2] = ["private_key", "private_key_passphrase"];

/// A body that is an object, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Body {
    members: Members,
    wrong: Vec<Value>,
}

/// The members of an object, each once.
struct Members(Map<String, Value>);

/// Names only: values may be secrets.
impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    // Two readers of such a body could read two things.
                    if members.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a member is there twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

/// One thing that is wrong.
fn error(kind: &str, loc: &Value, msg: &str, input: &Value) -> Value {
    json!({ "type": kind, "loc": loc, "msg": msg, "input": input })
}

/// Answers 422 with what is wrong.
pub(super) fn refuse(wrong: &[Value]) -> Answer {
    Answer::json(
        axum::http::StatusCode::UNPROCESSABLE_ENTITY,
        &json!({ "detail": wrong }),
    )
}

/// Answers 422 about a number in the path.
pub(super) fn not_a_number(name: &str, text: &str) -> Answer {
    let msg = "Input should be a valid integer, unable to parse string as an integer";
    refuse(&[error(
        "int_parsing",
        &json!(["path", name]),
        msg,
        &json!(echoed(text)),
    )])
}

fn redacted(name: &str, value: &Value) -> Value {
    if TOLD.contains(&name) {
        shortened(value)
    } else {
        json!(REDACTED)
    }
}

fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("PRIVATE KEY") => json!(REDACTED),
        Value::String(text) => json!(echoed(text)),
        Value::Array(_) | Value::Object(_) => json!("..."),
        other => other.clone(),
    }
}

impl Body {
    /// Reads a body; an error is the whole answer.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Answer> {
        if bytes.is_empty() {
            return Err(refuse(&[error(
                "missing",
                &json!(["body"]),
                "Field required",
                &Value::Null,
            )]));
        }
        match serde_json::from_slice::<Members>(bytes) {
            Ok(members) => Ok(Self {
                members,
                wrong: Vec::new(),
            }),
            Err(problem)
                if problem.is_data()
                    && serde_json::from_slice::<Value>(bytes)
                        .is_ok_and(|value| !value.is_object()) =>
            {
                let msg = "Input should be a valid dictionary or object to extract fields from";
                Err(refuse(&[error(
                    "model_attributes_type",
                    &json!(["body"]),
                    msg,
                    &json!(REDACTED),
                )]))
            }
            Err(problem) => Err(refuse(&[json!({
                "type": "json_invalid",
                "loc": ["body", problem.column()],
                "msg": "JSON decode error",
                "input": {},
                "ctx": { "error": if problem.is_data() { "a member is there twice" } else { "it is not JSON" } },
            })])),
        }
    }

    /// Ends the checks: `Err` with everything that is wrong, if anything is.
    pub(super) fn checked(&self) -> Result<(), Answer> {
        if self.wrong.is_empty() {
            Ok(())
        } else {
            Err(refuse(&self.wrong))
        }
    }

    /// Adds something that is wrong with a member.
    pub(super) fn refuse(&mut self, name: &str, why: &str) {
        let sent = self.members.0.get(name).cloned().unwrap_or(Value::Null);
        let msg = format!("Value error, {why}");
        self.wrong.push(error(
            "value_error",
            &json!(["body", name]),
            &msg,
            &redacted(name, &sent),
        ));
    }

    fn is_wrong(&mut self, kind: &str, name: &str, msg: &str) {
        let sent = self.members.0.get(name).cloned().unwrap_or(Value::Null);
        self.wrong.push(error(
            kind,
            &json!(["body", name]),
            msg,
            &redacted(name, &sent),
        ));
    }

    /// Returns a member that was sent; one that is `null` counts as not sent.
    fn sent(&self, name: &str) -> Option<&Value> {
        self.members.0.get(name).filter(|value| !value.is_null())
    }

    fn is_missing(&mut self, name: &str) {
        if self.members.0.contains_key(name) {
            self.is_wrong("string_type", name, "Input should be a valid string");
            return;
        }
        let whole: Map<String, Value> = self
            .members
            .0
            .iter()
            .map(|(name, value)| {
                // Whoever swaps name and value has sent a key as a name.
                let known = TOLD.contains(&name.as_str()) || SECRETS.contains(&name.as_str());
                let name = if known { name.as_str() } else { "..." };
                (name.to_owned(), redacted(name, value))
            })
            .collect();
        self.wrong.push(error(
            "missing",
            &json!(["body", name]),
            "Field required",
            &Value::Object(whole),
        ));
    }

    /// Reads an optional text of a length, both ends included.
    pub(super) fn text(&mut self, name: &str, least: usize, most: usize) -> Option<String> {
        let Value::String(text) = self.sent(name)?.clone() else {
            self.is_wrong("string_type", name, "Input should be a valid string");
            return None;
        };
        let length = text.chars().count();
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        if length < least {
            let msg = format!(
                "String should have at least {least} character{}",
                plural(least)
            );
            self.is_wrong("string_too_short", name, &msg);
            return None;
        }
        if length > most {
            let msg = format!(
                "String should have at most {most} character{}",
                plural(most)
            );
            self.is_wrong("string_too_long", name, &msg);
            return None;
        }
        Some(text)
    }

    /// Reads a text that must be there.
    pub(super) fn required(&mut self, name: &str, least: usize, most: usize) -> Option<String> {
        if self.sent(name).is_none() {
            self.is_missing(name);
            return None;
        }
        self.text(name, least, most)
    }

    /// Reads a text without the blanks at its ends: its length is that of the rest.
    pub(super) fn trimmed(&mut self, name: &str, least: usize, most: usize) -> Option<String> {
        if let Some(Value::String(text)) = self.members.0.get_mut(name) {
            *text = text.trim().to_owned();
        }
        self.text(name, least, most)
    }

    /// Reads an optional secret.
    pub(super) fn secret(&mut self, name: &str, least: usize, most: usize) -> Option<SecretText> {
        self.text(name, least, most).map(SecretText::new)
    }

    /// Reads an optional port; digits in a string count as the number.
    pub(super) fn port(&mut self, name: &str) -> Option<u16> {
        let sent = self.sent(name)?.clone();
        let number = match &sent {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => match text.trim().parse::<i64>() {
                Ok(number) => Some(number),
                Err(_not_a_number) => {
                    let msg =
                        "Input should be a valid integer, unable to parse string as an integer";
                    self.is_wrong("int_parsing", name, msg);
                    return None;
                }
            },
            _ => None,
        };
        match number {
            None => self.is_wrong("int_type", name, "Input should be a valid integer"),
            Some(..=0) => self.is_wrong(
                "greater_than_equal",
                name,
                "Input should be greater than or equal to 1",
            ),
            Some(65_536..) => self.is_wrong(
                "less_than_equal",
                name,
                "Input should be less than or equal to 65535",
            ),
            Some(number) => return u16::try_from(number).ok(),
        }
        None
    }

    /// Reads an optional switch.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        match self.sent(name)? {
            Value::Bool(on) => return Some(*on),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => return Some(true),
                "false" | "0" | "no" | "off" => return Some(false),
                _ => {}
            },
            Value::Number(number) => match number.as_i64() {
                Some(1) => return Some(true),
                Some(0) => return Some(false),
                _ => {}
            },
            _ => {}
        }
        self.is_wrong("bool_type", name, "Input should be a valid boolean");
        None
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and small"
)]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e9).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body::read(text.as_bytes()).unwrap()
    }

    fn told(answer: &Answer) -> Value {
        assert_eq!(answer.status, 422);
        serde_json::from_str(&answer.body).unwrap()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_in_the_known_shape() {
        let mut body = body(r#"{"name": "", "port": 0}"#);
        assert_eq!(body.required("name", 1, 100), None);
        assert_eq!(body.required("hostname", 1, 255), None);
        assert_eq!(body.port("port"), None);
        let told = told(&body.checked().unwrap_err());
        assert_eq!(
            told,
            json!({"detail": [
                {"type": "string_too_short", "loc": ["body", "name"], "msg": "String should have at least 1 character", "input": ""},
                {"type": "missing", "loc": ["body", "hostname"], "msg": "Field required", "input": {"name": "", "port": 0}},
                {"type": "greater_than_equal", "loc": ["body", "port"], "msg": "Input should be greater than or equal to 1", "input": 0},
            ]})
        );
    }

    #[test]
    fn secrets_are_never_told_back_whatever_they_are_called() {
        let mut body = body(
            r#"{"private_key": "canary-one", "private_key_passphrase": 7, "privateKey": "canary-two", "canary-three": 1, "name": "-----BEGIN OPENSSH PRIVATE KEY-----canary"}"#,
        );
        assert!(body.secret("private_key", 40, 9).is_none());
        assert!(body.secret("private_key_passphrase", 0, 255).is_none());
        assert!(body.text("name", 1, 10).is_none());
        assert!(body.required("hostname", 1, 255).is_none());
        let answer = body.checked().unwrap_err();
        assert!(!answer.body.contains("canary"), "{}", answer.body);
        let told = told(&answer);
        assert_eq!(told["detail"][0]["input"], REDACTED);
        assert_eq!(told["detail"][1]["input"], REDACTED);
        let names: Vec<&String> = told["detail"][3]["input"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(
            names,
            ["...", "name", "private_key", "private_key_passphrase"]
        );
        assert_eq!(told["detail"][3]["input"]["..."], REDACTED);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (text, kind) in [
            ("", "missing"),
            ("[]", "model_attributes_type"),
            ("\"-----BEGIN\"", "model_attributes_type"),
            ("null", "model_attributes_type"),
            ("{", "json_invalid"),
            ("{'name': 1}", "json_invalid"),
            (r#"{"name": "a", "name": "b"}"#, "json_invalid"),
            ("{\"name\": \"\u{0}\"}", "json_invalid"),
            (deep.as_str(), "json_invalid"),
            (&format!(r#"{{"name": {deep}}}"#), "json_invalid"),
        ] {
            let answer = Body::read(text.as_bytes()).unwrap_err();
            assert_eq!(told(&answer)["detail"][0]["type"], kind, "{text:.40}");
            assert!(answer.body.len() < 500);
        }
        assert!(Body::read(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn values_are_read_as_the_old_portal_read_them() {
        let mut body = body(
            r#"{"a": "22", "b": 2222.0, "c": true, "d": "false", "e": null, "f": " x ", "g": 1, "h": "22x", "i": [1], "j": 1.5}"#,
        );
        assert_eq!(body.port("a"), Some(22));
        assert_eq!(body.port("b"), Some(2222));
        assert_eq!(body.switch("c"), Some(true));
        assert_eq!(body.switch("d"), Some(false));
        assert_eq!(body.text("e", 1, 10), None);
        assert_eq!(body.trimmed("f", 1, 1), Some("x".to_owned()));
        assert!(body.checked().is_ok());
        assert_eq!(body.text("g", 1, 10), None);
        assert_eq!(body.port("h"), None);
        assert_eq!(body.switch("i"), None);
        assert_eq!(body.port("j"), None);
        let told = told(&body.checked().unwrap_err());
        let kinds: Vec<_> = told["detail"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["type"].clone())
            .collect();
        assert_eq!(
            kinds,
            ["string_type", "int_parsing", "bool_type", "int_type"]
        );
    }

    #[test]
    fn a_long_value_is_told_in_part() {
        let mut body = body(&json!({"name": "n".repeat(10_000)}).to_string());
        assert!(body.text("name", 1, 100).is_none());
        assert!(body.checked().unwrap_err().body.len() < 1000);
    }
}
