//! The webhook configurations: there when, and as long as, the webhook can be called and the installation lives.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Reconciler;
use super::events::Happened;
use crate::admission::rules::{self, Endpoint, Options};
use crate::api::FIELD_MANAGER;
use crate::cluster::apply::Takeover;
use crate::cluster::{ApplyError, Settings};

/// How often to look whether this replica can serve now.
const NOT_SERVING: Duration = Duration::from_millis(500);
/// How often to look without being told.
const REGULARLY: Duration = Duration::from_secs(60);

/// Writes the configurations, owned by the anchor. Without a live anchor there are none: they would outlive an uninstall
/// and close the cluster.
///
/// # Errors
/// When something may go better next time.
pub async fn reconcile(reconciler: &Reconciler) -> Result<Option<Duration>, ApplyError> {
    let Some(ca_bundle) = (reconciler.serving)() else { return Ok(Some(NOT_SERVING)) };
    let settings = &reconciler.settings;
    let client = reconciler.writer.client();
    let anchors = Api::<PartialObjectMeta<ClusterRole>>::all(client.clone());
    let anchor = anchors.get_opt(&settings.anchor).await?.map(|anchor| anchor.metadata);
    let live = anchor.filter(|anchor| anchor.deletion_timestamp.is_none());
    let Some(uid) = live.and_then(|anchor| anchor.uid) else {
        // What is collected with its anchor was not taken away by anyone.
        reconciler.events.stands(MutatingWebhookConfiguration::KIND, false);
        reconciler.events.stands(ValidatingWebhookConfiguration::KIND, false);
        return Ok(Some(REGULARLY));
    };
    let world = reconciler.index.world();
    let options = Options {
        system_namespaces: &settings.system_namespaces,
        endpoint: &endpoint(settings),
        ca_bundle: &ca_bundle,
        anchor_name: &settings.anchor,
        anchor_uid: &uid,
        engines: world.engines.as_deref(),
    };
    // Neither waits for the other: what keeps one from being healed would leave the other weakened.
    let (supplying, judging) = (rules::mutating_configuration(&options), rules::webhook_configuration(&options));
    let (supplies, judges) = tokio::join!(heal(reconciler, &supplying), heal(reconciler, &judging));
    judges.and(supplies)?;
    Ok(Some(REGULARLY))
}

/// A configuration of either sort.
trait Configuration:
    Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + DeserializeOwned + Serialize + Debug
{
    /// The kind's name.
    const KIND: &'static str;

    /// The entries, without conditions that are an empty list: the API server leaves those out.
    fn entries(&self) -> Value;
}

impl Configuration for ValidatingWebhookConfiguration {
    const KIND: &'static str = "ValidatingWebhookConfiguration";

    fn entries(&self) -> Value {
        entries(json!(self.webhooks))
    }
}

impl Configuration for MutatingWebhookConfiguration {
    const KIND: &'static str = "MutatingWebhookConfiguration";

    fn entries(&self) -> Value {
        entries(json!(self.webhooks))
    }
}

fn entries(mut webhooks: Value) -> Value {
    for webhook in webhooks.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        webhook
            .retain(|field, value| field != "matchConditions" || value.as_array().is_some_and(|list| !list.is_empty()));
    }
    webhooks
}

/// Makes a configuration as it should be, and tells when it wasn't.
async fn heal<K: Configuration>(reconciler: &Reconciler, wanted: &K) -> Result<(), ApplyError> {
    let api = Api::<K>::all(reconciler.writer.client().clone());
    let there = api.get_opt(rules::NAME).await?;
    if there.as_ref().is_some_and(|there| is_as(there, wanted)) {
        reconciler.events.stands(K::KIND, true);
        return Ok(());
    }
    let applied = apply(reconciler, &api, wanted).await?;
    if !is_as(&applied, wanted) {
        replace(reconciler, &api, &applied, wanted).await?;
    }
    let stood = reconciler.events.stands(K::KIND, true);
    if there.is_some() || stood {
        tracing::info!(
            kind = K::KIND,
            name = rules::NAME,
            "the webhook configuration was not as it should be and is healed"
        );
        reconciler.metrics.healed(K::KIND);
        let note = "the webhook configuration is as it should be again".to_owned();
        reconciler.tell(applied.object_ref(&()), Happened::Healed, "Healed", note).await;
    }
    Ok(())
}

/// True when it says exactly what it should, and belongs to the anchor and nobody else: another owner would keep it
/// alive after the anchor is gone, one of an older anchor or of another name would have it collected.
fn is_as<K: Configuration>(there: &K, wanted: &K) -> bool {
    let owners = |configuration: &K| configuration.meta().owner_references.clone().unwrap_or_default();
    there.entries() == wanted.entries() && owners(there) == owners(wanted)
}

/// Puts everything as it should be. An apply leaves what someone else has added to a list that is merged by a key: a
/// condition that matches nothing would switch an entry off.
async fn replace<K: Configuration>(
    reconciler: &Reconciler,
    api: &Api<K>,
    there: &K,
    wanted: &K,
) -> Result<(), ApplyError> {
    let patch = json!({
        "metadata": {
            "ownerReferences": wanted.meta().owner_references,
            "resourceVersion": there.meta().resource_version,
        },
        "webhooks": wanted.entries(),
    });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    reconciler.writer.within(api.patch(rules::NAME, &params, &Patch::Merge(&patch))).await?;
    Ok(())
}

async fn apply<K: Configuration>(reconciler: &Reconciler, api: &Api<K>, wanted: &K) -> Result<K, ApplyError> {
    let mut object = serde_json::to_value(wanted).unwrap_or(Value::Null);
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), json!("admissionregistration.k8s.io/v1"));
        fields.insert("kind".to_owned(), json!(K::KIND));
    }
    reconciler.writer.apply(api, rules::NAME, &object, Takeover::Force).await
}

fn endpoint(settings: &Settings) -> Endpoint {
    match &settings.webhook_url {
        Some(url) => Endpoint::Url(url.clone()),
        None => Endpoint::Service { namespace: settings.namespace.clone(), name: settings.service.clone() },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use axum::http;
    use k8s_openapi::api::admissionregistration::v1::{MatchCondition, ValidatingWebhook};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    use kube::Client;
    use kube::client::Body;

    use super::*;
    use crate::cluster::clock::ManualClock;
    use crate::cluster::{Clock, Fence, Writer};

    fn wanted(anchor_uid: &str) -> ValidatingWebhookConfiguration {
        rules::webhook_configuration(&Options {
            system_namespaces: &BTreeSet::from(["kube-system".to_owned()]),
            endpoint: &Endpoint::Url("https://127.0.0.1:9443".to_owned()),
            ca_bundle: b"ca",
            anchor_name: "amanat-anchor",
            anchor_uid,
            engines: None,
        })
    }

    fn governed(configuration: &mut ValidatingWebhookConfiguration) -> &mut ValidatingWebhook {
        let mut webhooks = configuration.webhooks.as_mut().unwrap().iter_mut();
        webhooks.find(|webhook| webhook.name.starts_with("governed.")).unwrap()
    }

    fn owner(configuration: &mut ValidatingWebhookConfiguration) -> &mut OwnerReference {
        configuration.metadata.owner_references.as_mut().unwrap().first_mut().unwrap()
    }

    #[test]
    fn whatever_is_changed_is_seen() {
        type Change = fn(&mut ValidatingWebhookConfiguration);
        let table: &[(&str, Change, bool)] = &[
            ("nothing", |_| {}, true),
            ("a label of someone else", |there| there.metadata.labels = None, true),
            ("opened on failure", |there| governed(there).failure_policy = Some("Ignore".to_owned()), false),
            ("emptied bundle", |there| governed(there).client_config.ca_bundle = None, false),
            ("trimmed rules", |there| governed(there).rules = None, false),
            (
                "narrowed objects",
                |there| {
                    let label = ("app".to_owned(), "x".to_owned());
                    governed(there).object_selector.as_mut().unwrap().match_labels = Some([label].into());
                },
                false,
            ),
            (
                "a condition that matches nothing",
                |there| {
                    let never = MatchCondition { name: "never".to_owned(), expression: "false".to_owned() };
                    governed(there).match_conditions.get_or_insert_default().push(never);
                },
                false,
            ),
            ("an entry less", |there| drop(there.webhooks.as_mut().unwrap().pop()), false),
            ("no owner", |there| there.metadata.owner_references = None, false),
            ("an owner of another kind", |there| owner(there).kind = "ConfigMap".to_owned(), false),
            ("an owner of another group", |there| owner(there).api_version = "v1".to_owned(), false),
            ("an owner of another name", |there| owner(there).name = "other".to_owned(), false),
            ("an owner that waits", |there| owner(there).block_owner_deletion = Some(true), false),
            (
                "an owner more",
                |there| {
                    let more = OwnerReference { uid: "x".to_owned(), ..owner(there).clone() };
                    there.metadata.owner_references.as_mut().unwrap().push(more);
                },
                false,
            ),
        ];
        for (what, change, expected) in table {
            let mut there = wanted("u");
            change(&mut there);
            assert_eq!(is_as(&there, &wanted("u")), *expected, "{what}");
        }
        assert!(!is_as(&wanted("old"), &wanted("new")), "an anchor that was made anew");
    }

    type Asked = Vec<(String, Value)>;

    /// Answers each request with a status and a body, and gives back what was asked, and how it went.
    async fn reconcile_at(
        serving: bool,
        mut answer: impl FnMut(&str) -> (u16, Value) + Send + 'static,
    ) -> (Asked, Result<Option<Duration>, ApplyError>) {
        let (service, mut handle) = tower_test::mock::pair::<http::Request<Body>, http::Response<Body>>();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-01-01T00:00:00Z"));
        let writer = Writer::new(Client::new(service, "default"), Fence::open(Arc::clone(&clock)));
        let serving: crate::reconcile::Serving = Arc::new(move || serving.then(|| b"ca".to_vec()));
        let reconciler = Reconciler { serving, ..Reconciler::of(writer, clock) };
        let server = tokio::spawn(async move {
            let mut asked = Vec::new();
            while let Some((request, send)) = handle.next_request().await {
                let (parts, sent) = request.into_parts();
                let sent = sent.collect_bytes().await.unwrap();
                let asking = format!("{} {}", parts.method, parts.uri.path());
                let (code, body) = answer(&asking);
                asked.push((asking, serde_json::from_slice(&sent).unwrap_or(Value::Null)));
                let body = serde_json::to_vec(&body).unwrap();
                send.send_response(http::Response::builder().status(code).body(Body::from(body)).unwrap());
            }
            asked
        });
        let result = reconcile(&reconciler).await;
        drop(reconciler);
        (server.await.unwrap(), result)
    }

    /// The same with an answer for each request in turn.
    async fn reconcile_against(serving: bool, answers: Vec<(u16, Value)>) -> Asked {
        let mut answers = answers.into_iter();
        let (asked, result) = reconcile_at(serving, move |_| answers.next().unwrap()).await;
        result.unwrap();
        asked
    }

    const ANCHOR: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/amanat-anchor";
    const OWN: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/amanat";
    const OWN_MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/amanat";

    fn anchor(more: Value) -> (u16, Value) {
        let mut metadata = json!({"name": "amanat-anchor", "uid": "u"});
        metadata.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        (200, json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}))
    }

    fn absent() -> (u16, Value) {
        (404, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}))
    }

    fn asked(requests: &[(String, Value)]) -> Vec<&str> {
        requests.iter().map(|(request, _)| request.as_str()).collect()
    }

    #[tokio::test]
    async fn nothing_is_written_without_a_live_anchor_or_while_it_can_not_serve() {
        assert_eq!(asked(&reconcile_against(false, vec![]).await), [] as [&str; 0]);
        let get = format!("GET {ANCHOR}");
        for answer in [absent(), anchor(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))] {
            assert_eq!(asked(&reconcile_against(true, vec![answer]).await), [get.as_str()]);
        }
    }

    fn options<T>(of: impl Fn(&Options<'_>) -> T) -> T {
        let settings = Settings::new("amanat-system", "amanat", "a");
        of(&Options {
            system_namespaces: &settings.system_namespaces,
            endpoint: &endpoint(&settings),
            ca_bundle: b"ca",
            anchor_name: &settings.anchor,
            anchor_uid: "u",
            engines: None,
        })
    }

    fn answer<K: Configuration>(configuration: &K) -> (u16, Value) {
        (200, serde_json::to_value(configuration).unwrap())
    }

    #[tokio::test]
    async fn what_an_apply_leaves_is_replaced() {
        let right = options(rules::webhook_configuration);
        let mutating = || answer(&options(rules::mutating_configuration));
        let as_it_is = reconcile_against(true, vec![anchor(json!({})), mutating(), answer(&right)]).await;
        let (get, get_mutating) = (format!("GET {OWN}"), format!("GET {OWN_MUTATING}"));
        assert_eq!(asked(&as_it_is), [&format!("GET {ANCHOR}"), &get_mutating, &get], "nothing to do");
        let mut off = right.clone();
        let never = MatchCondition { name: "never".to_owned(), expression: "false".to_owned() };
        governed(&mut off).match_conditions.get_or_insert_default().push(never);
        // The apply merges by key and leaves the condition; then the list is replaced, and an Event tells.
        let made = (201, json!({"metadata": {}}));
        let answers = vec![anchor(json!({})), mutating(), answer(&off), answer(&off), answer(&right), made];
        let requests = reconcile_against(true, answers).await;
        let patch = format!("PATCH {OWN}");
        assert_eq!(asked(&requests)[3..5], [patch.as_str(), patch.as_str()]);
        assert_eq!(requests[4].1["webhooks"], serde_json::to_value(&right).unwrap()["webhooks"]);
    }

    #[tokio::test]
    async fn what_keeps_one_from_being_healed_leaves_the_other_as_it_should_be() {
        let failure = |code| (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}));
        for (code, category) in [(403, "forbidden"), (409, "conflict"), (422, "invalid"), (500, "failed")] {
            for (broken, other) in [(OWN, OWN_MUTATING), (OWN_MUTATING, OWN)] {
                for method in ["GET", "PATCH"] {
                    let (asked, result) = reconcile_at(true, move |asking| match asking {
                        asking if asking == format!("{method} {broken}") => failure(code),
                        asking if asking.ends_with(ANCHOR) => anchor(json!({})),
                        asking if asking.starts_with("GET") => absent(),
                        asking if asking.ends_with(OWN) => answer(&options(rules::webhook_configuration)),
                        _ => answer(&options(rules::mutating_configuration)),
                    })
                    .await;
                    let written = format!("PATCH {other}");
                    assert!(asked.iter().any(|(asking, _)| *asking == written), "{code} to {method} {broken}");
                    assert_eq!(result.unwrap_err().category(), category, "{code} to {method} {broken}");
                }
            }
        }
    }
}
