//! The class of a namespace is the class of everything in it.

mod reach;

use crate::api::DATA_CLASS_LABEL;
use crate::catalogue::network::default_deny;
use crate::control::{
    Body, Case, Check, Draft, FieldPath, Finding, Judges, Kind, Lookup, Operation, PODS, Params, PodView, Point,
    Severity, Sink, Supply, Supplying, TEMPLATES,
};

crate::control! {
    /// A namespace has one class, and everything in it has that class.
    ///
    /// The label `amanat.dev/data-class` of a Pod or template is the namespace's class, by the name that the baseline
    /// gives it. Pods that are made without it get it, unless the baseline's `supply` is off; a template may leave it
    /// out. On a PersistentVolumeClaim, a Service, an Ingress or a ReferenceGrant the label may be left out, and says the
    /// same where it is set. Claims in a StatefulSet's `volumeClaimTemplates` and in ephemeral volumes are claims.
    ///
    /// Nothing reaches into a namespace of another class: not the `dataSourceRef.namespace` of a claim, not a Service of
    /// type ExternalName by a name of the cluster, not the `namespaceSelector` of a NetworkPolicy; and no ReferenceGrant
    /// lets objects of such a namespace refer to what is here. A selector shows that it stays within the class by the
    /// label `amanat.dev/data-class`, or by naming namespaces with `kubernetes.io/metadata.name`; a namespace without a
    /// class, such as that of the cluster's DNS, may be named in a NetworkPolicy and nowhere else. What leads into a
    /// namespace whose class can't be known is not assessed: offline, one whose CloudWorkload is neither among the inputs
    /// nor in `--context`.
    ///
    /// ## Why
    /// Volumes are cloned, traffic is sent and reports are made by what objects say of themselves. A Pod that calls
    /// itself by a lower class, or a claim that is filled from a higher one, takes data to where it isn't guarded.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
    /// ---
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: web, namespace: fbr-portal, labels: {amanat.dev/data-class: Open}}
    /// spec: {containers: [{name: web, image: registry.example.gov.pk/portal/web}]}
    /// ```
    /// ```yaml,fail
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-audit}
    /// spec: {owner: fbr, dataClass: Confidential, provider: ntc, model: Government, service: IaaS}
    /// ---
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: copy, namespace: fbr-portal}
    /// spec:
    ///   accessModes: [ReadWriteOnce]
    ///   dataSourceRef: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: nightly, namespace: fbr-audit}
    ///   resources: {requests: {storage: 10Gi}}
    /// ```
    /// ```yaml,fail
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-audit}
    /// spec: {owner: fbr, dataClass: Confidential, provider: ntc, model: Government, service: IaaS}
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: ledger, namespace: fbr-portal}
    /// spec: {type: ExternalName, externalName: ledger.fbr-audit.svc.cluster.local}
    /// ```
    /// ```yaml,fail
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-audit}
    /// spec: {owner: fbr, dataClass: Confidential, provider: ntc, model: Government, service: IaaS}
    /// ---
    /// apiVersion: gateway.networking.k8s.io/v1beta1
    /// kind: ReferenceGrant
    /// metadata: {name: audit, namespace: fbr-portal}
    /// spec:
    ///   from: [{group: "", kind: PersistentVolumeClaim, namespace: fbr-audit}]
    ///   to: [{group: snapshot.storage.k8s.io, kind: VolumeSnapshot}]
    /// ```
    /// ```yaml,fail
    /// apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: team, namespace: fbr-portal}
    /// spec:
    ///   podSelector: {}
    ///   ingress: [{from: [{namespaceSelector: {matchLabels: {team: portal}}}]}]
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
    /// ---
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: web, namespace: fbr-portal, labels: {amanat.dev/data-class: Restricted}}
    /// spec: {containers: [{name: web, image: registry.example.gov.pk/portal/web}]}
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: mail, namespace: fbr-portal}
    /// spec: {type: ExternalName, externalName: mail.example.gov.pk}
    /// ---
    /// apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: class, namespace: fbr-portal}
    /// spec:
    ///   podSelector: {}
    ///   ingress: [{from: [{namespaceSelector: {matchLabels: {amanat.dev/data-class: Restricted}}}]}]
    /// ```
    pub static CLASS_INHERITED = {
        id: "placement/class-inherited",
        title: "Class inherited",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Supply, Point::Scan],
        judges: &[
            PODS,
            TEMPLATES,
            Judges {
                kinds: &[
                    Kind::PersistentVolumeClaim,
                    Kind::Service,
                    Kind::Ingress,
                    Kind::ReferenceGrant,
                    Kind::NetworkPolicy,
                ],
                operations: &[Operation::Create, Operation::Update],
                subresources: &[],
            },
        ],
        reads: &[DATA_CLASS_LABEL],
        maps: &[
            ("CCM", "IVS-06"), ("CCM", "DSP-04"), ("ISO27017", "13.1.3"), ("ISO27017", "CLD.9.5.1"),
            ("ISO27001", "A.5.13"), ("ISO27001", "A.8.22"), ("NIST800-53", "AC-4"), ("NIST800-53", "SC-4"),
            ("CIS", "5.6.1"), ("CIS", "5.6.4"),
        ],
        params: &[],
        check: Check::Case(check),
    } supplying Supply {
        fill,
        missing: "!(has(object.metadata.labels) && 'amanat.dev/data-class' in object.metadata.labels)",
        missing_where: None,
    }
}

fn fill(supplying: &Supplying<'_>, _: &Params, draft: &mut Draft<'_>) {
    draft.label(DATA_CLASS_LABEL, supplying.class());
}

/// A check of an object in a namespace of a class.
struct Within<'a> {
    case: &'a Case<'a>,
    class: &'a str,
}

fn check(case: &Case<'_>, _: &Params, sink: &mut Sink) {
    let Some(governed) = case.standing.governed() else { return };
    let within = Within { case, class: case.regime.class_name(governed.rank) };
    let own_label = |sink: &mut Sink| {
        within.label(FieldPath::of(&["metadata"]), case.subject.metadata.labels.get(DATA_CLASS_LABEL), sink);
    };
    match &case.subject.body {
        Body::Workload(workload) => {
            if let Some(pod) = case.subject.pod() {
                within.pod(&pod, sink);
            }
            for (index, claim) in workload.claims.iter().enumerate() {
                let path = FieldPath::of(&["spec", "volumeClaimTemplates"]).index(index);
                within.claim(path, claim.labels().get(DATA_CLASS_LABEL), claim.spec.source_namespace(), sink);
            }
        }
        Body::Claim(claim) => {
            own_label(sink);
            within.source(FieldPath::of(&["spec"]), claim.source_namespace(), sink);
        }
        Body::Service { external_name } => {
            own_label(sink);
            if let Some(name) = external_name {
                within.external_name(name, sink);
            }
        }
        Body::Ingress => own_label(sink),
        Body::ReferenceGrant { from } => {
            own_label(sink);
            within.grants(from, sink);
        }
        Body::NetworkPolicy(spec) => {
            // What is built lets through what the class permits, gateways of other classes included. Nobody else can
            // write it.
            let built = default_deny::build::NAMES.contains(&case.subject.metadata.name.as_str());
            if !case.actor.map_or(built, |actor| actor.amanat) {
                within.peers(spec, sink);
            }
        }
        Body::Scale { .. }
        | Body::Namespace
        | Body::ResourceQuota(_)
        | Body::LimitRange(_)
        | Body::CloudWorkload(_) => {}
    }
}

impl Within<'_> {
    fn pod(&self, pod: &PodView<'_>, sink: &mut Sink) {
        let metadata = FieldPath::default().fields(pod.kind.pod_metadata_path());
        match pod.labels.get(DATA_CLASS_LABEL) {
            None => {
                let path = metadata.field("labels").key(DATA_CLASS_LABEL);
                let message = format!("the label is not there: it is the namespace's class, {}", self.class);
                sink.push(Finding::new(path, message, format!("set it to {}", self.class)));
            }
            set => self.label(metadata, set, sink),
        }
        // What a Pod asks for by itself is a claim as good as any.
        for (index, volume) in pod.spec.volumes.iter() {
            let template = volume.ephemeral.as_ref().and_then(|ephemeral| ephemeral.volume_claim_template.as_ref());
            let Some(claim) = template else { continue };
            let path = FieldPath::default().fields(pod.kind.pod_spec_path()).field("volumes").index(index);
            let path = path.field("ephemeral").field("volumeClaimTemplate");
            self.claim(path, claim.labels().get(DATA_CLASS_LABEL), claim.spec.source_namespace(), sink);
        }
    }

    /// A claim that a workload makes for its Pods.
    fn claim(&self, path: FieldPath, label: Option<&String>, source: Option<&str>, sink: &mut Sink) {
        self.label(path.clone().field("metadata"), label, sink);
        self.source(path.field("spec"), source, sink);
    }

    /// A class label that is set says the namespace's class.
    fn label(&self, metadata: FieldPath, value: Option<&String>, sink: &mut Sink) {
        let Some(value) = value.filter(|value| *value != self.class) else { return };
        let path = metadata.field("labels").key(DATA_CLASS_LABEL);
        let message = format!("the class of namespace {} is {}", self.case.namespace(), self.class);
        let fix = format!("leave the label out, or set it to {}", self.class);
        sink.push(Finding::new(path, message, fix).value(value.as_str()));
    }

    /// Where a claim is filled from.
    fn source(&self, spec: FieldPath, namespace: Option<&str>, sink: &mut Sink) {
        let Some(namespace) = namespace else { return };
        let Some(why) = self.another(namespace, sink) else { return };
        let path = spec.field("dataSourceRef").field("namespace");
        let fix = format!("fill it from a namespace of class {}", self.class);
        sink.push(Finding::new(path, format!("it is filled from {why}"), fix).value(namespace));
    }

    /// Where a Service of type ExternalName leads.
    fn external_name(&self, name: &str, sink: &mut Sink) {
        let why = reach::namespaces_of_name(name).into_iter().find_map(|(namespace, certain)| {
            // A name that only looks like the cluster's isn't when it hits no namespace with a class.
            let counts = certain || self.case.context.class_of(&namespace) != Lookup::Absent;
            if counts { self.another(&namespace, sink) } else { None }
        });
        if let Some(why) = why {
            let path = FieldPath::of(&["spec", "externalName"]);
            let fix =
                format!("name a Service of a namespace of class {}, or a host outside of the cluster", self.class);
            sink.push(Finding::new(path, format!("it leads into {why}"), fix).value(name));
        }
    }

    /// From where objects may refer to those of this namespace.
    fn grants(&self, from: &[String], sink: &mut Sink) {
        for (index, namespace) in from.iter().enumerate() {
            let Some(why) = self.another(namespace, sink) else { continue };
            let path = FieldPath::of(&["spec", "from"]).index(index).field("namespace");
            let fix = format!("grant it to namespaces of class {}", self.class);
            sink.push(Finding::new(path, format!("it lets in {why}"), fix).value(namespace.as_str()));
        }
    }

    /// What stands against reaching into a namespace, if anything is known to.
    fn another(&self, namespace: &str, sink: &mut Sink) -> Option<String> {
        if namespace == self.case.namespace() {
            return None;
        }
        match self.case.context.class_of(namespace) {
            Lookup::Found(class) if class == self.class => None,
            Lookup::Found(class) => {
                Some(format!("namespace {namespace}, whose class is {class} and not {}", self.class))
            }
            Lookup::Absent => Some(format!("namespace {namespace}, which has no class")),
            Lookup::Unknown => {
                sink.not_assessed(format!("the class of namespace {namespace} is not known"));
                None
            }
        }
    }
}
