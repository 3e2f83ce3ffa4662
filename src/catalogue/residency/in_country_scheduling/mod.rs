//! Pods run on nodes in the country, and on no node that is kept for another class.

use k8s_openapi::api::core::v1::{NodeSelectorTerm, Toleration};
use serde_json::json;

mod demand;
mod supply;

pub use demand::{fits, how_to_label};

use crate::api::DATA_CLASS_LABEL;
use crate::control::{
    Case, Check, FieldPath, Finding, Kind, Lookup, Operation, POD_SPECS, ParamKind, ParamSpec, Params, PodSpec,
    PodView, Point, Severity, Sink, Supply, WARNING_LENGTH,
};
use demand::{Demand, demands, is_empty, required_terms};

/// The fields from a Pod's spec to the terms of its required node affinity.
const TERMS: &[&str] =
    &["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
/// The one field of nodes that a term may name: their name.
const NODE_NAME: &str = "metadata.name";

crate::control! {
    /// A Pod is scheduled only to nodes in the allowed jurisdictions, and to no node that is kept for another class.
    ///
    /// The label `node-restriction.kubernetes.io/amanat-jurisdiction` says where a node is; no kubelet can write it, so
    /// an administrator does: `kubectl label node NAME node-restriction.kubernetes.io/amanat-jurisdiction=PK`. Every
    /// term of a Pod's required node affinity names that label with the operator `In` and allowed values, or the Pod's
    /// `nodeSelector` has it with one of them. A term that selects nothing asks for no node.
    ///
    /// A taint `amanat.dev/data-class` keeps a node for the Pods of a class. A toleration of another class's taint is
    /// refused, and one without a key, which tolerates every taint.
    ///
    /// When a Pod is made, the expression is supplied to every term that doesn't name the label, or as the only term, and
    /// with it the toleration of its own class's taint, unless the baseline's `supply` is off. A template may leave out
    /// both. What is there stays, and is a finding where it allows more.
    ///
    /// A DaemonSet chooses nodes by its template, so nothing is supplied to it: its template carries the expression. Its
    /// Pods name their node instead (`matchFields`, `metadata.name`), and that node's labels count.
    ///
    /// `spec.nodeName` leaves out the scheduler, and with it every taint: it is judged by the node's labels and taints
    /// when the Pod is made, and in a template. A node that isn't known is refused, here and in `matchFields` (`unknown:
    /// Deny`); offline none is.
    ///
    /// With `regions`, the label `topology.kubernetes.io/region` is demanded and supplied in the same way, beside the
    /// jurisdiction. It narrows only: a kubelet may write it.
    ///
    /// ## Why
    /// The law of the country where data is worked on holds for it. A scheduler knows of no border, and a cluster may
    /// have nodes beyond one.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: apps/v1
    /// kind: DaemonSet
    /// metadata: {name: collector, namespace: fbr-portal}
    /// spec:
    ///   selector: {matchLabels: {app: collector}}
    ///   template:
    ///     metadata: {labels: {app: collector}}
    ///     spec: {containers: [{name: collector, image: registry.example.gov.pk/portal/collector}]}
    /// ```
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: web, namespace: fbr-portal}
    /// spec:
    ///   affinity:
    ///     nodeAffinity:
    ///       requiredDuringSchedulingIgnoredDuringExecution:
    ///         nodeSelectorTerms:
    ///           - matchExpressions:
    ///               - {key: node-restriction.kubernetes.io/amanat-jurisdiction, operator: In, values: [PK, AE]}
    ///   containers: [{name: web, image: registry.example.gov.pk/portal/web}]
    /// ```
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: web, namespace: fbr-portal}
    /// spec:
    ///   nodeSelector: {node-restriction.kubernetes.io/amanat-jurisdiction: PK}
    ///   tolerations: [{operator: Exists}]
    ///   containers: [{name: web, image: registry.example.gov.pk/portal/web}]
    /// ```
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: web, namespace: fbr-portal}
    /// spec:
    ///   nodeName: worker-7
    ///   nodeSelector: {node-restriction.kubernetes.io/amanat-jurisdiction: PK}
    ///   containers: [{name: web, image: registry.example.gov.pk/portal/web}]
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
    /// ---
    /// apiVersion: apps/v1
    /// kind: DaemonSet
    /// metadata: {name: collector, namespace: fbr-portal}
    /// spec:
    ///   selector: {matchLabels: {app: collector}}
    ///   template:
    ///     metadata: {labels: {app: collector}}
    ///     spec:
    ///       affinity:
    ///         nodeAffinity:
    ///           requiredDuringSchedulingIgnoredDuringExecution:
    ///             nodeSelectorTerms:
    ///               - matchExpressions:
    ///                   - {key: node-restriction.kubernetes.io/amanat-jurisdiction, operator: In, values: [PK]}
    ///       tolerations: [{key: amanat.dev/data-class, value: Restricted, effect: NoSchedule}]
    ///       containers: [{name: collector, image: registry.example.gov.pk/portal/collector}]
    /// ```
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: web, namespace: fbr-portal}
    /// spec:
    ///   nodeSelector: {node-restriction.kubernetes.io/amanat-jurisdiction: PK}
    ///   containers: [{name: web, image: registry.example.gov.pk/portal/web}]
    /// ```
    pub static IN_COUNTRY_SCHEDULING = {
        id: "residency/in-country-scheduling",
        title: "In-country scheduling",
        severity: Severity::Critical,
        since: "0.1.0",
        points: &[Point::Admission, Point::Supply, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[
            ("CCM", "DSP-19"), ("CCM", "DSP-10"), ("ISO27017", "18.1.1"), ("ISO27001", "A.5.31"),
            ("ISO27001", "A.5.23"), ("NIST800-53", "SA-9(5)"), ("NIST800-53", "CM-12"),
        ],
        params: &[
            ParamSpec {
                name: demand::JURISDICTIONS,
                kind: ParamKind::Allowed,
                required: true,
                doc: "Values of the nodes' label node-restriction.kubernetes.io/amanat-jurisdiction, such as PK.",
            },
            ParamSpec {
                name: demand::REGIONS,
                kind: ParamKind::Allowed,
                required: false,
                doc: "Values of the nodes' label topology.kubernetes.io/region. Absent: any region of the jurisdictions.",
            },
        ],
        check: Check::Case(check),
    } supplying Supply {
        fill: supply::fill,
        missing: supply::MISSING,
        missing_where: Some((demand::REGIONS, supply::MISSING_REGION)),
    }
}

fn check(case: &Case<'_>, params: &Params, sink: &mut Sink) {
    let Some(governed) = case.standing.governed() else { return };
    let Some(pod) = case.subject.pod() else { return };
    let Some(demands) = demands(params) else {
        let id = IN_COUNTRY_SCHEDULING.id;
        return sink.not_assessed(format!("set {id}.{} by --set or --baseline", demand::JURISDICTIONS));
    };
    let class = case.regime.class_name(governed.rank);
    let placing = Placing { case, pod: &pod, class };
    for demand in &demands {
        placing.selection(demand, sink);
        placing.node_name(demand, sink);
    }
    placing.pool_of_node_name(sink);
    placing.tolerations(sink);
    let is_template = pod.kind != Kind::Pod;
    if is_template
        && case.builds
        && let Lookup::Found(nodes) = case.context.nodes()
        && !nodes.values().any(|node| fits(node, class, params))
    {
        sink.notice(no_node_takes(class, params));
    }
}

/// What the author of a template is told. A command that would be cut is none: the condition has it whole.
fn no_node_takes(class: &str, params: &Params) -> String {
    let with_command = format!("no node takes class {class}: {}", how_to_label(params));
    if with_command.chars().count() <= WARNING_LENGTH {
        return with_command;
    }
    format!("no node takes class {class}: see the CloudWorkload's condition Schedulable")
}

/// What decides where a Pod of a class goes.
struct Placing<'a> {
    case: &'a Case<'a>,
    pod: &'a PodView<'a>,
    class: &'a str,
}

impl Placing<'_> {
    fn spec(&self) -> &PodSpec {
        self.pod.spec
    }

    /// The selector, or every term, keeps the Pod to nodes that meet the demand.
    fn selection(&self, demand: &Demand<'_>, sink: &mut Sink) {
        if let Some(value) = self.spec().node_selector.as_ref().and_then(|selector| selector.get(demand.label)) {
            if !demand.allows(value) {
                let path = self.pod.path().field("nodeSelector").key(demand.label);
                let fix = format!("set it to {}, or leave it out", demand.words());
                sink.push(Finding::new(path, format!("only {} is allowed", demand.words()), fix).value(value.as_str()));
            }
            return;
        }
        let Some(terms) = required_terms(self.spec()).filter(|terms| !terms.is_empty()) else {
            let path = self.pod.path().fields(TERMS);
            let message = format!("may be scheduled to nodes outside of {}", demand.words());
            return sink.push(Finding::new(path, message, format!("add a term with {}", demand.expression())));
        };
        for (index, term) in terms.iter().enumerate().filter(|(_, term)| !is_empty(term)) {
            self.term(demand, self.pod.path().fields(TERMS).index(index), term, sink);
        }
    }

    fn term(&self, demand: &Demand<'_>, path: FieldPath, term: &NodeSelectorTerm, sink: &mut Sink) {
        let expressions = term.match_expressions.as_deref().unwrap_or_default();
        if expressions.iter().any(|expression| demand.is_met_by(expression)) {
            return;
        }
        if let Some((place, expression)) =
            expressions.iter().enumerate().find(|(_, expression)| expression.key == demand.label)
        {
            let values = expression.values.as_deref().unwrap_or_default().join(", ");
            let path = path.field("matchExpressions").index(place);
            let message = format!("allows nodes outside of {}", demand.words());
            let finding = Finding::new(path, message, format!("make it {}", demand.expression()));
            return sink.push(finding.value(format!("{} {values}", expression.operator).trim_end()));
        }
        let fields = term.match_fields.as_deref().unwrap_or_default();
        let named = fields.iter().position(|field| field.key == NODE_NAME && field.operator == "In");
        match named.and_then(|place| Some((place, fields.get(place)?.values.as_deref()?))) {
            Some((place, names)) => {
                for name in names {
                    let path = path.clone().field("matchFields").index(place);
                    self.node(demand, path, name, "leave it to the scheduler", sink);
                }
            }
            None => {
                let message = format!("may be scheduled to nodes outside of {}", demand.words());
                sink.push(Finding::new(path, message, format!("add {}", demand.expression())));
            }
        }
    }

    /// The node that a template or a Pod that is made names. The scheduler names one on a Pod that is there.
    fn named_node(&self) -> Option<&str> {
        let made = self.pod.kind != Kind::Pod || self.case.operation != Operation::Update;
        self.spec().node_name.as_deref().filter(|name| made && !name.is_empty())
    }

    fn node_name(&self, demand: &Demand<'_>, sink: &mut Sink) {
        let Some(name) = self.named_node() else { return };
        self.node(demand, self.pod.path().field("nodeName"), name, "leave nodeName to the scheduler", sink);
    }

    /// A node that is named meets the demand.
    fn node(&self, demand: &Demand<'_>, path: FieldPath, name: &str, fix: &str, sink: &mut Sink) {
        let message = match self.case.context.node(name) {
            Lookup::Found(node) => match node.labels.get(demand.label) {
                Some(value) if demand.allows(value) => return,
                Some(value) => {
                    format!("the node's label {} is {value}, and only {} is allowed", demand.label, demand.words())
                }
                None => format!("the node has no label {}, and only {} is allowed", demand.label, demand.words()),
            },
            Lookup::Absent | Lookup::Unknown => {
                format!("the node is not known, so neither is whether it is in {}", demand.words())
            }
        };
        sink.push(Finding::new(path, message, fix).value(name));
    }

    /// No taint keeps a Pod from the node that it names.
    fn pool_of_node_name(&self, sink: &mut Sink) {
        let Some(name) = self.named_node() else { return };
        let Lookup::Found(node) = self.case.context.node(name) else { return };
        if let Some(other) = node.pools.iter().find(|pool| pool.as_str() != self.class) {
            let path = self.pod.path().field("nodeName");
            let message = format!("the node is kept for class {other}, and this is {}", self.class);
            sink.push(Finding::new(path, message, "leave nodeName to the scheduler").value(name));
        }
    }

    fn tolerations(&self, sink: &mut Sink) {
        for (index, toleration) in self.spec().tolerations.iter().flatten().enumerate() {
            let path = self.pod.path().field("tolerations").index(index);
            match toleration.key.as_deref().unwrap_or_default() {
                "" => {
                    let finding =
                        Finding::new(path, "tolerates every taint, those of other classes too", "name its key");
                    sink.push(finding.value(json!(toleration)));
                }
                DATA_CLASS_LABEL if !self.is_own(toleration) => {
                    let message = format!("tolerates the taint of another class than {}", self.class);
                    let fix = format!("set its value to {}, without an operator, or leave it out", self.class);
                    sink.push(Finding::new(path, message, fix).value(json!(toleration)));
                }
                _ => {}
            }
        }
    }

    /// True of a toleration of the taint of the Pod's own class alone.
    fn is_own(&self, toleration: &Toleration) -> bool {
        matches!(toleration.operator.as_deref(), None | Some("" | "Equal"))
            && toleration.value.as_deref() == Some(self.class)
    }
}
