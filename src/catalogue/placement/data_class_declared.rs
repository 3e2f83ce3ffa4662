use super::finding;
use crate::api::DATA_CLASS_LABEL;
use crate::control::{
    Body, Case, Check, FieldPath, Finding, Judges, Kind, Operation, Params, Point, Regime, Severity, Sink, Standing,
};

crate::control! {
    /// A namespace that runs workloads declares which class of data it holds.
    ///
    /// Every workload's namespace has an accepted CloudWorkload. The operator then writes the label
    /// `amanat.dev/data-class` on the namespace, and only Amanat writes it: nobody else sets or raises it, through
    /// `namespaces`, `namespaces/status` or `namespaces/finalize`. (At the creation of a namespace the groups of
    /// `spec.restorers` may, since a backup brings its labels.) The class that a CloudWorkload names is one of the
    /// baseline's, and `default` declares none; in the cluster's own namespaces a
    /// declaration is ignored.
    ///
    /// What happens to workloads in a namespace that declares nothing is the baseline's `undeclared`.
    ///
    /// ## Why
    /// Every other demand follows from the class. A namespace without one is judged by nothing.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: undeclared, namespace: nobodys}
    /// spec: {containers: [{name: app, image: registry.example.gov.pk/app}]}
    /// ```
    /// ```yaml,fail
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: TopSecret, provider: ntc, model: Government, service: IaaS}
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
    /// metadata: {name: declared, namespace: fbr-portal}
    /// spec: {containers: [{name: app, image: registry.example.gov.pk/app}]}
    /// ```
    pub static DATA_CLASS_DECLARED = {
        id: ID,
        title: "Data class declared",
        severity: Severity::Critical,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: &[
            Judges { kinds: &[Kind::Pod], operations: &[Operation::Create, Operation::Update], subresources: &["*"] },
            Judges {
                kinds: &[Kind::Deployment, Kind::StatefulSet, Kind::ReplicaSet, Kind::ReplicationController],
                operations: &[Operation::Create, Operation::Update],
                subresources: &["scale"],
            },
            Judges {
                kinds: &[Kind::DaemonSet, Kind::Job, Kind::CronJob, Kind::PodTemplate, Kind::CloudWorkload],
                operations: &[Operation::Create, Operation::Update],
                subresources: &[],
            },
            Judges {
                kinds: &[Kind::Namespace],
                operations: &[Operation::Create, Operation::Update],
                subresources: &["status", "finalize"],
            },
        ],
        reads: &[DATA_CLASS_LABEL],
        maps: &[
            ("CCM", "DSP-04"), ("CCM", "DSP-03"), ("ISO27017", "8.2.2"), ("ISO27001", "A.5.12"), ("ISO27001", "A.5.13"),
            ("NIST800-53", "RA-2"), ("NIST800-53", "AC-16"), ("CIS", "5.6.1"),
        ],
        params: &[],
        check: Check::Case(check),
    }
}

pub(super) const ID: &str = "placement/data-class-declared";

fn check(case: &Case<'_>, _: &Params, sink: &mut Sink) {
    match &case.subject.body {
        Body::Namespace => label(case, sink),
        Body::CloudWorkload(_) => {
            super::report(ID, case, sink);
            // In the cluster's own namespaces a declaration is ignored; `default` is everyone's, and has to say no.
            if case.namespace() == "default" {
                let message = "namespace default declares no class of data";
                let fix = "declare a namespace of your own, and run workloads there";
                sink.push(
                    Finding::new(FieldPath::of(&["metadata", "namespace"]), message, fix).value(case.namespace()),
                );
            }
        }
        Body::Workload(_) | Body::Scale { .. } if *case.standing == Standing::Undeclared => {
            let namespace = case.namespace();
            let message = format!("namespace {namespace} has not declared which class of data it holds");
            let fix = format!("create a CloudWorkload named workload in namespace {namespace}");
            sink.push(Finding::new(FieldPath::of(&["metadata", "namespace"]), message, fix).value(namespace));
        }
        Body::Workload(_) | Body::Scale { .. } => super::report(ID, case, sink),
        Body::NetworkPolicy(_)
        | Body::ResourceQuota(_)
        | Body::LimitRange(_)
        | Body::Claim(_)
        | Body::Service { .. }
        | Body::Ingress
        | Body::ReferenceGrant { .. } => {}
    }
}

/// Setting or raising the class label of a namespace is Amanat's alone; lowering it is another control's business.
fn label(case: &Case<'_>, sink: &mut Sink) {
    let Some(actor) = case.actor.filter(|actor| !actor.amanat) else { return };
    let read = |subject: &crate::control::Subject| subject.metadata.labels.get(DATA_CLASS_LABEL).cloned();
    let new = read(case.subject);
    let old = case.old.and_then(read);
    let restored = case.operation == Operation::Create && actor.is_in(&case.regime.restorers);
    let Some(new) = new.filter(|new| Some(new) != old.as_ref()) else { return };
    if restored || super::no_silent_downgrade::lowers(case.regime, old.as_deref(), Some(&new)) {
        return;
    }
    let path = FieldPath::of(&["metadata", "labels"]).key(DATA_CLASS_LABEL);
    let message = "only Amanat writes the class label";
    let fix = "leave the label out: it follows from the namespace's CloudWorkload";
    sink.push(Finding::new(path, message, fix).value(new));
}

/// The reason against a declaration whose class the baseline doesn't have.
pub(super) fn unknown_class(class: &str, regime: &Regime) -> Finding {
    let fix = format!("choose one of {}", regime.class_names());
    let message = format!("the baseline {} has no class {class}", regime.baseline);
    finding(ID, "dataClass", message, fix).value(class)
}

/// The reason against a namespace that carries a class without declaring one.
pub(super) fn label_without_declaration(class: &str) -> Finding {
    let message = format!("it carries the class {class} and has no CloudWorkload");
    let fix = "create its CloudWorkload again, with that class or a higher one";
    let mut finding = Finding::new(FieldPath::default(), message, fix).value(class);
    finding.control = ID;
    finding
}
