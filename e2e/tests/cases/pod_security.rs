//! Upstream's Pod Security fixtures through an API server that has no Pod Security of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use amanat::catalogue::pod::{BASELINE, RESTRICTED};
use amanat::manifest::{Limits, read};
use anyhow::{Result, bail, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::chart;
use e2e::cluster::Cluster;
use e2e::controlplane::Options;
use e2e::manifests::{cloud_workload, patched};
use e2e::waiting::until;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use self::psa::{Fixture, Level};
use super::says::created_dry;

#[path = "../../../tests/support/psa.rs"]
mod psa;

const SOON: Duration = Duration::from_secs(60);
const AT_A_TIME: usize = 16;
const SAMPLE: usize = 20;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("pod security: every fixture gets upstream's verdict, by the right control", fixtures)
            .on_own_cluster(),
    ]
}

/// A fixture as one of the two kinds it is tried as.
#[derive(Clone)]
struct Tried {
    fixture: Fixture,
    kind: &'static str,
    object: Value,
}

/// What the API server said.
enum Answer {
    Admitted,
    /// By the webhook: what its causes say.
    Denied(String),
    /// By the API server's own validation, before any webhook.
    Invalid(String),
}

async fn fixtures(_: Arc<Suite>) -> Result<()> {
    let options = Options { disable_admission_plugins: vec!["PodSecurity".to_owned()], ..Options::default() };
    let cluster = Arc::new(Cluster::own(&options).await?);
    let crds = chart::folder().join("crds");
    let tools = cluster.tools();
    tools.kubectl(&["apply", "--server-side", "-f", &crds.to_string_lossy()]).await?.ok()?;
    tools.kubectl(&["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"]).await?.ok()?;
    tools.apply(&baseline().to_string()).await?.ok()?;
    let amanat = Amanat::start_with(Arc::clone(&cluster), &json!({"baseline": {"create": false}})).await?;
    for level in [Level::Baseline, Level::Restricted] {
        cluster.tools().kubectl(&["create", "namespace", namespace(level)]).await?.ok()?;
        cluster.wait_for_namespace(namespace(level)).await?;
        amanat.declare(&cloud_workload(namespace(level), class(level))).await?;
    }

    let all = newest()?;
    ensure!(all.len() > 200, "only {} fixtures are of the newest version", all.len());
    let (wrong, invalid) = judge(&cluster, &all).await?;
    println!(
        "{} fixtures of 1.{}; refused by the API server's own validation: {}",
        all.len(),
        psa::NEWEST,
        invalid.len()
    );
    invalid.iter().for_each(|one| println!("  {one}"));
    ensure!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
    // Those are few, and none that should pass.
    ensure!(invalid.len() * 10 < all.len(), "{} fixtures never reached the webhook", invalid.len());

    // The same without Amanat must fail, or the above would prove nothing.
    tools.kubectl(&["delete", "clusterrole", "amanat-anchor"]).await?.ok()?;
    let configurations = Api::<ValidatingWebhookConfiguration>::all(cluster.client().clone());
    until(SOON, "the webhook configuration to go with its anchor", async || {
        let left = configurations.list(&ListParams::default()).await?.items.len();
        ensure!(left == 0, "{left} are there");
        Ok(())
    })
    .await?;
    let sample: Vec<_> = all.iter().filter(|tried| tried.fixture.denied).take(SAMPLE).cloned().collect();
    until(SOON, "the verdicts to be wrong without Amanat", async || {
        let (wrong, invalid) = judge(&cluster, &sample).await?;
        ensure!(wrong.len() + invalid.len() == sample.len(), "only {} are wrong", wrong.len());
        ensure!(!wrong.is_empty(), "all are refused by validation");
        Ok(())
    })
    .await
}

fn class(level: Level) -> &'static str {
    match level {
        Level::Baseline => "Low",
        // What the test provider may hold is named in the registry.
        Level::Restricted => "Secret",
    }
}

fn namespace(level: Level) -> &'static str {
    match level {
        Level::Baseline => "low",
        Level::Restricted => "high",
    }
}

/// Two classes: one denies the checks of the level `baseline`, one all nineteen. Nothing is supplied, so that each fixture
/// is judged as it is.
fn baseline() -> Value {
    let both = json!({"Low": "Deny", "Secret": "Deny"});
    let high = json!({"Low": "Disabled", "Secret": "Deny"});
    let controls = BASELINE.iter().map(|control| json!({"id": control.id, "effects": both}));
    let controls =
        controls.chain(RESTRICTED.iter().map(|control| json!({"id": control.id, "effects": high, "supply": false})));
    let of_standing = ["data-class-declared", "cloud-model-permitted", "provider-accredited", "no-silent-downgrade"];
    let of_standing = of_standing.map(|name| json!({"id": format!("placement/{name}"), "effects": both}));
    let row =
        |class: &str| json!({"class": class, "models": ["Government"], "countries": ["PK"], "grade": "Accredited"});
    json!({
        "apiVersion": "amanat.dev/v1alpha1",
        "kind": "SecurityBaseline",
        "metadata": {"name": "pod-security"},
        "spec": {
            "title": "The levels of Pod Security as classes",
            "version": "1",
            "default": true,
            "catalogue": "0.1.0",
            "podSecurityVersion": format!("v1.{}", psa::NEWEST),
            "classes": [{"name": "Low", "level": "baseline"}, {"name": "Secret", "level": "highest"}],
            "undeclared": "Disabled",
            "placement": [row("Low"), row("Secret")],
            "controls": controls.chain(of_standing).collect::<Vec<_>>(),
            "administrators": {"groups": ["system:masters"]},
        },
    })
}

/// The fixtures of the newest version, as Pods and within Deployments, with names of their own.
fn newest() -> Result<Vec<Tried>> {
    let mut all = Vec::new();
    for fixture in psa::fixtures().into_iter().filter(|fixture| fixture.minor == psa::NEWEST) {
        let (documents, errors) = read(&fixture.text, &Limits::default());
        let [document] = documents.as_slice() else { bail!("{} isn't one document: {errors:?}", fixture.name) };
        let pod = psa::pod(document.root.to_value());
        let verdict = if fixture.denied { "fail" } else { "pass" };
        let name = format!("{verdict}-{}", fixture.name.replace('_', "-"));
        let pod = patched(pod, &json!({"metadata": {"name": name}}));
        let deployment = psa::deployment(&pod);
        all.push(Tried { fixture: fixture.clone(), kind: "Pod", object: pod });
        all.push(Tried { fixture, kind: "Deployment", object: deployment });
    }
    Ok(all)
}

/// The fixtures whose verdict isn't upstream's, and those that the API server refuses by itself.
async fn judge(cluster: &Cluster, all: &[Tried]) -> Result<(Vec<String>, Vec<String>)> {
    let answers: Vec<_> = futures::stream::iter(all)
        .map(async |tried| anyhow::Ok((tried, answer(cluster, tried).await?)))
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let (mut wrong, mut invalid) = (Vec::new(), BTreeSet::new());
    for (tried, answer) in answers {
        let Fixture { level, name, denied, .. } = &tried.fixture;
        let what = format!("{level:?} {name} ({}, {})", tried.kind, if *denied { "fail" } else { "pass" });
        match (answer, tried.fixture.control()) {
            (Answer::Admitted, None) => {}
            (Answer::Denied(causes), Some(control)) if causes.contains(control) => {}
            (Answer::Admitted, Some(control)) => wrong.push(format!("{what}: admitted, not denied by {control}")),
            (Answer::Denied(causes), Some(control)) => wrong.push(format!("{what}: {control} isn't among {causes}")),
            (Answer::Denied(causes), None) => wrong.push(format!("{what}: denied by {causes}")),
            (Answer::Invalid(message), Some(_)) => drop(invalid.insert(format!("{what}: {message}"))),
            (Answer::Invalid(message), None) => wrong.push(format!("{what}: invalid: {message}")),
        }
    }
    Ok((wrong, invalid.into_iter().collect()))
}

async fn answer(cluster: &Cluster, tried: &Tried) -> Result<Answer> {
    let namespace = namespace(tried.fixture.level);
    let path = match tried.kind {
        "Pod" => format!("/api/v1/namespaces/{namespace}/pods"),
        _ => format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
    };
    Ok(match created_dry(cluster, &path, &tried.object).await? {
        Ok(()) => Answer::Admitted,
        Err(status) if status.message.contains("governed.webhook.amanat.dev") => {
            let causes = status.details.map(|details| details.causes).unwrap_or_default();
            let causes: Vec<_> = causes
                .into_iter()
                .map(|cause| format!("{} {}: {}", cause.reason, cause.field, cause.message))
                .collect();
            Answer::Denied(causes.join("; "))
        }
        Err(status) if status.code == 422 => Answer::Invalid(status.message),
        Err(status) => bail!("{} in a {}: {}", tried.fixture.name, tried.kind, status.message),
    })
}
