//! The control that denies traffic unless it was asked for, and what it has built.

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::json;

use crate::catalogue::built;
use crate::control::{
    Body, Case, Check, FieldPath, Finding, Judges, Kind, Operation, ParamKind, ParamSpec, Params, Point, Severity, Sink,
};

pub mod build;

crate::control! {
    /// Traffic is denied unless it was asked for.
    ///
    /// In every namespace of the class the operator builds NetworkPolicies: one that selects every Pod and allows
    /// nothing, and beside it DNS, the API server, and the flows of `CloudWorkload.spec.network` that the class
    /// permits: to and from a namespace of the same class, or one of `gateways`. Flows that it doesn't permit are named
    /// in the condition `ControlsApplied`. Tenants can't change or delete what is built; what an administrator changes
    /// is healed.
    ///
    /// Anyone's NetworkPolicy that opens to everyone is refused: a rule without `from` or `to`, a peer with an empty
    /// `namespaceSelector`, a block wider than /8 (IPv6: /16), since policies add up and two halves of the internet are
    /// the internet.
    ///
    /// ## Why
    /// Without a policy every Pod of the cluster reaches every other, and the world.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: open}
    /// spec: {podSelector: {}, ingress: [{}]}
    /// ```
    /// ```yaml,fail
    /// apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: world}
    /// spec:
    ///   podSelector: {}
    ///   policyTypes: [Egress]
    ///   egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: from-frontend}
    /// spec:
    ///   podSelector: {matchLabels: {app: api}}
    ///   ingress: [{from: [{podSelector: {matchLabels: {app: frontend}}}], ports: [{port: 8080}]}]
    /// ```
    pub static DEFAULT_DENY = {
        id: "network/default-deny",
        title: "Default deny",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Build, Point::Scan],
        judges: &[Judges {
            kinds: &[Kind::NetworkPolicy],
            operations: &[Operation::Create, Operation::Update, Operation::Delete],
            subresources: &[],
        }],
        reads: &[],
        maps: &[
            ("CCM", "IVS-03"), ("CCM", "IVS-06"), ("ISO27017", "13.1.3"), ("ISO27017", "CLD.13.1.4"),
            ("ISO27001", "A.8.20"), ("ISO27001", "A.8.22"), ("NIST800-53", "SC-7"), ("NIST800-53", "SC-7(5)"),
            ("NIST800-53", "AC-4"), ("CIS", "5.3.1"), ("CIS", "5.3.2"), ("NSA", "C-0030"), ("NSA", "C-0054"),
        ],
        params: &[
            ParamSpec {
                name: "gateways",
                kind: ParamKind::Granted,
                required: false,
                doc: "Namespaces that any class may exchange traffic with, such as the ingress controller's.",
            },
            ParamSpec {
                name: "dns",
                kind: ParamKind::Peers,
                required: false,
                doc: "The Pods that answer DNS, with their ports.",
            },
            ParamSpec {
                name: "apiServerCIDRs",
                kind: ParamKind::Networks,
                required: false,
                doc: "Networks of the API server, beside the addresses of EndpointSlice default/kubernetes.",
            },
            ParamSpec {
                name: "scrapeFrom",
                kind: ParamKind::Peers,
                required: false,
                doc: "Pods that may reach every Pod, to collect metrics, and the ports.",
            },
        ],
        check: Check::Case(check),
    }
}

fn check(case: &Case<'_>, _: &Params, sink: &mut Sink) {
    let Body::NetworkPolicy(spec) = &case.subject.body else { return };
    built::protect(case, build::NAMES, "ask for flows in spec.network of the namespace's CloudWorkload", sink);
    if case.operation != Operation::Delete {
        openings(spec, sink);
    }
}

fn openings(spec: &NetworkPolicySpec, sink: &mut Sink) {
    for (path, named) in peers_in_force(spec) {
        peers(path, named, sink);
    }
}

/// The peers of every rule that is in force, with the path of their list.
pub(in crate::catalogue) fn peers_in_force(spec: &NetworkPolicySpec) -> Vec<(FieldPath, &[NetworkPolicyPeer])> {
    let types = spec.policy_types.as_deref().unwrap_or_default();
    // As the API server defaults it: ingress always, egress when there are egress rules.
    let ingress = types.is_empty() || types.iter().any(|name| name == "Ingress");
    let egress = types.iter().any(|name| name == "Egress") || (types.is_empty() && spec.egress.is_some());
    let mut found = Vec::new();
    for (index, rule) in spec.ingress.iter().flatten().enumerate().filter(|_| ingress) {
        let path = FieldPath::of(&["spec", "ingress"]).index(index).field("from");
        found.push((path, rule.from.as_deref().unwrap_or_default()));
    }
    for (index, rule) in spec.egress.iter().flatten().enumerate().filter(|_| egress) {
        let path = FieldPath::of(&["spec", "egress"]).index(index).field("to");
        found.push((path, rule.to.as_deref().unwrap_or_default()));
    }
    found
}

/// True for a selector that selects everything.
pub(in crate::catalogue) fn is_everything(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(|labels| labels.is_empty())
        && selector.match_expressions.as_ref().is_none_or(|expressions| expressions.is_empty())
}

fn peers(path: FieldPath, peers: &[NetworkPolicyPeer], sink: &mut Sink) {
    let fix = "name the peers: a podSelector, or a namespaceSelector by kubernetes.io/metadata.name";
    if peers.is_empty() {
        sink.push(Finding::new(path, "the rule opens to everyone", fix));
        return;
    }
    for (index, peer) in peers.iter().enumerate() {
        let path = path.clone().index(index);
        if peer.namespace_selector.as_ref().is_some_and(is_everything) {
            let path = path.clone().field("namespaceSelector");
            sink.push(Finding::new(path, "the peer is every namespace", fix).value(json!({})));
        }
        if let Some(block) = &peer.ip_block {
            let except = block.except.as_deref().unwrap_or_default();
            if is_everyone(&block.cidr, except) {
                let path = path.field("ipBlock").field("cidr");
                sink.push(Finding::new(path, "the block is as good as every address", fix).value(block.cidr.as_str()));
            }
        }
    }
}

/// True for a block that is wider than any one network is, and of which the exceptions leave anything. What doesn't
/// parse counts as everyone: the API server refuses it anyway.
fn is_everyone(cidr: &str, except: &[String]) -> bool {
    let Ok(net) = cidr.parse::<IpNet>() else { return true };
    let widest = match net {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 16,
    };
    let emptied = except.iter().filter_map(|net| net.parse::<IpNet>().ok()).any(|except| except.contains(&net));
    net.prefix_len() < widest && !emptied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_everyone() {
        let table: &[(&str, &[&str], bool)] = &[
            ("0.0.0.0/0", &[], true),
            ("0.0.0.0/1", &[], true),
            ("::/0", &[], true),
            ("2000::/3", &[], true),
            ("0.0.0.0/0", &["10.0.0.0/8"], true),
            ("0.0.0.0/0", &["0.0.0.0/0"], false),
            ("10.0.0.0/8", &[], false),
            ("fd00::/16", &[], false),
            ("nonsense", &[], true),
        ];
        for (cidr, except, everyone) in table {
            let except: Vec<String> = except.iter().map(|net| (*net).to_owned()).collect();
            assert_eq!(is_everyone(cidr, &except), *everyone, "{cidr} {except:?}");
        }
    }
}
