//! What containers and namespaces may use: built, given, held, and healed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::case::{Case, Suite};
use e2e::manifests::{cloud_workload, container, manifest, patched, pod_spec, workload};
use e2e::waiting::until;
use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::given;
use super::says::{dry, refused_by, says};

const SOON: Duration = Duration::from_secs(60);
const HEALED: Duration = Duration::from_secs(30);
const NAME: &str = "amanat-resource-bounds";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "bounds: LimitRange and ResourceQuota are built, and back when an administrator changes them",
            healed,
        ),
        Case::new("c29_built_bounds_changed_and_deleted_by_a_tenant", tenants),
        Case::new(
            "bounds: what containers leave out is given, and what is above the class is refused",
            given_and_refused,
        ),
        Case::new("bounds: a Deployment without resources runs, applied together with its CloudWorkload", together),
        Case::new("bounds: a quota holds, and a size feeds it within the class's ceiling", sized),
        Case::new("bounds: no Service of class Confidential takes a load balancer", load_balancers),
        Case::new("bounds: workloads older than the class come back, and a resize beyond it is refused", older)
            .on_own_cluster(),
    ]
}

fn limit_ranges(amanat: &Amanat, namespace: &str) -> Api<LimitRange> {
    Api::namespaced(amanat.cluster().client().clone(), namespace)
}

fn quotas(amanat: &Amanat, namespace: &str) -> Api<ResourceQuota> {
    Api::namespaced(amanat.cluster().client().clone(), namespace)
}

/// The spec of a Pod that conforms but for its resources.
fn with(resources: &Value) -> Value {
    let mut spec = pod_spec(&container());
    if let Some(place) = spec.pointer_mut("/containers/0/resources") {
        resources.clone_into(place);
    }
    spec
}

async fn healed(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "bounds").await?;
    let (ranges, quotas) = (limit_ranges(&amanat, &namespace), quotas(&amanat, &namespace));
    let (range, quota) = (ranges.get(NAME).await?, quotas.get(NAME).await?);
    let hard = serde_json::to_value(quota.spec.as_ref().and_then(|spec| spec.hard.as_ref()))?;
    ensure!(hard["pods"] == "500" && hard["services.loadbalancers"] == "2", "the quota is {hard}");

    let raised = r#"{"spec":{"hard":{"pods":"5000","secrets":"1","services.nodeports":null}}}"#;
    let emptied = r#"{"spec":{"limits":[{"type":"Container","min":{"cpu":"1"}}]}}"#;
    let started = Instant::now();
    for (kind, patch) in [("resourcequota", raised), ("limitrange", emptied)] {
        let patch = ["patch", kind, NAME, "-n", &namespace, "--type=merge", "-p", patch];
        amanat.tools().kubectl(&patch).await?.ok()?;
    }
    until(HEALED, "what was edited to be healed", async || {
        let now = (ranges.get(NAME).await?.spec, quotas.get(NAME).await?.spec);
        ensure!(now == (range.spec.clone(), quota.spec.clone()), "it is {now:?}");
        Ok(())
    })
    .await?;
    println!("bounds: edited bounds were healed {:?} after kubectl was started", started.elapsed());
    for kind in ["resourcequota", "limitrange"] {
        amanat.tools().kubectl(&["delete", kind, NAME, "-n", &namespace, "--wait=false"]).await?.ok()?;
    }
    until(HEALED, "what was deleted to be back", async || {
        let (new_range, new_quota) = (ranges.get(NAME).await?, quotas.get(NAME).await?);
        let others = new_range.metadata.uid != range.metadata.uid && new_quota.metadata.uid != quota.metadata.uid;
        ensure!(
            others && new_range.spec == range.spec && new_quota.spec == quota.spec,
            "it is {new_range:?} {new_quota:?}"
        );
        Ok(())
    })
    .await
}

async fn tenants(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let namespace = given::built(&amanat, "bounded").await?;
    let role = ["create", "role", "bounds", "--verb=*", "--resource=limitranges,resourcequotas", "-n", &namespace];
    cluster.tools().kubectl(&role).await?.ok()?;
    let binding = ["create", "rolebinding", "bounds", "--role=bounds", "--user=tenant", "-n", &namespace];
    cluster.tools().kubectl(&binding).await?.ok()?;
    let tenant = cluster.tools_as(&cluster.user("tenant", &[])?);
    let can = ["auth", "can-i", "delete", "resourcequotas", "-n", &namespace];
    until(SOON, "the role to count", async || tenant.kubectl(&can).await?.ok().map(|_| ())).await?;

    let raised = r#"{"spec":{"hard":{"pods":"5000"}}}"#;
    let emptied = r#"{"spec":{"limits":[{"type":"Container","min":{"cpu":"1m"}}]}}"#;
    for (kind, patch) in [("resourcequota", raised), ("limitrange", emptied)] {
        let attempts: [&[&str]; 2] = [
            &["delete", kind, NAME, "-n", &namespace],
            &["patch", kind, NAME, "-n", &namespace, "--type=merge", "-p", patch],
        ];
        for attempt in attempts {
            let refusal = tenant.kubectl(attempt).await?.forbidden()?;
            says(&refusal, &["governed.webhook.amanat.dev", "built and kept by Amanat", "pod/resource-bounds"])?;
        }
    }
    let own = format!(
        "{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: own, namespace: {namespace}}}, spec: {{hard: {{secrets: 9}}}}}}"
    );
    tenant.create(&own).await?.ok()?;
    tenant.kubectl(&["delete", "resourcequota", "own", "-n", &namespace]).await?.ok().map(|_| ())
}

async fn given_and_refused(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = given::built(&amanat, "given").await?;
    let bare = workload("Deployment", &namespace, "bare", &with(&json!({})));
    let applied = amanat.tools().apply(&bare.to_string()).await?;
    ensure!(!applied.stderr.contains("pod/resource-bounds"), "it is warned of:\n{}", applied.stderr);
    applied.ok()?;
    given::available(amanat.cluster(), &namespace, "bare").await?;
    let pods = Api::<Pod>::namespaced(amanat.cluster().client().clone(), &namespace);
    let pod = pods.list(&ListParams::default()).await?.items.into_iter().next().context("no Pod")?;
    let resources = serde_json::to_value(pod.spec.context("no spec")?.containers.first().map(|of| &of.resources))?;
    let expected =
        json!({"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}});
    ensure!(resources == expected, "the container has {resources}");

    let tools = amanat.tools();
    let beyond = with(&json!({"limits": {"cpu": "17", "memory": "1Gi"}}));
    let line =
        "[Restricted] pod/resource-bounds: spec.template.spec.containers[0].resources.limits[cpu] (container app): ";
    let deployment = workload("Deployment", &namespace, "beyond", &beyond);
    refused_by(dry(&tools, &deployment).await?, "governed", &[line, "\"17\"", "16 or less"])?;
    let zero = workload("Deployment", &namespace, "zero", &with(&json!({"limits": {"cpu": "0", "memory": "1Gi"}})));
    refused_by(dry(&tools, &zero).await?, "governed", &[line, "bounds nothing"])?;
    // A request above the limit that would be given: the API server would refuse every Pod.
    let requests = workload("Deployment", &namespace, "requests", &with(&json!({"requests": {"cpu": "2"}})));
    refused_by(dry(&tools, &requests).await?, "governed", &[line, "its request is above 500m"])?;
    let pod = dry(&tools, &workload("Pod", &namespace, "beyond", &beyond)).await?.refused()?;
    says(&pod, &["maximum cpu usage per Container is 16"])
}

/// Its first Pods may come before the LimitRange: they are refused, and made again.
async fn together(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("together", &[]).await?;
    let bare = workload("Deployment", &namespace, "bare", &with(&json!({})));
    amanat.tools().apply(&manifest(&[cloud_workload(&namespace, "Restricted"), bare])).await?.ok()?;
    given::available(amanat.cluster(), &namespace, "bare").await
}

async fn sized(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("sized", &[]).await?;
    let declared = |size: Value| patched(cloud_workload(&namespace, "Restricted"), &json!({"spec": {"size": size}}));
    amanat.declare(&declared(json!({"cpu": "1", "memory": "2Gi", "pods": 1}))).await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    let quotas = quotas(&amanat, &namespace);
    let hard = async |pointer: &str, resource: &str| -> Result<Value> {
        let quota = serde_json::to_value(quotas.get(NAME).await?)?;
        Ok(quota.pointer(pointer).and_then(|hard| hard.get(resource)).cloned().unwrap_or_default())
    };
    until(SOON, "the quota to be counted", async || {
        let (cpu, pods) = (hard("/status/hard", "requests.cpu").await?, hard("/status/hard", "pods").await?);
        ensure!(cpu == "1" && pods == "1", "it is {cpu} and {pods}");
        Ok(())
    })
    .await?;
    let tools = amanat.tools();
    tools.create(&given::pod(&namespace, "one", &given::conforming())).await?.ok()?;
    let refusal = tools.create(&given::pod(&namespace, "two", &given::conforming())).await?.refused()?;
    says(&refusal, &["exceeded quota: amanat-resource-bounds", "pods=1"])?;

    let more = tools.apply(&declared(json!({"cpu": "65", "memory": "2Gi", "pods": 1})).to_string()).await?;
    says(&more.stderr, &["spec.size.cpu: 65 is above 64"])?;
    more.ok()?;
    let (reason, message) = amanat.wait_condition(&namespace, "ControlsApplied", "False").await?;
    ensure!(reason == "SizeCapped", "it is {reason}");
    says(&message, &["spec.size.cpu: 65 is above 64, the most that class Restricted gives"])?;
    until(SOON, "the quota to be the class's ceiling", async || {
        let cpu = hard("/spec/hard", "requests.cpu").await?;
        ensure!(cpu == "64", "it is {cpu}");
        Ok(())
    })
    .await
}

async fn load_balancers(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.declared("inward", "Confidential").await?;
    amanat.wait_condition(&namespace, "Ready", "True").await?;
    let quotas = quotas(&amanat, &namespace);
    until(SOON, "the quota to be counted", async || {
        let status = quotas.get(NAME).await?.status.and_then(|status| status.hard);
        ensure!(status.is_some_and(|hard| hard.contains_key("services.loadbalancers")), "it is not yet");
        Ok(())
    })
    .await?;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "out", "namespace": namespace},
        "spec": {"type": "LoadBalancer", "selector": {"app": "out"}, "ports": [{"port": 443}]}});
    let refusal = amanat.tools().create(&service.to_string()).await?.refused()?;
    says(&refusal, &["exceeded quota: amanat-resource-bounds", "services.loadbalancers=0"])
}

async fn older(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let cluster = amanat.cluster();
    let namespace = cluster.namespace("older", &[]).await?;
    let beyond = with(&json!({"limits": {"cpu": "17", "memory": "1Gi"}, "requests": {"cpu": "10m", "memory": "16Mi"}}));
    amanat.tools().apply(&given::deployment(&namespace, "old", &beyond)).await?.ok()?;
    given::available(cluster, &namespace, "old").await?;
    given::aged(cluster, &namespace).await?;
    amanat.declare(&cloud_workload(&namespace, "Restricted")).await?;
    let (_, message) = amanat.wait_condition(&namespace, "ControlsApplied", "True").await?;
    says(&message, &["waits like the ResourceQuota for controllers older than the class"])?;
    let quota = quotas(&amanat, &namespace).get_opt(NAME).await?;
    ensure!(quota.is_none(), "a quota was built: {quota:?}");
    given::killed_pods_come_back(cluster, &namespace).await?;

    // With no maximum in the LimitRange, the webhook alone holds a resize.
    let tools = amanat.tools();
    tools.create(&given::pod(&namespace, "one", &given::conforming())).await?.ok()?;
    let wait = ["wait", "pod/one", "--for=condition=Ready", "--timeout=60s", "-n", &namespace];
    tools.kubectl(&wait).await?.ok()?;
    let resize = async |cpu: &str| {
        let patch =
            json!({"spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": cpu}}}]}}).to_string();
        tools.kubectl(&["patch", "pod", "one", "--subresource=resize", "-p", &patch, "-n", &namespace]).await
    };
    let line = "[Restricted] pod/resource-bounds: spec.containers[0].resources.limits[cpu] (container app): ";
    refused_by(resize("17").await?, "governed", &[line, "\"17\""])?;
    resize("2").await?.ok()?;

    tools.kubectl(&["delete", "deployment", "old", "-n", &namespace, "--timeout=60s"]).await?.ok()?;
    // Nothing tells of a controller that is gone: any change makes the operator look.
    tools.kubectl(&["annotate", "namespace", &namespace, "looked=at"]).await?.ok()?;
    until(Duration::from_secs(120), "all bounds to be built once the older controllers are gone", async || {
        quotas(&amanat, &namespace).get(NAME).await?;
        let range = limit_ranges(&amanat, &namespace).get(NAME).await?.spec.context("no spec")?;
        ensure!(range.limits.iter().all(|item| item.max.is_some()), "it is {range:?}");
        Ok(())
    })
    .await
}
