//! Classification, registration and placement.

mod class_inherited;
mod cloud_model_permitted;
mod data_class_declared;
mod no_silent_downgrade;
mod provider_accredited;

pub use class_inherited::CLASS_INHERITED;
pub use cloud_model_permitted::{CLOUD_MODEL_PERMITTED, first_fit};
pub use data_class_declared::DATA_CLASS_DECLARED;
pub use no_silent_downgrade::NO_SILENT_DOWNGRADE;
pub use provider_accredited::PROVIDER_ACCREDITED;

use jiff::Timestamp;

use crate::api::CloudWorkloadSpec;
use crate::control::{Acceptance, Case, Context, FieldPath, Finding, Judges, Kind, Operation, Regime, Sink};

/// Controls that speak of the namespace, not of the object: all that counts before a class holds, and when an
/// unchanged workload is scaled up.
pub fn is_of_standing(control: &str) -> bool {
    [&CLOUD_MODEL_PERMITTED, &DATA_CLASS_DECLARED, &NO_SILENT_DOWNGRADE, &PROVIDER_ACCREDITED]
        .iter()
        .any(|of_standing| of_standing.id == control)
}

/// A declaration as the controls of this family see it: the spec, its class's rank, and where to report.
struct Declared<'a> {
    spec: &'a CloudWorkloadSpec,
    rank: usize,
    regime: &'a Regime,
    context: &'a dyn Context,
    now: Timestamp,
}

/// What stands against a declaration at an instant. Pure: it reads specs and the instant, never a status.
pub fn acceptance(spec: &CloudWorkloadSpec, regime: &Regime, context: &dyn Context, now: Timestamp) -> Acceptance {
    let mut acceptance = Acceptance::default();
    let Some(rank) = regime.rank(&spec.data_class) else {
        let finding = data_class_declared::unknown_class(&spec.data_class, regime);
        acceptance.reasons.push(finding);
        return acceptance;
    };
    let declared = Declared { spec, rank, regime, context, now };
    cloud_model_permitted::judge(&declared, &mut acceptance);
    provider_accredited::judge(&declared, &mut acceptance);
    acceptance
}

/// What stands against a namespace that carries a class without declaring one: its class holds, and nothing new comes in.
pub fn without_declaration(label: &str) -> Acceptance {
    Acceptance { reasons: vec![data_class_declared::label_without_declaration(label)], ..Acceptance::default() }
}

/// What the controls of a namespace's standing judge: every workload and its scale, and the declaration itself.
const STANDING: &[Judges] = &[
    Judges { kinds: &[Kind::Pod], operations: &[Operation::Create, Operation::Update], subresources: &["*"] },
    Judges {
        kinds: &[Kind::Deployment, Kind::StatefulSet, Kind::ReplicaSet, Kind::ReplicationController],
        operations: &[Operation::Create, Operation::Update],
        subresources: &["scale"],
    },
    Judges {
        kinds: &[Kind::DaemonSet, Kind::Job, Kind::CronJob, Kind::PodTemplate],
        operations: &[Operation::Create, Operation::Update],
        subresources: &[],
    },
    Judges { kinds: &[Kind::CloudWorkload], operations: &[Operation::Create, Operation::Update], subresources: &[] },
];

/// Reports what one control has against the declaration: on the CloudWorkload itself at the field, on a workload as the
/// reason why its namespace takes none.
fn report(control: &'static str, case: &Case<'_>, sink: &mut Sink) {
    let of_control = |finding: &&Finding| finding.control == control;
    if let Some(declared) = case.declared {
        declared.reasons.iter().filter(of_control).for_each(|finding| sink.push(finding.clone()));
        declared.unknown.iter().filter(|unknown| unknown.control == control).for_each(|unknown| {
            sink.not_assessed(unknown.reason.clone());
        });
        return;
    }
    let Some(acceptance) = case.standing.acceptance() else { return };
    for reason in acceptance.against().filter(of_control) {
        let namespace = case.namespace();
        let message = if reason.path.is_empty() {
            format!("namespace {namespace}: {}", reason.message)
        } else {
            format!("the CloudWorkload of namespace {namespace} is not accepted: {}: {}", reason.path, reason.message)
        };
        let path = FieldPath::of(&["metadata", "namespace"]);
        sink.push(Finding::new(path, message, reason.fix.clone()).value(namespace));
    }
    for unknown in acceptance.unknown.iter().filter(|unknown| unknown.control == control) {
        sink.not_assessed(unknown.reason.clone());
    }
}

/// A finding in the spec of a CloudWorkload, attributed to a control.
fn finding(control: &'static str, field: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Finding {
    let mut finding = Finding::new(FieldPath::of(&["spec"]).field(field), message, fix);
    finding.control = control;
    finding
}
