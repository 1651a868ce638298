//! `-o diff`: a unified diff an object, from what is there to what a sync would make of it.

use std::time::Duration;

use serde_json::Value;
use similar::TextDiff;

use super::yaml;
use crate::error::CommandError;
use crate::report::ObjectDiff;

/// What an object that is not there is called, as Git has it.
const ABSENT: &str = "/dev/null";
/// After how long a diff need not be the shortest one.
const PATIENCE: Duration = Duration::from_secs(2);

/// All of them.
///
/// # Errors
/// An object cannot be written.
pub(super) fn unified(diffs: &[ObjectDiff]) -> Result<String, CommandError> {
    let mut text = String::new();
    for diff in diffs {
        let sides = [("LIVE", &diff.live), ("MERGED", &diff.merged)];
        let [live, merged] =
            sides.map(|(folder, object)| side(folder, &diff.name, object.as_ref()));
        let ((live_name, live), (merged_name, merged)) = (live?, merged?);
        let changes = TextDiff::configure()
            .timeout(PATIENCE)
            .diff_lines(&live, &merged);
        let mut unified = changes.unified_diff();
        text.push_str(&unified.header(&live_name, &merged_name).to_string());
    }
    Ok(text)
}

fn side(
    folder: &str,
    name: &str,
    object: Option<&Value>,
) -> Result<(String, String), CommandError> {
    Ok(match object {
        Some(object) => (format!("{folder}/{name}"), yaml::document(object)?),
        None => (ABSENT.to_owned(), String::new()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_added_changed_and_taken_away_can_be_read_as_a_diff() {
        let diffs = [
            ObjectDiff {
                name: "v1.ConfigMap.shop.cart".to_owned(),
                live: Some(json!({"data": {"a": "1", "b": "2"}})),
                merged: Some(json!({"data": {"a": "1", "b": "3"}})),
            },
            ObjectDiff {
                name: "v1.Service.shop.cart".to_owned(),
                live: None,
                merged: Some(json!({"kind": "Service"})),
            },
        ];
        assert_eq!(
            unified(&diffs).unwrap(),
            "\
--- LIVE/v1.ConfigMap.shop.cart
+++ MERGED/v1.ConfigMap.shop.cart
@@ -1,3 +1,3 @@
 data:
   a: \"1\"
-  b: \"2\"
+  b: \"3\"
--- /dev/null
+++ MERGED/v1.Service.shop.cart
@@ -0,0 +1 @@
+kind: Service
"
        );
    }
}
