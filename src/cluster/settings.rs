//! What the installation fixes.

use std::collections::BTreeSet;

/// Namespaces that are the cluster's own everywhere.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// What the installation fixes, from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Amanat's own namespace.
    pub namespace: String,
    /// Name of this replica, which is its identity in the election.
    pub identity: String,
    /// The username of Amanat's ServiceAccount.
    pub own_username: String,
    /// Users that count as controllers of the control plane, beside the known ones.
    pub control_plane_users: Vec<String>,
    /// Namespaces that are reported and never blocked.
    pub system_namespaces: BTreeSet<String>,
    /// Base URL at which the API server reaches the webhook; without one, it goes through the Service.
    pub webhook_url: Option<String>,
    /// Name of the Service in front of the webhook.
    pub service: String,
    /// Name of the ClusterRole that owns the webhook configuration.
    pub anchor: String,
}

impl Settings {
    /// Settings of an installation in a namespace under a ServiceAccount, everything else as it is by default.
    pub fn new(namespace: &str, service_account: &str, identity: &str) -> Self {
        let system = SYSTEM_NAMESPACES.into_iter().chain([namespace]);
        Self {
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            own_username: format!("system:serviceaccount:{namespace}:{service_account}"),
            control_plane_users: Vec::new(),
            system_namespaces: system.map(str::to_owned).collect(),
            webhook_url: None,
            service: "amanat-webhook".to_owned(),
            anchor: "amanat-anchor".to_owned(),
        }
    }

    /// Whether a namespace is one of the cluster's own.
    pub fn is_system(&self, namespace: &str) -> bool {
        self.system_namespaces.contains(namespace)
    }
}
