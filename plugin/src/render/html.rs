//! One page that works from a file: the document of a report, and a script that shows it.

use serde::Serialize;

use crate::error::CommandError;
use crate::report::View;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");

/// The title of a page, and the script that reads the document out of it and puts all of it in as
/// text.
fn parts(view: View) -> (&'static str, &'static str) {
    match view {
        View::Document => ("Report", include_str!("html/document.js")),
        View::Drift => ("Drift", include_str!("html/drift.js")),
    }
}

/// The page of a document.
///
/// # Errors
/// The document cannot be written.
pub(super) fn page(document: &impl Serialize, view: View) -> Result<String, CommandError> {
    let json = serde_json::to_string(document).map_err(CommandError::new)?;
    // What is in a script element ends where `</` or `<!--` says so, whatever is JSON in it.
    let json = json.replace('<', "\\u003c");
    let (title, script) = parts(view);
    Ok(PAGE
        .replace("%TITLE%", title)
        .replace("%STYLE%", STYLE.trim_end())
        .replace("%SCRIPT%", script.trim_end())
        .replace("%REPORT%", &json))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_in_a_document_ends_its_element() {
        let document = json!({"a": "</script><script>alert(1)</script><!--"});
        let page = page(&document, View::Drift).unwrap();

        let (_, rest) = page.split_once(r#"id="report">"#).unwrap();
        let (kept, _) = rest.split_once("</script>").unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(kept).unwrap(),
            document
        );
    }
}
