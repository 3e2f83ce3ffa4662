//! The cluster as it was last seen. A request takes one of these and sees one world from beginning to end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::baselines::BaselineState;
use crate::api::{CloudServiceProvider, CloudWorkload, DATA_CLASS_LABEL, PublicSectorEntity, SecurityBaseline};
use crate::control::Node;
use crate::engine::{Declaration, Engines};

/// Objects of one kind, by name.
pub type Store<K> = Arc<BTreeMap<String, Arc<K>>>;

/// Everything that is watched, and what was compiled from it. Objects are stored without managedFields and without the
/// copy that `kubectl apply` keeps in an annotation.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// What requests are decided by: the last set of baselines that compiled; none until one has.
    pub engines: Option<Arc<Engines>>,
    /// What became of each SecurityBaseline.
    pub baseline: Arc<BaselineState>,
    /// The SecurityBaselines.
    pub baselines: Store<SecurityBaseline>,
    /// The CloudServiceProviders.
    pub providers: Store<CloudServiceProvider>,
    /// The PublicSectorEntities.
    pub entities: Store<PublicSectorEntity>,
    /// The namespaces, each with what it declares.
    pub namespaces: Store<NamespaceEntry>,
    /// What placement reads of the nodes.
    pub nodes: Store<Node>,
    /// Addresses and ports of the API server, from the EndpointSlice `default/kubernetes`.
    pub api_server: Arc<BTreeSet<(IpAddr, u16)>>,
}

impl World {
    /// A namespace, when it was seen, or a CloudWorkload in it.
    pub fn namespace(&self, name: &str) -> Option<&NamespaceEntry> {
        self.namespaces.get(name).map(Arc::as_ref)
    }

    /// The declarations, by namespace.
    pub fn declarations(&self) -> impl Iterator<Item = (&str, &Arc<CloudWorkload>)> {
        self.namespaces
            .iter()
            .filter_map(|(name, entry)| entry.declaration.as_ref().map(|declaration| (name.as_str(), declaration)))
    }
}

/// A namespace and what it declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceEntry {
    /// Its name.
    pub name: String,
    /// Its metadata. None when so far only its CloudWorkload was seen: the watches are not in step.
    pub metadata: Option<Arc<ObjectMeta>>,
    /// Its CloudWorkload.
    pub declaration: Option<Arc<CloudWorkload>>,
}

impl NamespaceEntry {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The value of the class label.
    pub fn class_label(&self) -> Option<&str> {
        self.label(DATA_CLASS_LABEL)
    }

    /// The namespace's uid.
    pub fn uid(&self) -> Option<&str> {
        self.metadata.as_ref()?.uid.as_deref()
    }

    /// Whether it is being deleted.
    pub fn terminating(&self) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| metadata.deletion_timestamp.is_some())
    }
}

/// A CloudWorkload as governance reads it.
pub fn declaration(workload: &CloudWorkload) -> Declaration<'_> {
    let status = workload.status.as_ref();
    Declaration {
        spec: &workload.spec,
        created: workload.metadata.creation_timestamp.as_ref().map(|time| time.0),
        recorded_class: status.and_then(|status| status.class.as_deref()),
        class_since: status.and_then(|status| status.class_since),
        unacceptable_since: status.and_then(|status| status.unacceptable_since),
    }
}
