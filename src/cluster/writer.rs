//! The one writer of worlds: takes in the watches' events and derives what follows from them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::baselines::{BaselineState, choose};
use super::index::Change;
use super::mirror::{Event, Mirror, copy_on_write};
use super::nodes::shapes;
use super::watch::Message;
use super::world::{NamespaceEntry, World};
use crate::api::{CloudServiceProvider, CloudWorkload, PublicSectorEntity, SecurityBaseline};
use crate::control::Node;

/// The kinds that are watched.
pub(super) const KINDS: [&str; 7] = [
    "Namespace",
    "CloudWorkload",
    "CloudServiceProvider",
    "PublicSectorEntity",
    "SecurityBaseline",
    "EndpointSlice",
    "Node",
];

/// The state behind the worlds.
#[derive(Default)]
pub(super) struct Writer {
    world: World,
    namespaces: Mirror<ObjectMeta>,
    declarations: Mirror<CloudWorkload>,
    providers: Mirror<CloudServiceProvider>,
    entities: Mirror<PublicSectorEntity>,
    baselines: Mirror<SecurityBaseline>,
    endpoints: Mirror<EndpointSlice>,
    nodes: Mirror<Node>,
    /// Name, uid and generation of the baselines that the state was derived from.
    compiled: BTreeSet<(String, Option<String>, Option<i64>)>,
}

impl Writer {
    /// The world as it is now.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The kinds whose first list isn't complete.
    pub(super) fn unsynced(&self) -> Vec<&'static str> {
        let synced = [
            self.namespaces.synced(),
            self.declarations.synced(),
            self.providers.synced(),
            self.entities.synced(),
            self.baselines.synced(),
            self.endpoints.synced(),
            self.nodes.synced(),
        ];
        KINDS.into_iter().zip(synced).filter(|(_, synced)| !synced).map(|(kind, _)| kind).collect()
    }

    /// Takes in events, then derives once for all of them.
    pub(super) fn take(&mut self, messages: impl Iterator<Item = Message>) -> BTreeSet<Change> {
        let mut changes = BTreeSet::new();
        let mut namespaces = BTreeSet::new();
        let mut baselines = BTreeSet::new();
        for message in messages {
            match message {
                Message::Namespace(event) => namespaces.extend(self.namespaces.take(event)),
                Message::Declaration(event) => namespaces.extend(self.declarations.take(event)),
                Message::Baseline(event) => baselines.extend(self.baselines.take(event)),
                Message::Provider(event) => {
                    changes.extend(self.providers.take(event).into_iter().map(Change::Provider))
                }
                Message::Entity(event) => changes.extend(self.entities.take(event).into_iter().map(Change::Entity)),
                Message::Endpoints(event) => self.api_server(event, &mut changes),
                Message::Node(event) => {
                    self.nodes.take(event);
                }
            }
        }
        self.world.providers = Arc::clone(self.providers.store());
        self.world.entities = Arc::clone(self.entities.store());
        self.world.baselines = Arc::clone(self.baselines.store());
        if !Arc::ptr_eq(&self.world.nodes, self.nodes.store()) {
            if shapes(&self.world.nodes) != shapes(self.nodes.store()) {
                changes.insert(Change::Nodes);
            }
            self.world.nodes = Arc::clone(self.nodes.store());
        }
        for name in &namespaces {
            self.namespace(name);
        }
        changes.extend(namespaces.into_iter().map(Change::Namespace));
        if !baselines.is_empty() {
            changes.extend(baselines.into_iter().map(Change::Baseline));
            self.compile(&mut changes);
        }
        changes
    }

    /// Derives the entry of one namespace.
    fn namespace(&mut self, name: &str) {
        let entries = copy_on_write(&mut self.world.namespaces);
        let metadata = self.namespaces.store().get(name).cloned();
        let declaration = self.declarations.store().get(name).cloned();
        if metadata.is_none() && declaration.is_none() {
            entries.remove(name);
        } else {
            let entry = NamespaceEntry { name: name.to_owned(), metadata, declaration };
            entries.insert(name.to_owned(), Arc::new(entry));
        }
    }

    /// Chooses and compiles anew, unless only statuses and metadata changed.
    fn compile(&mut self, changes: &mut BTreeSet<Change>) {
        let identity = |baseline: &Arc<SecurityBaseline>| {
            let metadata = &baseline.metadata;
            (metadata.name.clone().unwrap_or_default(), metadata.uid.clone(), metadata.generation)
        };
        let present: BTreeSet<_> = self.baselines.store().values().map(identity).collect();
        if present == self.compiled {
            return;
        }
        self.compiled = present;
        let (engines, state) = choose(self.baselines.store());
        let stale = engines.is_none() && self.world.engines.is_some();
        if let Some(engines) = engines {
            let regime = &engines.default_engine().regime;
            tracing::info!(baseline = regime.baseline, version = regime.version, "a baseline is in force");
            self.world.engines = Some(Arc::new(engines));
        } else {
            tracing::warn!(reason = state.reason(), last_good = stale, "no baseline that is written can be in force");
        }
        self.world.baseline = Arc::new(BaselineState { stale, ..state });
        // Whatever is in force now, each of them may have another fate.
        changes.extend(self.baselines.store().keys().cloned().map(Change::Baseline));
    }

    fn api_server(&mut self, event: Event<EndpointSlice>, changes: &mut BTreeSet<Change>) {
        if self.endpoints.take(event).is_empty() {
            return;
        }
        let addresses: BTreeSet<_> = self.endpoints.store().values().flat_map(|slice| addresses(slice)).collect();
        if addresses != *self.world.api_server {
            self.world.api_server = Arc::new(addresses);
            changes.insert(Change::ApiServer);
        }
    }
}

/// Every address with every TCP port.
fn addresses(slice: &EndpointSlice) -> Vec<(IpAddr, u16)> {
    let tcp = slice.ports.iter().flatten().filter(|port| port.protocol.as_deref().is_none_or(|name| name == "TCP"));
    let ports: Vec<u16> = tcp.filter_map(|port| u16::try_from(port.port?).ok()).collect();
    let endpoints = slice.endpoints.iter().flatten().flat_map(|endpoint| &endpoint.addresses);
    let addresses = endpoints.filter_map(|address| address.parse().ok());
    addresses.flat_map(|address: IpAddr| ports.iter().map(move |port| (address, *port))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn baseline(name: &str, generation: i64, change: impl FnOnce(&mut SecurityBaseline)) -> Message {
        let mut baseline = crate::baseline::shipped().unwrap();
        baseline.metadata.name = Some(name.to_owned());
        baseline.metadata.uid = Some(name.to_owned());
        baseline.metadata.generation = Some(generation);
        for control in &mut baseline.spec.controls {
            if control.id == "image/approved-registries" {
                control.params.insert("registries".to_owned(), json!(["registry.example.gov.pk"]));
            }
        }
        change(&mut baseline);
        Message::Baseline(Event::Seen(name.to_owned(), Some(baseline)))
    }

    fn version(writer: &Writer) -> String {
        writer.world().engines.as_ref().unwrap().default_engine().regime.version.clone()
    }

    #[test]
    fn a_baseline_that_does_not_compile_leaves_the_last_good_one() {
        let mut writer = Writer::default();
        writer.take([baseline("pk", 1, |baseline| baseline.spec.version = "good".to_owned())].into_iter());
        assert_eq!(version(&writer), "good");
        assert!(!writer.world().baseline.stale);
        let broken = baseline("pk", 2, |baseline| {
            baseline.spec.version = "bad".to_owned();
            baseline.spec.controls[0].id = "no/such-control".to_owned();
        });
        let changes = writer.take([broken].into_iter());
        assert_eq!(version(&writer), "good");
        assert!(writer.world().baseline.stale);
        assert!(changes.contains(&Change::Baseline("pk".to_owned())));
        writer.take([Message::Baseline(Event::Gone("pk".to_owned()))].into_iter());
        assert_eq!(version(&writer), "good");
        writer.take([baseline("pk", 3, |baseline| baseline.spec.version = "mended".to_owned())].into_iter());
        assert_eq!(version(&writer), "mended");
        assert!(!writer.world().baseline.stale);
    }

    #[test]
    fn a_change_of_the_status_alone_compiles_nothing() {
        let mut writer = Writer::default();
        writer.take([baseline("pk", 1, |_| {})].into_iter());
        let before = writer.world().engines.clone().unwrap();
        let changed =
            baseline("pk", 1, |baseline| baseline.status = Some(crate::api::SecurityBaselineStatus::default()));
        writer.take([changed].into_iter());
        assert!(Arc::ptr_eq(&before, writer.world().engines.as_ref().unwrap()));
    }

    #[test]
    fn a_declaration_may_be_seen_before_its_namespace() {
        let mut writer = Writer::default();
        let workload: CloudWorkload = serde_json::from_value(json!({
            "apiVersion": "amanat.dev/v1alpha1", "kind": "CloudWorkload",
            "metadata": {"name": "workload", "namespace": "fbr"},
            "spec": {"owner": "fbr", "dataClass": "Open", "provider": "ntc", "model": "Public", "service": "IaaS"},
        }))
        .unwrap();
        writer.take([Message::Declaration(Event::Seen("fbr".to_owned(), Some(workload)))].into_iter());
        let entry = writer.world().namespace("fbr").unwrap().clone();
        assert!(entry.metadata.is_none() && entry.declaration.is_some());
        let labels = Some([("a".to_owned(), "b".to_owned())].into());
        let metadata = ObjectMeta { name: Some("fbr".to_owned()), labels, ..ObjectMeta::default() };
        writer.take([Message::Namespace(Event::Seen("fbr".to_owned(), Some(metadata)))].into_iter());
        let entry = writer.world().namespace("fbr").unwrap().clone();
        assert!(entry.declaration.is_some());
        assert_eq!(entry.label("a"), Some("b"));
        writer.take([Message::Declaration(Event::Gone("fbr".to_owned()))].into_iter());
        assert!(writer.world().namespace("fbr").unwrap().declaration.is_none());
        writer.take([Message::Namespace(Event::Gone("fbr".to_owned()))].into_iter());
        assert!(writer.world().namespace("fbr").is_none());
    }

    #[test]
    fn the_api_server_is_followed() {
        let slice = |address: &str| -> EndpointSlice {
            serde_json::from_value(json!({
                "metadata": {"name": "kubernetes"}, "addressType": "IPv4",
                "endpoints": [{"addresses": [address]}, {"addresses": ["10.0.0.9"]}],
                "ports": [{"port": 6443, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
            }))
            .unwrap()
        };
        let mut writer = Writer::default();
        let seen = |address| Message::Endpoints(Event::Seen("kubernetes".to_owned(), Some(slice(address))));
        assert!(writer.take([seen("10.0.0.1")].into_iter()).contains(&Change::ApiServer));
        assert_eq!(
            *writer.world().api_server,
            BTreeSet::from([("10.0.0.1".parse().unwrap(), 6443), ("10.0.0.9".parse().unwrap(), 6443)])
        );
        assert!(writer.take([seen("10.0.0.2")].into_iter()).contains(&Change::ApiServer));
        assert!(!writer.world().api_server.contains(&("10.0.0.1".parse().unwrap(), 6443)));
    }
}
