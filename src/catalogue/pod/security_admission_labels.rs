use crate::control::{
    Body, Case, Check, FieldPath, Finding, Judges, Kind, Level, Operation, POD_SECURITY_MODES, POD_SECURITY_PREFIX,
    Params, Point, Severity, Sink, Subject,
};

crate::control! {
    /// The built-in Pod Security admission enforces in a governed namespace what its class demands.
    ///
    /// The operator writes the labels `pod-security.kubernetes.io/enforce`, `audit` and `warn` with their versions.
    /// `enforce` is the highest level all of whose checks the namespace denies at this instant, `audit` and `warn` the
    /// highest that its class denies; the version is the baseline's `podSecurityVersion`, or the API server's when that
    /// is older. They are written anew whenever one of these changes or lapses. A level that someone else set higher
    /// stays.
    ///
    /// Whoever is no administrator of the baseline can't lower or remove these labels below that, through `namespaces`,
    /// `namespaces/status` or `namespaces/finalize`; what an administrator does is healed. A manifest may leave them out:
    /// one that sets less is a finding.
    ///
    /// ## Why
    ///
    /// The built-in admission runs inside the API server. It goes on refusing when no webhook can be reached, and what
    /// its labels say must not be a tenant's to choose.
    ///
    /// ## Fails
    ///
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Namespace
    /// metadata:
    ///   name: fbr-portal
    ///   labels:
    ///     pod-security.kubernetes.io/enforce: privileged
    /// ---
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Namespace
    /// metadata:
    ///   name: fbr-portal
    ///   labels:
    ///     pod-security.kubernetes.io/enforce: restricted
    /// ---
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
    /// ```
    pub static SECURITY_ADMISSION_LABELS = {
        id: "pod/security-admission-labels",
        title: "Pod Security admission level pinned",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Build, Point::Scan],
        judges: &[Judges {
            kinds: &[Kind::Namespace],
            operations: &[Operation::Update],
            subresources: &["status", "finalize"],
        }],
        reads: &["pod-security.kubernetes.io/*"],
        maps: &[
            ("CCM", "IVS-04"), ("CCM", "CCC-07"), ("ISO27017", "CLD.9.5.2"), ("ISO27001", "A.8.9"), ("NIST800-53", "CM-6"),
            ("NIST800-53", "CM-7"), ("CIS", "5.2.1"), ("CIS", "5.6.3"), ("NSA", "C-0055"),
        ],
        params: &[],
        check: Check::Case(check),
    }
}

fn check(case: &Case<'_>, _: &Params, sink: &mut Sink) {
    let (Body::Namespace, Some(required)) = (&case.subject.body, case.pod_security) else { return };
    let trusted =
        case.actor.is_some_and(|actor| actor.amanat || actor.control_plane || actor.is_in(&case.regime.administrators));
    if trusted || (case.actor.is_some() && case.operation != Operation::Update) {
        return;
    }
    for mode in POD_SECURITY_MODES {
        let demanded = required.of_mode(mode);
        let key = format!("{POD_SECURITY_PREFIX}{mode}");
        // Offline, what a manifest leaves out is healed; in a request, it was taken away.
        let judged = |key: &str| case.actor.is_some() || label(case.subject, key).is_some();
        let weaker = level(case.subject, &key) < case.old.map_or(Level::Restricted, |old| level(old, &key));
        if weaker && judged(&key) && level(case.subject, &key) < demanded {
            let message = format!("the namespace's class demands {} there", demanded.as_str());
            let fix = format!("leave the label to Amanat, or set {}", at_least(demanded));
            sink.push(finding(case, key, message, fix));
            continue;
        }
        let key = format!("{key}-version");
        let older = version(case.subject, &key) < case.old.map_or(u32::MAX, |old| version(old, &key));
        let counts = demanded > Level::Privileged && judged(&key);
        if counts && older && version(case.subject, &key) < required.minor {
            let message = format!("the baseline pins v1.{} there", required.minor);
            sink.push(finding(case, key, message, "leave the label to Amanat"));
        }
    }
}

fn finding(case: &Case<'_>, key: String, message: String, fix: impl Into<String>) -> Finding {
    let value = label(case.subject, &key).map(str::to_owned);
    let path = FieldPath::of(&["metadata", "labels"]).key(key);
    Finding::new(path, message, fix).value(value)
}

fn at_least(level: Level) -> &'static str {
    match level {
        Level::Restricted => "restricted",
        Level::Baseline | Level::Privileged => "baseline or restricted",
    }
}

fn label<'a>(namespace: &'a Subject, key: &str) -> Option<&'a str> {
    namespace.metadata.labels.get(key).map(String::as_str)
}

/// Without a label, and by a word that is no level, nothing is demanded.
fn level(namespace: &Subject, key: &str) -> Level {
    label(namespace, key).and_then(Level::parse).unwrap_or_default()
}

/// The minor version; the latest, which is the most, without a label. A word that is no version demands nothing.
fn version(namespace: &Subject, key: &str) -> u32 {
    match label(namespace, key) {
        None | Some("latest") => u32::MAX,
        Some(version) => version.strip_prefix("v1.").and_then(|minor| minor.parse().ok()).unwrap_or_default(),
    }
}
