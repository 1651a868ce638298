//! Watching objects of an API server, as the JSON that it sends.

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};

use super::api_server::{AccessError, ApiServer, Objects};

impl ApiServer {
    /// The objects that there are, then what becomes of them, for ever: what is interrupted begins
    /// again, later each time.
    pub(crate) fn watch(
        &self,
        objects: &Objects,
        labels: Option<&str>,
    ) -> impl Stream<Item = Result<Event<String>, AccessError>> + use<> {
        let resource = &objects.resource;
        let client = self.client();
        let api: Api<DynamicObject> = match &objects.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, resource),
            None => Api::all_with(client, resource),
        };
        let config = watcher::Config {
            label_selector: labels.map(str::to_owned),
            ..watcher::Config::default()
        };
        let (address, objects) = (self.address().to_owned(), objects.clone());
        watcher(api, config)
            .default_backoff()
            .map_ok(written)
            .map(move |event| {
                event.map_err(|error| AccessError::watching(&objects, &address, error))
            })
    }
}

fn written(event: Event<DynamicObject>) -> Event<String> {
    // What was read as JSON can be written as JSON.
    let json = |object: &DynamicObject| serde_json::to_string(object).unwrap_or_default();
    match event {
        Event::Apply(object) => Event::Apply(json(&object)),
        Event::Delete(object) => Event::Delete(json(&object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(json(&object)),
        Event::InitDone => Event::InitDone,
    }
}
