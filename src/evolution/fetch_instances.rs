//! The JSON that `GET /instance/fetchInstances` returns.

use anyhow::Result;
use memchr::memmem;
use serde_json::Value;

use super::instances::Instance;
use crate::error::user_error;

const HOW: &str = "save it with: curl -s -H 'apikey: <the global key>' https://<server>/instance/fetchInstances > instances.json";

/// Reads the instances.
///
/// Takes the array of 2.x, the older form with everything under `instance`, or a single object of either form; also inside
/// what n8n and other clients put around it, several documents one after another, and behind the head of an answer.
///
/// # Errors
/// When it is not JSON, is the server's refusal instead, or lists something without a name.
pub fn parse_instances(json: &[u8]) -> Result<Vec<Instance>> {
    let json = json.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(json);
    let values = values(body(json))?;
    let mut items = Vec::new();
    for value in values {
        match value {
            Value::Array(_) | Value::Object(_) => items.extend(unwrapped(value)),
            _ => return Err(user_error("this JSON is not a list of instances", HOW)),
        }
    }
    if items.is_empty() {
        return Err(user_error("this JSON lists no instance, so there is nothing to compare with", HOW));
    }
    items.iter().enumerate().map(|(at, item)| instance(at, item)).collect()
}

/// The JSON of one document, or of several, one per line.
fn values(json: &[u8]) -> Result<Vec<Value>> {
    let values: serde_json::Result<Vec<Value>> =
        serde_json::Deserializer::from_slice(json).into_iter().collect();
    match values {
        Ok(values) if values.is_empty() => Err(user_error("this is not JSON: it is empty", HOW)),
        Ok(values) => Ok(values),
        Err(error) => Err(user_error(format!("this is not JSON: {error}"), HOW)),
    }
}

/// The text after the head of a response, as `curl -i` shows it.
fn body(text: &[u8]) -> &[u8] {
    if !text.starts_with(b"HTTP/") {
        return text;
    }
    let ends = [&b"\r\n\r\n"[..], b"\n\n"];
    let bodies = ends.into_iter().filter_map(|end| memmem::find(text, end).map(|at| &text[at + end.len()..]));
    bodies.max_by_key(|body| body.len()).map_or(text, body)
}

/// The items of a list, whatever it is in: `{"response": [...]}`, n8n's `[{"json": {...}}]` and `{"data": [...]}`, lists in
/// a list.
fn unwrapped(value: Value) -> Vec<Value> {
    const AROUND: [&str; 7] = ["response", "json", "data", "body", "instances", "items", "result"];
    match value {
        Value::Array(items) => items.into_iter().flat_map(unwrapped).collect(),
        Value::Object(mut object)
            if !["name", "instanceName", "instance", "id"].iter().any(|key| object.contains_key(*key)) =>
        {
            let is_around =
                |key: &&&str| object.get(**key).is_some_and(|inner| inner.is_array() || inner.is_object());
            match AROUND
                .iter()
                .find(is_around)
                .filter(|key| **key != "response" || !object.contains_key("error"))
            {
                Some(key) => object.remove(*key).map(unwrapped).unwrap_or_default(),
                None => vec![Value::Object(object)],
            }
        }
        item => vec![item],
    }
}

fn instance(at: usize, item: &Value) -> Result<Instance> {
    let inner = item.get("instance").filter(|inner| inner.is_object()).unwrap_or(item);
    let text = |keys: &[&str]| {
        let found = keys.iter().find_map(|key| inner.get(key)).and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        found.filter(|text| !text.is_empty())
    };
    let name = ["name", "instanceName"].iter().find_map(|key| inner.get(key)?.as_str());
    let Some(name) = name else {
        return Err(match (item.get("status"), item.get("error").and_then(Value::as_str)) {
            (Some(status), Some(error)) => user_error(
                format!("this is an error of the server, {status} {error}, and not a list of instances"),
                HOW,
            ),
            _ => user_error(
                format!("entry {} of this JSON has no name, so it is not an instance", at + 1),
                HOW,
            ),
        });
    };
    // What `POST /instance/create` answers holds the token beside the instance, bare or under `apikey`.
    let hash = item.get("hash").and_then(|hash| hash.get("apikey").unwrap_or(hash).as_str());
    Ok(Instance {
        id: text(&["id", "instanceId"]).unwrap_or_default(),
        name: name.to_owned(),
        number: text(&["number"]),
        token: text(&["token", "apikey"]).or_else(|| hash.map(str::to_owned)),
        owner_jid: text(&["ownerJid", "owner"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_are_read_and_a_single_object_too() {
        let read = |json: &str| parse_instances(json.as_bytes()).unwrap();
        let expected = Instance {
            id: "6f1b".into(),
            name: "alpha".into(),
            number: Some("5511".into()),
            token: Some("t".into()),
            owner_jid: Some("5511@s.whatsapp.net".into()),
        };
        let flat = r#"{"id":"6f1b","name":"alpha","connectionStatus":"open","ownerJid":"5511@s.whatsapp.net","number":"5511","token":"t","_count":{"Message":1}}"#;
        assert_eq!(read(&format!("[{flat}]")), std::slice::from_ref(&expected));
        assert_eq!(read(&format!("\u{FEFF}{flat}")), std::slice::from_ref(&expected));
        let nested = r#"[{"instance":{"instanceName":"alpha","instanceId":"6f1b","owner":"5511@s.whatsapp.net","status":"open"},"hash":{"apikey":"t"}}]"#;
        assert_eq!(read(nested), [Instance { number: None, ..expected.clone() }]);
        for around in [
            format!(r#"{{"response":[{flat}]}}"#),
            format!(r#"[{{"json":{flat}}}]"#),
            format!(r#"[{{"json":{{"data":[{flat}]}}}}]"#),
            format!("[[{flat}]]"),
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[{flat}]"),
        ] {
            assert_eq!(read(&around), std::slice::from_ref(&expected), "{around}");
        }
        assert_eq!(read(&format!("{flat}\n{flat}\n")).len(), 2);
        let bare = read(r#"[{"name":" x ","number":null,"token":null}]"#);
        assert_eq!(bare, [Instance { name: " x ".into(), ..Instance::default() }]);
    }

    #[test]
    fn json_that_is_not_a_list_of_instances_is_refused() {
        let error = |json: &str| parse_instances(json.as_bytes()).unwrap_err().to_string();
        assert!(error("<html>").contains("not JSON"));
        assert!(error("3").contains("not a list of instances"));
        assert!(error("[]").contains("lists no instance"));
        assert!(error(r#"[{"name":"a"},{"id":"x"}]"#).contains("entry 2"));
        let refusal = error(r#"{"status":401,"error":"Unauthorized","response":{"message":"Unauthorized"}}"#);
        assert!(refusal.contains("401") && refusal.contains("Unauthorized"), "{refusal}");
    }
}
