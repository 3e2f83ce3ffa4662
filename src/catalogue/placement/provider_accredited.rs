use super::{Declared, cloud_model_permitted::site_of, finding};
use crate::api::{CloudServiceProviderSpec, ProviderState};
use crate::control::{Acceptance, Case, Check, Lookup, NotAssessed, Params, Point, Severity, Sink, begun_at, over_at};

crate::control! {
    /// The provider is in the registry, active, in date and in scope.
    ///
    /// At the instant of the decision the CloudServiceProvider that a CloudWorkload names is `Active`, between its
    /// `validFrom` and `validUntil`, may hold the class (`maxDataClass`), offers the cloud model and the service model,
    /// and has the site. While one of these fails, new workloads, changed templates and scale-ups are refused; what
    /// runs goes on, and Pods that controllers re-create are admitted for `graceOnSuspension`. The clocks of replicas
    /// may differ by five seconds: the validity counts as begun that much late, and as over that much early.
    ///
    /// ## Why
    /// An accreditation can be suspended or run out long after a workload was admitted. It is asked anew each time.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
    /// ---
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: PublicSectorEntity
    /// metadata: {name: fbr}
    /// spec: {displayName: Federal Board of Revenue, jurisdiction: Federal}
    /// ---
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudServiceProvider
    /// metadata: {name: ntc}
    /// spec:
    ///   displayName: National Telecommunication Corporation
    ///   grade: Accredited
    ///   state: Suspended
    ///   validFrom: "2026-01-01T00:00:00Z"
    ///   validUntil: "2099-01-01T00:00:00Z"
    ///   maxDataClass: Secret
    ///   models: [Government]
    ///   services: [IaaS]
    ///   sites: [{name: isb-1, country: PK}]
    /// ```
    ///
    /// ## Passes
    /// ```yaml,pass
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
    /// ---
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: PublicSectorEntity
    /// metadata: {name: fbr}
    /// spec: {displayName: Federal Board of Revenue, jurisdiction: Federal}
    /// ---
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudServiceProvider
    /// metadata: {name: ntc}
    /// spec:
    ///   displayName: National Telecommunication Corporation
    ///   grade: Accredited
    ///   state: Active
    ///   validFrom: "2026-01-01T00:00:00Z"
    ///   validUntil: "2099-01-01T00:00:00Z"
    ///   maxDataClass: Secret
    ///   models: [Government]
    ///   services: [IaaS]
    ///   sites: [{name: isb-1, country: PK}]
    /// ```
    pub static PROVIDER_ACCREDITED = {
        id: ID,
        title: "Provider registered or accredited, in scope, in date",
        severity: Severity::Critical,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: super::STANDING,
        reads: &[],
        maps: &[
            ("CCM", "STA-08"), ("CCM", "A&A-02"), ("ISO27017", "15.1.2"), ("ISO27001", "A.5.19"), ("ISO27001", "A.5.22"),
            ("ISO27001", "A.5.23"), ("NIST800-53", "SA-9"), ("NIST800-53", "CA-2"),
        ],
        params: &[],
        check: Check::Case(check),
    }
}

const ID: &str = "placement/provider-accredited";

fn check(case: &Case<'_>, _: &Params, sink: &mut Sink) {
    super::report(ID, case, sink);
}

/// What the registry has against a declaration.
pub(super) fn judge(declared: &Declared<'_>, acceptance: &mut Acceptance) {
    let name = &declared.spec.provider;
    match declared.context.provider(name) {
        Lookup::Found(provider) => judge_provider(declared, provider, acceptance),
        Lookup::Absent => acceptance.missing.push(
            finding(
                ID,
                "provider",
                format!("no CloudServiceProvider is named {name}"),
                "name a provider of the registry (kubectl get csp), or have it registered",
            )
            .value(name.as_str()),
        ),
        Lookup::Unknown => acceptance
            .unknown
            .push(NotAssessed { control: ID, reason: format!("the CloudServiceProvider {name} is not known") }),
    }
}

fn judge_provider(declared: &Declared<'_>, provider: &CloudServiceProviderSpec, acceptance: &mut Acceptance) {
    let (spec, regime, now) = (declared.spec, declared.regime, declared.now);
    let name = spec.provider.as_str();
    let class = regime.class_name(declared.rank);
    let mut refuse = |field: &'static str, value: String, message: String, fix: &str| {
        acceptance.reasons.push(finding(ID, field, message, fix).value(value));
    };
    if provider.state != ProviderState::Active {
        let message = format!("provider {name} is {:?}, not Active", provider.state);
        refuse(
            "provider",
            name.to_owned(),
            message,
            "choose an active provider, or wait until its registration is restored",
        );
    }
    if let Some(from) = provider.valid_from.filter(|from| now < begun_at(*from)) {
        let message = format!("provider {name} is registered from {} on (validFrom {from})", begun_at(from));
        refuse("provider", name.to_owned(), message, "wait until then");
    }
    // The boundary instant counts as expired.
    if let Some(until) = provider.valid_until.filter(|until| now >= over_at(*until)) {
        let message = format!("the registration of provider {name} ran out at {} (validUntil {until})", over_at(until));
        refuse(
            "provider",
            name.to_owned(),
            message,
            "choose another provider, or wait until its registration is renewed",
        );
    }
    if regime.rank(&provider.max_data_class).is_none_or(|max| max < declared.rank) {
        let message = format!("provider {name} may hold data up to {}, not {class}", provider.max_data_class);
        refuse("provider", name.to_owned(), message, "choose a provider that may hold the class");
    }
    if !provider.models.contains(&spec.model) {
        let message = format!("provider {name} is not registered for model {:?}", spec.model);
        refuse("model", format!("{:?}", spec.model), message, &format!("choose one of {:?}", provider.models));
    }
    if !provider.services.contains(&spec.service) {
        let message = format!("provider {name} is not registered for service {:?}", spec.service);
        refuse("service", format!("{:?}", spec.service), message, &format!("choose one of {:?}", provider.services));
    }
    if site_of(declared, provider).is_none() {
        let sites = provider.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>().join(", ");
        let (value, message) = match &spec.site {
            Some(site) => (site.clone(), format!("provider {name} has no site {site}")),
            None => (String::new(), format!("provider {name} has not exactly one site, so the site must be named")),
        };
        let fix = if sites.is_empty() {
            "have a site of the provider registered".to_owned()
        } else {
            format!("choose one of {sites}")
        };
        refuse("site", value, message, &fix);
    }
}
