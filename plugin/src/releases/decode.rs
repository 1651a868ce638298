//! From the object that holds a revision to the release.

use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use golang::json::null_as_default;
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::stored::{Driver, StoredRevision};
use super::{Chart, ChartFile, ChartMetadata, Hidden, Hook, Release};

/// The most that a release may be without compression, in bytes. A Secret holds 1 MiB.
const LIMIT: u64 = 64 << 20;

/// With what data begin that gzip has compressed. What Helm wrote before it did so has none of it.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// An object does not hold a release that can be read. Nothing of what it holds is quoted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{object} in namespace {namespace}")]
pub(crate) struct DecodeError {
    object: String,
    namespace: String,
    #[source]
    reason: DecodeErrorReason,
}

/// Why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum DecodeErrorReason {
    #[error("it is not as Helm writes it: it has no text data.release")]
    NoData,
    #[error("data.release: it is not base64")]
    Base64,
    #[error("data.release: it is cut off or broken, and cannot be decompressed")]
    Gzip,
    #[error("data.release: it is larger than {} MiB without compression", LIMIT >> 20)]
    TooLarge,
    #[error("data.release: the release in it is not as Helm writes it: {place}")]
    Form { place: String },
    #[error("data.release: a file of the chart in it is not base64")]
    File,
    #[error("data.release: it holds revision {found} of {name:?}, which its labels do not say")]
    Another { name: String, found: u64 },
}

#[derive(Deserialize)]
struct Object {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    release: Zeroizing<String>,
}

/// A release as Helm writes it (Helm 4.3, `pkg/release/v1`; Helm 3 has the same names).
#[derive(Deserialize)]
struct Written {
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    namespace: String,
    version: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    info: Info,
    #[serde(default, deserialize_with = "null_as_default")]
    chart: WrittenChart,
    #[serde(default, deserialize_with = "null_as_default")]
    config: Map<String, Value>,
    #[serde(default, deserialize_with = "null_as_default")]
    manifest: String,
    #[serde(default, deserialize_with = "null_as_default")]
    hooks: Vec<WrittenHook>,
}

#[derive(Default, Deserialize)]
struct Info {
    #[serde(default, deserialize_with = "null_as_default")]
    last_deployed: String,
    #[serde(default, deserialize_with = "null_as_default")]
    notes: String,
}

#[derive(Default, Deserialize)]
struct WrittenChart {
    #[serde(default)]
    metadata: Value,
    #[serde(default, deserialize_with = "null_as_default")]
    templates: Vec<WrittenFile>,
    #[serde(default, deserialize_with = "null_as_default")]
    values: Map<String, Value>,
    /// In base64.
    #[serde(default, deserialize_with = "null_as_default")]
    schema: String,
    #[serde(default, deserialize_with = "null_as_default")]
    files: Vec<WrittenFile>,
}

#[derive(Deserialize)]
struct WrittenFile {
    name: String,
    /// In base64.
    #[serde(default, deserialize_with = "null_as_default")]
    data: String,
}

impl WrittenChart {
    fn read(self) -> Result<Chart, DecodeErrorReason> {
        let text = |field: &str| {
            let value = self.metadata.get(field).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let metadata = ChartMetadata {
            name: text("name"),
            version: text("version"),
            app_version: text("appVersion"),
        };
        let files = |files: Vec<WrittenFile>| {
            let files = files.into_iter().map(WrittenFile::read);
            files.collect::<Result<Vec<_>, _>>()
        };
        let schema = BASE64_STANDARD.decode(&self.schema);
        let schema = schema.map_err(|_| DecodeErrorReason::File)?;
        Ok(Chart {
            metadata,
            definition: self.metadata,
            templates: files(self.templates)?,
            files: files(self.files)?,
            values: Hidden::new(self.values),
            schema: (!schema.is_empty()).then_some(schema),
        })
    }
}

impl WrittenFile {
    fn read(self) -> Result<ChartFile, DecodeErrorReason> {
        let data = BASE64_STANDARD.decode(&self.data);
        Ok(ChartFile {
            name: self.name,
            data: Hidden::new(data.map_err(|_| DecodeErrorReason::File)?),
        })
    }
}

#[derive(Deserialize)]
struct WrittenHook {
    #[serde(default, deserialize_with = "null_as_default")]
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    kind: String,
    #[serde(default, deserialize_with = "null_as_default")]
    events: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    delete_policies: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    manifest: String,
}

/// Reads the release that an object holds (Helm 4.3, `pkg/storage/driver`, `decodeRelease`).
///
/// # Errors
/// The object does not hold one, or holds another than its labels say.
pub(crate) fn decode(stored: &StoredRevision, json: &str) -> Result<Release, DecodeError> {
    read(stored, json).map_err(|reason| DecodeError {
        object: format!("{}/{}", stored.driver, stored.object),
        namespace: stored.namespace.clone(),
        reason,
    })
}

fn read(stored: &StoredRevision, json: &str) -> Result<Release, DecodeErrorReason> {
    let object: Object = serde_json::from_str(json).map_err(|_| DecodeErrorReason::NoData)?;
    let encoded = match stored.driver {
        // What the API server has of a Secret is encoded once more.
        Driver::Secret => from_base64(object.data.release.as_bytes())?,
        Driver::ConfigMap => Zeroizing::new(object.data.release.as_bytes().to_vec()),
    };
    let compressed = from_base64(&encoded)?;
    let text = if compressed.starts_with(&GZIP) {
        decompressed(&compressed)?
    } else {
        compressed
    };
    let written = parse(&text)?;
    if written.name != stored.release || written.version != stored.revision {
        return Err(DecodeErrorReason::Another {
            name: written.name,
            found: written.version,
        });
    }
    let hooks = written.hooks.into_iter().map(|hook| Hook {
        name: hook.name,
        kind: hook.kind,
        events: hook.events,
        delete_policies: hook.delete_policies,
        manifest: Hidden::new(hook.manifest),
    });
    Ok(Release {
        name: written.name,
        namespace: if written.namespace.is_empty() {
            stored.namespace.clone()
        } else {
            written.namespace
        },
        revision: written.version,
        last_deployed: written.info.last_deployed.parse().ok(),
        chart: written.chart.read()?,
        config: Hidden::new(written.config),
        has_notes: !written.info.notes.trim().is_empty(),
        manifest: Hidden::new(written.manifest),
        hooks: hooks.collect(),
    })
}

fn from_base64(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecodeErrorReason> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded
        .map(Zeroizing::new)
        .map_err(|_| DecodeErrorReason::Base64)
}

fn decompressed(compressed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecodeErrorReason> {
    let mut text = Zeroizing::new(Vec::new());
    let mut bounded = GzDecoder::new(compressed).take(LIMIT + 1);
    bounded
        .read_to_end(&mut text)
        .map_err(|_| DecodeErrorReason::Gzip)?;
    if text.len() as u64 > LIMIT {
        return Err(DecodeErrorReason::TooLarge);
    }
    Ok(text)
}

/// Says where it is not as Helm writes it, and not what is written there.
fn parse(text: &[u8]) -> Result<Written, DecodeErrorReason> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut json);
    let written: Written = read.map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        let place = match inner.classify() {
            serde_json::error::Category::Data => format!("field {path}"),
            _ => format!("column {} is not JSON", inner.column()),
        };
        DecodeErrorReason::Form { place }
    })?;
    let nothing_else = json.end();
    nothing_else.map_err(|error| DecodeErrorReason::Form {
        place: format!("column {} is not JSON", error.column()),
    })?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::Status;
    use super::*;
    use crate::error::chain;

    /// A value that no message may have.
    const SECRET: &str = "hunter2";

    fn stored(driver: Driver, release: &str, revision: u64) -> StoredRevision {
        StoredRevision {
            driver,
            namespace: "shop".to_owned(),
            object: format!("sh.helm.release.v1.{release}.v{revision}"),
            release: release.to_owned(),
            revision,
            status: Status::Deployed,
            managers: BTreeSet::new(),
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The object of a driver that holds this, as Helm encodes it.
    fn object(driver: Driver, held: &[u8]) -> String {
        let once = BASE64_STANDARD.encode(held);
        let release = match driver {
            Driver::Secret => BASE64_STANDARD.encode(once),
            Driver::ConfigMap => once,
        };
        json!({"kind": "Secret", "data": {"release": release}}).to_string()
    }

    fn written() -> Value {
        json!({
            "name": "orders",
            "namespace": "shop",
            "version": 3,
            "info": {
                "first_deployed": "2026-01-01T10:00:00.5+01:00",
                "last_deployed": "2026-01-02T10:00:00.123456789+01:00",
                "deleted": "",
                "status": "deployed",
                "notes": "x",
            },
            "chart": {
                "metadata": {"name": "shop", "version": "1.2.3", "appVersion": "4.5", "apiVersion": "v2"},
                "lock": null,
                "templates": [{"name": "templates/a.yaml", "data": BASE64_STANDARD.encode("kind: A")}],
                "values": {"password": SECRET},
                "schema": BASE64_STANDARD.encode("{}"),
                "files": null,
            },
            "config": {"password": SECRET},
            "manifest": "---\n# Source: shop/templates/a.yaml\nkind: Secret\n",
            "hooks": [{"name": "migrate", "kind": "Job", "events": ["pre-install", "test"]}],
        })
    }

    fn of(driver: Driver, held: &[u8]) -> Result<Release, String> {
        let text = object(driver, held);
        decode(&stored(driver, "orders", 3), &text).map_err(|error| chain(&error))
    }

    #[test]
    fn a_release_is_read_of_either_driver_and_compressed_or_not() {
        let text = written().to_string();
        for driver in Driver::ALL {
            for held in [gzip(text.as_bytes()), text.clone().into_bytes()] {
                let release = of(driver, &held).unwrap();
                assert_eq!(release.name, "orders");
                assert_eq!(release.namespace, "shop");
                assert_eq!(release.revision, 3);
                let time = release.last_deployed.unwrap().to_string();
                assert_eq!(time, "2026-01-02T09:00:00.123456789Z");
                assert_eq!(release.chart.metadata.name, "shop");
                assert_eq!(release.chart.metadata.version, "1.2.3");
                assert_eq!(release.chart.metadata.app_version, "4.5");
                assert_eq!(release.chart.templates[0].name, "templates/a.yaml");
                assert_eq!(release.chart.templates[0].data.expose(), b"kind: A");
                assert_eq!(release.chart.schema.as_deref(), Some(&b"{}"[..]));
                assert_eq!(release.config.expose()["password"], SECRET);
                assert!(release.has_notes);
                assert!(!format!("{release:?}").contains(SECRET));
                assert_eq!(release.hooks[0].kind, "Job");
                assert_eq!(release.hooks[0].events, ["pre-install", "test"]);
                assert!(!format!("{release:?}").contains("Source"));
            }
        }
    }

    /// The Secret that Helm 3.18.4 wrote in an API server of version 1.36, as that answers.
    const OF_HELM_3: &str = include_str!("recorded-helm-3.18.4.json");

    #[test]
    fn what_helm_3_has_written_is_read() {
        let stored = StoredRevision::of(Driver::Secret, OF_HELM_3).unwrap();
        assert_eq!(stored.release, "external-dns");
        assert_eq!(stored.status, Status::Deployed);
        assert!(stored.managers.contains("Helm"));
        let release = decode(&stored, OF_HELM_3).unwrap();
        assert_eq!(release.chart.metadata.version, "1.2.3");
        assert_eq!(release.chart.values.expose()["port"], 53);
        assert_eq!(release.config.expose()["port"], 5353);
        assert_eq!(release.chart.templates.len(), 3);
        assert!(release.has_notes);
        let objects = release.objects().unwrap();
        assert_eq!(objects[0]["data"]["port"], "5353");
        let hook = &release.hooks[0];
        assert_eq!(hook.events, ["pre-install"]);
        assert_eq!(hook.delete_policies, ["hook-succeeded"]);
        assert_eq!(hook.objects().unwrap()[0]["kind"], "ConfigMap");
        assert!(!format!("{release:?}").contains(SECRET));
    }

    #[test]
    fn what_is_not_written_is_empty() {
        let text = json!({"name": "orders", "version": 3, "chart": null, "hooks": null});
        let release = of(Driver::Secret, text.to_string().as_bytes()).unwrap();
        assert_eq!(release.namespace, "shop");
        assert_eq!(release.last_deployed, None);
        assert_eq!(release.chart.metadata, ChartMetadata::default());
        assert!(release.config.expose().is_empty());
    }

    #[test]
    fn what_is_broken_is_named_and_not_quoted() {
        let place = "secret/sh.helm.release.v1.orders.v3 in namespace shop: ";
        let whole = gzip(written().to_string().as_bytes());
        let mut wrong_field = written();
        wrong_field["info"]["last_deployed"] = json!({"hidden": SECRET});
        let mut wrong_hooks = written();
        wrong_hooks["hooks"][0]["kind"] = json!([SECRET]);
        let mut other = written();
        other["version"] = json!(4);
        for (held, reason) in [
            (
                whole[..whole.len() / 2].to_vec(),
                "data.release: it is cut off or broken, and cannot be decompressed",
            ),
            (
                wrong_field.to_string().into_bytes(),
                "data.release: the release in it is not as Helm writes it: field info.last_deployed",
            ),
            (
                wrong_hooks.to_string().into_bytes(),
                "data.release: the release in it is not as Helm writes it: field hooks[0].kind",
            ),
            (
                format!("{{\"name\": \"{SECRET}").into_bytes(),
                "data.release: the release in it is not as Helm writes it: column 17 is not JSON",
            ),
            (
                b"".to_vec(),
                "data.release: the release in it is not as Helm writes it: column 0 is not JSON",
            ),
            (
                format!("{} {{}}", written()).into_bytes(),
                "data.release: the release in it is not as Helm writes it: column",
            ),
            (
                other.to_string().into_bytes(),
                "data.release: it holds revision 4 of \"orders\", which its labels do not say",
            ),
        ] {
            let error = of(Driver::Secret, &held).unwrap_err();
            assert!(error.starts_with(&format!("{place}{reason}")), "{error}");
            assert!(!error.contains(SECRET), "{error}");
        }
        let stored = stored(Driver::Secret, "orders", 3);
        for (text, reason) in [
            (
                "{}",
                "it is not as Helm writes it: it has no text data.release",
            ),
            (
                r#"{"data": {"release": 1}}"#,
                "it is not as Helm writes it: it has no text data.release",
            ),
            (
                r#"{"data": {"release": "hunter2!"}}"#,
                "data.release: it is not base64",
            ),
            // Encoded once only.
            (
                r#"{"data": {"release": "e30="}}"#,
                "data.release: it is not base64",
            ),
        ] {
            let error = chain(&decode(&stored, text).unwrap_err());
            assert_eq!(error, format!("{place}{reason}"));
        }
    }

    #[test]
    fn what_grows_without_end_is_not_decompressed() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![b' '; 1 << 20];
        for _ in 0..=(LIMIT >> 20) {
            encoder.write_all(&zeros).unwrap();
        }
        let held = encoder.finish().unwrap();
        let error = of(Driver::Secret, &held).unwrap_err();
        assert!(
            error.ends_with("it is larger than 64 MiB without compression"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn what_helm_encodes_is_read_back(
            name in "[a-z][a-z0-9-]{0,52}",
            revision in 1..u64::from(u32::MAX),
            manifest in any::<String>(),
            is_compressed in any::<bool>(),
            is_secret in any::<bool>(),
        ) {
            let mut release = written();
            release["name"] = json!(name);
            release["version"] = json!(revision);
            release["manifest"] = json!(manifest);
            let driver = if is_secret { Driver::Secret } else { Driver::ConfigMap };
            let text = release.to_string().into_bytes();
            let held = if is_compressed { gzip(&text) } else { text };
            let read = decode(&stored(driver, &name, revision), &object(driver, &held)).unwrap();
            prop_assert_eq!(read.name, name);
            prop_assert_eq!(read.revision, revision);
            prop_assert_eq!(read.manifest.expose(), &manifest);
        }

        #[test]
        fn no_bytes_make_it_panic(held in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = of(Driver::Secret, &held);
            let _ = of(Driver::Secret, &[&GZIP[..], &held].concat());
        }
    }
}
