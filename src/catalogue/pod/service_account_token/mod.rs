//! Tokens of ServiceAccounts in Pods.

mod plugin;
mod supply;

use crate::api::CloudWorkloadSpec;
use crate::control::{
    Case, Check, FieldPath, Finding, Kind, Lookup, POD_SPECS, ParamKind, ParamSpec, Params, PodSpec, Point, Severity,
    Sink, Subject, Supply,
};
use plugin::Mounted;

/// The words of `apiAccess`, the most lenient first.
const API_ACCESS: &[&str] = &["Declared", "ExemptionOnly"];
/// What the API server fills in where a token's `expirationSeconds` is left out.
const DEFAULT_SECONDS: i64 = 3600;

crate::control! {
    /// A Pod carries no token for the Kubernetes API, unless the CloudWorkload of its namespace declares its
    /// ServiceAccount in `spec.apiAccess.serviceAccounts` and the class's parameter `apiAccess` is `Declared`. Where it is
    /// `ExemptionOnly`, declaring is not enough.
    ///
    /// Tokens are what the volumes project as `serviceAccountToken`, whatever their audience, and what Kubernetes mounts by
    /// itself at `/var/run/secrets/kubernetes.io/serviceaccount` (the volume `kube-api-access-*`), which it does unless
    /// `automountServiceAccountToken` is false. Where the field is left out, that volume and its mounts are removed from a
    /// Pod when it is made, and the field is set to false, unless the baseline's `supply` is off. A template may leave it
    /// out; it gets a warning that names what its Pods won't have. A token that somebody asks for, by the field or by a
    /// volume, is never removed, and is refused.
    ///
    /// No projected token may be asked for longer than `maxTokenSeconds`, that of a declared ServiceAccount neither. 3607 is
    /// what Kubernetes writes when it mounts one by itself.
    ///
    /// A ServiceAccount's own `automountServiceAccountToken` shows in a Pod that is made. In a manifest only the Pod's and
    /// the template's own field counts; where that is left out, the token counts as mounted.
    ///
    /// ## Why
    /// Most programs never ask the Kubernetes API anything. Who breaks into one finds the token all the same, and with it
    /// whatever the ServiceAccount may do, now or after the next binding.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: web, namespace: fbr-portal}
    /// spec:
    ///   automountServiceAccountToken: true
    ///   containers: [{name: web, image: registry.example.gov.pk/portal/web}]
    /// ```
    /// ```yaml,fail
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: elector, namespace: fbr-portal}
    /// spec:
    ///   serviceAccountName: leader-elector
    ///   automountServiceAccountToken: false
    ///   containers:
    ///     - name: elector
    ///       image: registry.example.gov.pk/portal/elector
    ///       volumeMounts: [{name: token, mountPath: /var/run/secrets/tokens}]
    ///   volumes:
    ///     - name: token
    ///       projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 86400}}]}
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: web, namespace: fbr-portal}
    /// spec:
    ///   automountServiceAccountToken: false
    ///   containers: [{name: web, image: registry.example.gov.pk/portal/web}]
    /// ```
    ///
    /// ## Declared
    /// Of a class whose `apiAccess` is `Declared`, this passes too, and keeps its token:
    /// ```yaml
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec:
    ///   owner: fbr
    ///   dataClass: Restricted
    ///   provider: ntc
    ///   model: Government
    ///   service: IaaS
    ///   apiAccess: {serviceAccounts: [leader-elector]}
    /// ---
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: elector, namespace: fbr-portal}
    /// spec:
    ///   serviceAccountName: leader-elector
    ///   containers: [{name: elector, image: registry.example.gov.pk/portal/elector}]
    /// ```
    pub static SERVICE_ACCOUNT_TOKEN = {
        id: "pod/service-account-token",
        title: "No ambient API credentials",
        severity: Severity::High,
        since: "0.1.0",
        points: &[Point::Admission, Point::Supply, Point::Scan],
        judges: POD_SPECS,
        reads: &[],
        maps: &[
            ("CCM", "IAM-05"), ("CCM", "IAM-16"), ("ISO27017", "9.2.5"), ("ISO27001", "A.5.15"), ("ISO27001", "A.5.17"),
            ("NIST800-53", "AC-6"), ("NIST800-53", "IA-5"), ("CIS", "5.1.5"), ("CIS", "5.1.6"), ("NSA", "C-0034"),
        ],
        params: &[
            ParamSpec {
                name: "apiAccess",
                kind: ParamKind::Choice(API_ACCESS),
                required: false,
                doc: "Whether declaring a ServiceAccount in the CloudWorkload is enough to give its Pods tokens.",
            },
            ParamSpec {
                name: "maxTokenSeconds",
                kind: ParamKind::AtMost(600, 86_400),
                required: false,
                doc: "How long a projected token may last.",
            },
        ],
        check: Check::Case(check),
    } supplying Supply {
        fill: supply::fill,
        missing: "!has(object.spec.automountServiceAccountToken) || (!object.spec.automountServiceAccountToken && \
                  has(object.spec.volumes) && object.spec.volumes.exists(v, v.name.startsWith('kube-api-access-')))",
        missing_where: None,
    }
}

/// A token of a Pod.
struct Token {
    /// The field that asks for it.
    path: FieldPath,
    /// What stands there.
    value: serde_json::Value,
    /// How long it lasts, and the field that says so.
    seconds: (i64, FieldPath),
}

fn check(case: &Case<'_>, params: &Params, sink: &mut Sink) {
    let Some(pod) = case.subject.pod() else { return };
    let account = account(pod.spec);
    let suffices = declaring_suffices(params);
    let declared = match case.context.declared(case.namespace()) {
        Lookup::Found(spec) => Lookup::Found(declares(spec, account)),
        Lookup::Absent => Lookup::Found(false),
        Lookup::Unknown => Lookup::Unknown,
    };
    let most = params.int("maxTokenSeconds");
    for token in tokens(case.subject, pod.spec) {
        match (suffices, declared) {
            (true, Lookup::Found(true)) => {}
            (true, Lookup::Unknown) => sink.not_assessed(format!(
                "whether spec.apiAccess of the CloudWorkload declares ServiceAccount {account}, of which it has a token"
            )),
            _ => sink.push(token.refused(account, suffices)),
        }
        if let Some(most) = most.filter(|most| token.seconds.0 > *most) {
            sink.push(token.too_long(most));
        }
    }
}

/// The ServiceAccount of a Pod; the older of its two fields counts where the newer is left out.
fn account(spec: &PodSpec) -> &str {
    let named = [&spec.service_account_name, &spec.service_account].into_iter().flatten();
    named.map(String::as_str).find(|name| !name.is_empty()).unwrap_or("default")
}

fn declaring_suffices(params: &Params) -> bool {
    params.choice("apiAccess") == API_ACCESS.first().copied()
}

fn declares(declaration: &CloudWorkloadSpec, account: &str) -> bool {
    let access = declaration.api_access.as_ref();
    access.is_some_and(|access| access.service_accounts.iter().any(|name| name == account))
}

/// Every token of a Pod: the one that Kubernetes mounts by itself, and those that its volumes project.
fn tokens(subject: &Subject, spec: &PodSpec) -> Vec<Token> {
    let path = FieldPath::of(subject.kind.pod_spec_path());
    let automount = spec.automount_service_account_token;
    let field = path.clone().field("automountServiceAccountToken");
    // It shows in a Pod that was made; of what somebody wrote, and of a template's Pods, it is what will be.
    let will = subject.as_written || subject.kind != Kind::Pod;
    let mounted = plugin::mounted(spec, will);
    let by_itself = (!matches!(mounted, Mounted::No)).then(|| Token {
        path: field.clone(),
        value: automount.into(),
        seconds: (plugin::SECONDS, field),
    });
    let mut tokens: Vec<Token> = by_itself.into_iter().collect();
    for (index, volume) in spec.volumes.iter() {
        // That one is told already; every other volume has a token of its own, whatever it looks like.
        if matches!(mounted, Mounted::At(place) if place == index) {
            continue;
        }
        let sources = volume.projected.iter().flat_map(|projected| &projected.sources);
        for (place, source) in sources.enumerate() {
            let Some(token) = &source.service_account_token else { continue };
            let path = path.clone().field("volumes").index(index).field("projected").field("sources").index(place);
            let path = path.field("serviceAccountToken");
            let seconds = token.expiration_seconds.unwrap_or(DEFAULT_SECONDS);
            let value = volume.name.as_str().into();
            tokens.push(Token { path: path.clone(), value, seconds: (seconds, path.field("expirationSeconds")) });
        }
    }
    tokens
}

impl Token {
    fn refused(&self, account: &str, declaring_suffices: bool) -> Finding {
        let automount = self.path == self.seconds.1;
        let leave_out = if automount { "set it to false" } else { "leave the token out" };
        let fix = if declaring_suffices {
            format!("{leave_out}, or declare {account} in spec.apiAccess.serviceAccounts of the CloudWorkload")
        } else {
            format!("{leave_out}; the class gives API tokens by exemption only")
        };
        let message = format!("carries a token of ServiceAccount {account}");
        Finding::new(self.path.clone(), message, fix).value(self.value.clone())
    }

    fn too_long(&self, most: i64) -> Finding {
        let (seconds, path) = &self.seconds;
        let fix = if *path == self.path {
            format!("set it to false, and project a token for at most {most} s")
        } else {
            format!("set it to {most} or less")
        };
        Finding::new(path.clone(), format!("its token lasts {seconds} s, more than {most} s"), fix).value(*seconds)
    }
}
