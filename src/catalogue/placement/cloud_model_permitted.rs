use super::{Declared, finding};
use crate::api::cloud_service_provider::{Grade, Site};
use crate::api::{CloudModel, CloudServiceProviderSpec, PlacementRow};
use crate::control::{Acceptance, Case, Check, Lookup, NotAssessed, Params, Point, Severity, Sink};

crate::control! {
    /// A class of data is kept only where the placement matrix permits.
    ///
    /// The CloudWorkload's class, cloud model, the country of its site and the grade of its provider fit a row of
    /// `SecurityBaseline.spec.placement`; the first row that fits counts. Where no row fits, the declaration is refused,
    /// with the rows that its class has and the field that fits none of them. A row with `approval: true` is refused
    /// until an approval can be recorded, and a hybrid cloud until its legs can be expressed. The owner is a PublicSectorEntity that exists.
    ///
    /// While a namespace's CloudWorkload isn't accepted, its workloads are refused.
    ///
    /// ## Why
    /// Which cloud may keep which class is the heart of the policy: data of the upper classes stays in government
    /// clouds inside the country.
    ///
    /// ## Fails
    /// ```yaml,fail
    /// apiVersion: amanat.dev/v1alpha1
    /// kind: CloudWorkload
    /// metadata: {name: workload, namespace: fbr-portal}
    /// spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Public, service: IaaS}
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
    ///   models: [Government, Public]
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
    pub static CLOUD_MODEL_PERMITTED = {
        id: ID,
        title: "Class and cloud model fit the placement matrix",
        severity: Severity::Critical,
        since: "0.1.0",
        points: &[Point::Admission, Point::Scan],
        judges: super::STANDING,
        reads: &[],
        maps: &[
            ("CCM", "DSP-10"), ("CCM", "DSP-19"), ("CCM", "GRC-07"), ("ISO27017", "18.1.1"), ("ISO27001", "A.5.23"),
            ("ISO27001", "A.5.31"), ("NIST800-53", "SA-9"), ("NIST800-53", "SA-9(5)"), ("NIST800-53", "CM-12"),
        ],
        params: &[],
        check: Check::Case(check),
    }
}

const ID: &str = "placement/cloud-model-permitted";

fn check(case: &Case<'_>, _: &Params, sink: &mut Sink) {
    super::report(ID, case, sink);
}

/// What the matrix has against a declaration.
pub(super) fn judge(declared: &Declared<'_>, acceptance: &mut Acceptance) {
    let spec = declared.spec;
    let unknown = |reason: String| NotAssessed { control: ID, reason };
    match declared.context.entity(&spec.owner) {
        Lookup::Found(_) => {}
        Lookup::Unknown => {
            acceptance.unknown.push(unknown(format!("the PublicSectorEntity {} is not known", spec.owner)))
        }
        Lookup::Absent => acceptance.missing.push(
            finding(
                ID,
                "owner",
                format!("no PublicSectorEntity is named {}", spec.owner),
                "name an entity of the registry (kubectl get pse), or have it registered",
            )
            .value(spec.owner.as_str()),
        ),
    }
    let provider = match declared.context.provider(&spec.provider) {
        Lookup::Found(provider) => provider,
        Lookup::Unknown => {
            acceptance.unknown.push(unknown(format!("the CloudServiceProvider {} is not known", spec.provider)));
            return;
        }
        // An unregistered provider is the other control's to report.
        Lookup::Absent => return,
    };
    let Some(site) = site_of(declared, provider) else { return };
    for rows in &declared.regime.placement {
        if let Some(refused) = refusal(declared, provider, site, rows) {
            acceptance.reasons.push(refused);
        }
    }
}

/// The site that keeps the data: the one named, or the provider's only one.
pub(super) fn site_of<'a>(declared: &Declared<'_>, provider: &'a CloudServiceProviderSpec) -> Option<&'a Site> {
    match &declared.spec.site {
        Some(name) => provider.sites.iter().find(|site| site.name == *name),
        None => match provider.sites.as_slice() {
            [only] => Some(only),
            _ => None,
        },
    }
}

/// Of the rows of one class, the first that fits: it decides.
pub fn first_fit<'a>(
    rows: impl IntoIterator<Item = &'a PlacementRow>,
    model: CloudModel,
    country: &str,
    grade: Grade,
) -> Option<&'a PlacementRow> {
    rows.into_iter().find(|row| row.models.contains(&model) && takes(row, country) && grade >= row.grade)
}

fn takes(row: &PlacementRow, country: &str) -> bool {
    row.countries.iter().any(|known| known == "*" || known == country)
}

fn refusal(
    declared: &Declared<'_>,
    provider: &CloudServiceProviderSpec,
    site: &Site,
    rows: &[PlacementRow],
) -> Option<crate::control::Finding> {
    let (spec, regime) = (declared.spec, declared.regime);
    let class = regime.class_name(declared.rank);
    let of_class: Vec<&PlacementRow> =
        rows.iter().filter(|row| regime.rank(&row.class) == Some(declared.rank)).collect();
    let fitting = first_fit(of_class.iter().copied(), spec.model, &site.country, provider.grade);
    if fitting.is_some() && spec.model == CloudModel::Hybrid {
        let message = "the legs of a hybrid cloud can't be expressed in this version";
        return Some(finding(ID, "model", message, "choose the model of the leg that keeps the data").value("Hybrid"));
    }
    if let Some(row) = fitting {
        return row.approval.then(|| {
            let message = format!(
                "{class} in a {:?} cloud in {} needs an approval, and approvals can't be recorded in this version",
                spec.model, site.country
            );
            finding(ID, "model", message, "choose a placement that needs none").value(format!("{:?}", spec.model))
        });
    }
    let shown = if of_class.is_empty() {
        "it has none".to_owned()
    } else {
        of_class.iter().map(|row| describe(row)).collect::<Vec<_>>().join("; ")
    };
    let fix = format!("placement rows of {class}: {shown}");
    let modelled: Vec<&&PlacementRow> = of_class.iter().filter(|row| row.models.contains(&spec.model)).collect();
    let located: Vec<&&&PlacementRow> = modelled.iter().filter(|row| takes(row, &site.country)).collect();
    let (field, value, message) = if modelled.is_empty() {
        ("model", format!("{:?}", spec.model), format!("no placement row of {class} has model {:?}", spec.model))
    } else if located.is_empty() {
        let message = format!("no placement row of {class} has model {:?} in country {}", spec.model, site.country);
        ("site", format!("{} ({})", site.name, site.country), message)
    } else {
        let message = format!("no placement row of {class} takes a provider of grade {:?} here", provider.grade);
        ("provider", format!("{} ({:?})", spec.provider, provider.grade), message)
    };
    Some(finding(ID, field, message, fix).value(value))
}

fn describe(row: &PlacementRow) -> String {
    let models = row.models.iter().map(|model| format!("{model:?}")).collect::<Vec<_>>().join(" or ");
    let countries = if row.countries.iter().any(|country| country == "*") {
        "any country".to_owned()
    } else {
        row.countries.join(" or ")
    };
    let approval = if row.approval { ", with approval" } else { "" };
    format!("model {models} in {countries} by a provider of grade {:?}{approval}", row.grade)
}
