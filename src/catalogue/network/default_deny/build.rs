//! The NetworkPolicies that the control has built.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::cloud_workload::{Flow, NetworkSpec};
use crate::catalogue::built;
use crate::control::params::{Peer, PeerPort};
use crate::control::{Context, Lookup, Params};

const DENY: &str = "amanat-default-deny";
const DNS: &str = "amanat-allow-dns";
const API_SERVER: &str = "amanat-allow-api-server";
const DECLARED: &str = "amanat-allow-declared";
const SCRAPE: &str = "amanat-allow-scrape";

/// The names of everything that is built.
pub const NAMES: &[&str] = &[DENY, DNS, API_SERVER, DECLARED, SCRAPE];

/// The ports of an API server whose endpoints aren't known.
const API_SERVER_PORTS: &[u16] = &[443, 6443];

/// What the policies are built from.
pub struct Plan<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Its class.
    pub class: &'a str,
    /// The flows that its CloudWorkload asks for.
    pub network: Option<&'a NetworkSpec>,
    /// The control's parameters for the class.
    pub params: &'a Params,
    /// The API server's addresses and ports.
    pub api_server: &'a BTreeSet<(IpAddr, u16)>,
    /// Knows the classes of other namespaces.
    pub context: &'a dyn Context,
}

/// The policies, and what could not be granted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Built {
    /// The policies, without owner references.
    pub policies: Vec<NetworkPolicy>,
    /// Flows that were asked for and aren't permitted, and why; for the condition `ControlsApplied`.
    pub withheld: Vec<String>,
    /// Neither the endpoints nor the networks of the API server are known, so no rule leads there.
    pub api_server_unknown: bool,
}

impl Plan<'_> {
    /// Builds the policies.
    pub fn build(&self) -> Built {
        let mut built = Built::default();
        let both = || Some(vec!["Ingress".to_owned(), "Egress".to_owned()]);
        built.policies.push(self.policy(DENY, NetworkPolicySpec { policy_types: both(), ..Default::default() }));
        let dns: Vec<_> = self.params.peers("dns").iter().map(egress_to).collect();
        if !dns.is_empty() {
            built.policies.push(self.policy(DNS, egress(dns)));
        }
        let api_server = self.api_server_rules();
        built.api_server_unknown = api_server.is_empty();
        if !api_server.is_empty() {
            built.policies.push(self.policy(API_SERVER, egress(api_server)));
        }
        let scrape: Vec<_> = self
            .params
            .peers("scrapeFrom")
            .iter()
            .map(|peer| NetworkPolicyIngressRule { from: Some(vec![selector(peer)]), ports: ports(&peer.ports) })
            .collect();
        if !scrape.is_empty() {
            let spec = NetworkPolicySpec {
                ingress: Some(scrape),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ..Default::default()
            };
            built.policies.push(self.policy(SCRAPE, spec));
        }
        self.declared(&mut built);
        built
    }

    fn declared(&self, built: &mut Built) {
        let Some(network) = self.network else { return };
        let mut granted = |direction: &str, flows: &[Flow]| -> Vec<Peer> {
            let (permitted, withheld): (Vec<_>, Vec<_>) =
                flows.iter().map(|flow| (flow, self.withheld(flow))).partition(|(_, reason)| reason.is_none());
            let reasons = withheld.into_iter().filter_map(|(_, reason)| reason);
            built.withheld.extend(reasons.map(|reason| format!("{direction} {reason}")));
            permitted.into_iter().map(|(flow, _)| peer_of(flow)).collect()
        };
        let ingress = granted("ingressFrom", &network.ingress_from);
        let egress = granted("egressTo", &network.egress_to);
        if ingress.is_empty() && egress.is_empty() {
            return;
        }
        let mut types = Vec::new();
        types.extend((!ingress.is_empty()).then(|| "Ingress".to_owned()));
        types.extend((!egress.is_empty()).then(|| "Egress".to_owned()));
        let from =
            |peer: &Peer| NetworkPolicyIngressRule { from: Some(vec![selector(peer)]), ports: ports(&peer.ports) };
        let spec = NetworkPolicySpec {
            ingress: (!ingress.is_empty()).then(|| ingress.iter().map(from).collect()),
            egress: (!egress.is_empty()).then(|| egress.iter().map(egress_to).collect()),
            policy_types: Some(types),
            ..Default::default()
        };
        built.policies.push(self.policy(DECLARED, spec));
    }

    /// Why a flow isn't permitted, when it isn't.
    fn withheld(&self, flow: &Flow) -> Option<String> {
        let namespace = flow.namespace.as_str();
        let gateway = self.params.strings("gateways").unwrap_or_default().iter().any(|name| name == namespace);
        if gateway || namespace == self.namespace {
            return None;
        }
        match self.context.class_of(namespace) {
            Lookup::Found(class) if class == self.class => None,
            Lookup::Found(class) => Some(format!("{namespace}: its class is {class}, not {}", self.class)),
            Lookup::Absent => Some(format!("{namespace}: it has no class, and is none of the gateways")),
            Lookup::Unknown => Some(format!("{namespace}: its class is not known")),
        }
    }

    fn api_server_rules(&self) -> Vec<NetworkPolicyEgressRule> {
        let mut by_port: BTreeMap<u16, BTreeSet<IpNet>> = BTreeMap::new();
        for (address, port) in self.api_server {
            by_port.entry(*port).or_default().insert(IpNet::from(*address));
        }
        let networks = self.params.networks("apiServerCIDRs");
        if !networks.is_empty() {
            for port in API_SERVER_PORTS {
                by_port.entry(*port).or_default();
            }
            by_port.values_mut().for_each(|blocks| blocks.extend(networks));
        }
        by_port
            .into_iter()
            .map(|(port, blocks)| NetworkPolicyEgressRule {
                to: Some(blocks.iter().map(block).collect()),
                ports: ports(&[PeerPort { port, protocol: "TCP".to_owned() }]),
            })
            .collect()
    }

    fn policy(&self, name: &str, spec: NetworkPolicySpec) -> NetworkPolicy {
        NetworkPolicy {
            metadata: built::metadata(self.namespace, name),
            // An empty selector, not an absent one: every Pod of the namespace.
            spec: Some(NetworkPolicySpec { pod_selector: Some(LabelSelector::default()), ..spec }),
        }
    }
}

fn egress(rules: Vec<NetworkPolicyEgressRule>) -> NetworkPolicySpec {
    NetworkPolicySpec { egress: Some(rules), policy_types: Some(vec!["Egress".to_owned()]), ..Default::default() }
}

fn egress_to(peer: &Peer) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(vec![selector(peer)]), ports: ports(&peer.ports) }
}

fn peer_of(flow: &Flow) -> Peer {
    let port = |port: &u16| PeerPort { port: *port, protocol: "TCP".to_owned() };
    Peer {
        namespace: flow.namespace.clone(),
        pod_labels: BTreeMap::new(),
        ports: flow.ports.iter().map(port).collect(),
    }
}

/// The namespace by the name label, which nobody can change, and the Pods by theirs.
fn selector(peer: &Peer) -> NetworkPolicyPeer {
    let labels = |labels: BTreeMap<String, String>| LabelSelector { match_labels: Some(labels), ..Default::default() };
    let name = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), peer.namespace.clone())]);
    NetworkPolicyPeer {
        namespace_selector: Some(labels(name)),
        pod_selector: (!peer.pod_labels.is_empty()).then(|| labels(peer.pod_labels.clone())),
        ip_block: None,
    }
}

fn block(net: &IpNet) -> NetworkPolicyPeer {
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr: net.to_string(), except: None }), ..Default::default() }
}

fn ports(ports: &[PeerPort]) -> Option<Vec<NetworkPolicyPort>> {
    let port = |port: &PeerPort| NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(port.port))),
        protocol: Some(port.protocol.clone()),
        end_port: None,
    };
    (!ports.is_empty()).then(|| ports.iter().map(port).collect())
}
