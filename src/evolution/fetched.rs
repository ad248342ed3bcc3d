//! The JSON that `GET /instance/fetchInstances` returns.

use anyhow::Result;
use serde_json::Value;

use super::instances::Instance;
use crate::exit::failure;

const HOW: &str = "save it with: curl -s -H 'apikey: <the global key>' https://<server>/instance/fetchInstances > instances.json";

/// Reads the instances.
///
/// Takes the array of 2.x, the older form with everything under `instance`, or a single object of either form.
///
/// # Errors
/// When it is no JSON, is the server's refusal instead, or lists something without a name.
pub fn instances(json: &[u8]) -> Result<Vec<Instance>> {
    let json = json.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(json);
    let value: Value =
        serde_json::from_slice(json).map_err(|error| failure(format!("this is no JSON: {error}"), HOW))?;
    let items = match value {
        Value::Array(items) => items,
        Value::Object(_) => vec![value],
        _ => return Err(failure("this JSON is no list of instances", HOW)),
    };
    if items.is_empty() {
        return Err(failure("this JSON lists no instance, so nothing could be compared with it", HOW));
    }
    items.iter().enumerate().map(|(at, item)| instance(at, item)).collect()
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
            (Some(status), Some(error)) => failure(
                format!("this is the server's refusal, {status} {error}, and no list of instances"),
                HOW,
            ),
            _ => failure(format!("entry {} of this JSON has no name, so it is no instance", at + 1), HOW),
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
        let read = |json: &str| instances(json.as_bytes()).unwrap();
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
        assert_eq!(read(nested), [Instance { number: None, ..expected }]);
        let bare = read(r#"[{"name":" x ","number":null,"token":null}]"#);
        assert_eq!(bare, [Instance { name: " x ".into(), ..Instance::default() }]);
    }

    #[test]
    fn what_is_no_list_of_instances_says_so() {
        let error = |json: &str| instances(json.as_bytes()).unwrap_err().to_string();
        assert!(error("<html>").contains("no JSON"));
        assert!(error("3").contains("no list of instances"));
        assert!(error("[]").contains("lists no instance"));
        assert!(error(r#"[{"name":"a"},{"id":"x"}]"#).contains("entry 2"));
        let refusal = error(r#"{"status":401,"error":"Unauthorized","response":{"message":"Unauthorized"}}"#);
        assert!(refusal.contains("401") && refusal.contains("Unauthorized"), "{refusal}");
    }
}
