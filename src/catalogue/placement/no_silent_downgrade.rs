use crate::api::DATA_CLASS_LABEL;
use crate::control::{
    Body, Case, Check, FieldPath, Finding, Judges, Kind, Lookup, Operation, Params, Point, Regime, Severity, Sink,
    Subject,
};

crate::control! {
    /// A namespace's class of data is never lowered in silence.
    ///
    /// A CloudWorkload's `dataClass` isn't changed to a lower one, a CloudWorkload isn't deleted while its namespace
    /// lives, one that is made again names no lower class than the namespace has, and the label `amanat.dev/data-class`
    /// isn't lowered or removed. The namespace's label is the memory of its class.
    ///
    /// A declaration that was never accepted may be lowered or deleted freely.
    ///
    /// ## Why
    /// Data that was secret yesterday is on the same volumes today.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Namespace
    /// metadata: {name: fbr-portal, labels: {amanat.dev/data-class: Confidential}}
    /// ---
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Namespace
    /// metadata: {name: fbr-portal, labels: {amanat.dev/data-class: Restricted}}
    /// ---
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Confidential, provider: ntc, model: Government, service: IaaS}
    /// ```
    pub static NO_SILENT_DOWNGRADE = {
        id: "placement/no-silent-downgrade",
        title: "No silent downgrade",
        severity: Severity::Critical,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: &[
            Judges {
                kinds: &[Kind::CloudWorkload],
                operations: &[Operation::Create, Operation::Update, Operation::Delete],
                subresources: &[],
            },
            Judges { kinds: &[Kind::Namespace], operations: &[Operation::Update], subresources: &["status", "finalize"] },
        ],
        reads: &[DATA_CLASS_LABEL],
        maps: &[
            ("CCM", "DSP-04"), ("CCM", "CCC-04"), ("ISO27001", "A.5.12"), ("NIST800-53", "AC-16"), ("NIST800-53", "CM-5"),
        ],
        params: &[],
        check: Check::Case(check),
    }
}

const WAY_OUT: &str = "keep the class or name a higher one; to end it, delete the namespace";

fn check(case: &Case<'_>, _: &Params, sink: &mut Sink) {
    match &case.subject.body {
        Body::CloudWorkload(spec) => {
            let Some(governed) = case.standing.governed() else { return };
            // A replica's index may be behind a raise; the object as it was never is.
            let before = case.old.and_then(|old| match &old.body {
                Body::CloudWorkload(old) => case.regime.rank(&old.data_class),
                _ => None,
            });
            let rank = before.map_or(governed.rank, |before| before.max(governed.rank));
            let class = case.regime.class_name(rank);
            let namespace = case.namespace();
            if case.operation == Operation::Delete {
                if case.context.namespace_going(namespace) != Lookup::Found(true) {
                    let message = format!("namespace {namespace} holds data of class {class}: its CloudWorkload stays");
                    sink.push(Finding::new(FieldPath::default(), message, "delete the namespace, or keep the class"));
                }
                return;
            }
            if case.regime.rank(&spec.data_class).is_some_and(|declared| declared < rank) {
                let path = FieldPath::of(&["spec", "dataClass"]);
                let message = format!("namespace {namespace} holds data of class {class}, which is higher");
                sink.push(Finding::new(path, message, WAY_OUT).value(spec.data_class.as_str()));
            }
        }
        Body::Namespace => {
            if case.actor.is_none_or(|actor| actor.amanat) {
                return;
            }
            let read = |subject: &Subject| subject.metadata.labels.get(DATA_CLASS_LABEL).cloned();
            let (old, new) = (case.old.and_then(read), read(case.subject));
            if lowers(case.regime, old.as_deref(), new.as_deref()) {
                let path = FieldPath::of(&["metadata", "labels"]).key(DATA_CLASS_LABEL);
                let message = format!("the namespace holds data of class {}", old.unwrap_or_default());
                sink.push(Finding::new(path, message, WAY_OUT).value(new));
            }
        }
        _ => {}
    }
}

/// True when a label's change loses a class or lowers it. A value that is no class of the baseline ranks below all.
pub(super) fn lowers(regime: &Regime, old: Option<&str>, new: Option<&str>) -> bool {
    match (old, new) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(old), Some(new)) => regime.rank(new) < regime.rank(old),
    }
}
