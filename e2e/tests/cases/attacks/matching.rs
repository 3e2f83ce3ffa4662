//! A: what the webhook is asked about, by whatever way an object comes.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::case::{Case, Suite};
use e2e::manifests::{
    IMAGE, cloud_workload, container, deployment, manifest, patched, path_of_spec, pod_spec, spec_with_image, workload,
};
use e2e::operator::amanat_binary;
use e2e::tools::Tools;
use serde_json::{Value, json};
use tokio::process::Command;

use super::super::audit::annotation;
use super::super::downgrade::{grant, tenant_of};
use super::super::given;
use super::super::hostile::{addresses, review, send};
use super::super::says::{dry, refused_by, says};
use super::{UNPINNED, restricted};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("a01_init_and_sidecar_containers", a01),
        Case::new("a04_an_unknown_pod_subresource", a04),
        Case::new("a06_older_versions_of_a_kind", a06),
        Case::new("a07_pods_of_custom_controllers", a07),
        Case::new("a10_a_node_named_directly", a10),
        Case::new("a11_mirror_pods_of_kubelets_and_of_others", a11).on_own_cluster(),
        Case::new("a12_every_way_to_write", a12),
        Case::new("a13_a_dry_run_leaves_nothing", a13),
        Case::new("a14_a_name_that_is_generated", a14),
        Case::new("a15_lists_and_many_documents", a15),
    ]
}

async fn a01(suite: Arc<Suite>) -> Result<()> {
    let (_, namespace, tenant) = tenant_of(&suite, "a01").await?;
    for (what, more) in [("init", json!({})), ("sidecar", json!({"restartPolicy": "Always"}))] {
        for (image, fits) in [(IMAGE, true), (UNPINNED, false)] {
            let first = patched(patched(container(), &json!({"name": what, "image": image})), &more);
            let spec = patched(pod_spec(&container()), &json!({"initContainers": [first]}));
            for kind in ["Pod", "Deployment", "CronJob"] {
                let tried = dry(&tenant, &workload(kind, &namespace, "one", &spec)).await?;
                let path = path_of_spec(kind);
                let line = format!("image/digest-pinned: {path}.initContainers[0].image (container {what}): ");
                let outcome = if fits { tried.ok().map(|_| ()) } else { refused_by(tried, "governed", &[&line]) };
                outcome.with_context(|| format!("{what} container of a {kind}"))?;
            }
        }
    }
    Ok(())
}

/// No API server has one: the review is sent as a newer one would.
async fn a04(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = restricted(&suite, "a04").await?;
    let no_pod = json!({"apiVersion": "v1", "kind": "PodOfTomorrow", "metadata": {"name": "one"}, "spec": "text"});
    for address in addresses(&amanat).await {
        for subresource in ["checkpoint", "Status", "status/more"] {
            let unknown = json!({"request": {"subResource": subresource}});
            let violating = patched(review(&namespace, &given::violating()), &unknown);
            let unreadable = patched(violating.clone(), &json!({"request": {"object": no_pod}}));
            for tried in [violating, unreadable] {
                let (status, text) = send(&address, "/validate/governed", &tried).await?;
                ensure!(status == 200 && text.contains("\"allowed\":false"), "{subresource}: {status} {text}");
            }
        }
    }
    let get = ["get", "validatingwebhookconfiguration", "amanat", "-o", "json"];
    let asked = amanat.tools().kubectl(&get).await?.ok()?;
    says(&asked, &["\"pods/*\""])
}

/// No API server serves an older version; of one that did, the webhook would be asked with the version that it subscribes
/// to. The command line reads what stands in the file.
async fn a06(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    for configuration in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
        let get = ["get", configuration, "amanat", "-o", "json"];
        let found: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
        for webhook in found["webhooks"].as_array().context("it has webhooks")? {
            ensure!(webhook["matchPolicy"] == "Equivalent", "{webhook}");
            for rule in webhook["rules"].as_array().context("it has rules")? {
                only_version(&amanat.tools(), rule).await?;
            }
        }
    }
    for (version, kind) in
        [("batch/v1beta1", "CronJob"), ("extensions/v1beta1", "Deployment"), ("apps/v1beta2", "StatefulSet")]
    {
        let object = workload(kind, "somewhere", "one", &spec_with_image(UNPINNED));
        let (status, told) = checked(&patched(object, &json!({"apiVersion": version})).to_string()).await?;
        ensure!(status == Some(1), "{version} {kind}: {status:?}\n{told}");
        says(&told, &["image/digest-pinned"])?;
    }
    Ok(())
}

/// The API server serves what a rule subscribes to in the version of the rule, and in no other.
async fn only_version(tools: &Tools, rule: &Value) -> Result<()> {
    let (group, version) = (rule["apiGroups"][0].as_str(), rule["apiVersions"][0].as_str());
    let (group, version) = group.zip(version).context("a rule has a group and a version")?;
    // Of a kind that not every cluster has, whatever version is served is judged.
    if version == "*" {
        return Ok(());
    }
    let served = match group {
        "" => "/api".to_owned(),
        group => format!("/apis/{group}"),
    };
    let found: Value = serde_json::from_str(&tools.kubectl(&["get", "--raw", &served]).await?.ok()?)?;
    let versions: Vec<_> = match found["versions"].as_array().context("a group has versions")? {
        versions if group.is_empty() => versions.iter().filter_map(Value::as_str).collect(),
        versions => versions.iter().filter_map(|version| version["version"].as_str()).collect(),
    };
    ensure!(versions.contains(&version), "{group} has {versions:?}, not {version}");
    for other in versions.into_iter().filter(|other| *other != version) {
        let path = format!("{served}/{other}");
        let listed: Value = serde_json::from_str(&tools.kubectl(&["get", "--raw", &path]).await?.ok()?)?;
        let names =
            listed["resources"].as_array().into_iter().flatten().filter_map(|resource| resource["name"].as_str());
        let names: BTreeSet<_> = names.collect();
        let asked = rule["resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let older: Vec<_> = asked.filter(|resource| names.contains(resource)).collect();
        ensure!(older.is_empty(), "{path} serves {older:?} too: try it by that version");
    }
    Ok(())
}

/// `amanat check` of what its standard input holds, against the class Restricted: its status, and what it printed.
async fn checked(text: &str) -> Result<(Option<i32>, String)> {
    let binary = tokio::task::spawn_blocking(amanat_binary).await??;
    let folder = tempfile::tempdir().context("make a folder")?;
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    let output = Command::new(binary).args(["check", "--class", "Restricted"]).arg(&file).output().await?;
    let told = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&told).into_owned()))
}

async fn a07(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace) = restricted(&suite, "a07").await?;
    let cluster = amanat.cluster();
    let account = format!("--serviceaccount={namespace}:default");
    let binding = ["create", "rolebinding", "controller", "--clusterrole=edit", &account, "-n", &namespace];
    amanat.tools().kubectl(&binding).await?.ok()?;
    let controller = cluster.tools_as(&cluster.service_account(&namespace, "default", cluster.endpoint()).await?);
    let may = ["auth", "can-i", "create", "pods", "-n", &namespace];
    e2e::waiting::until(std::time::Duration::from_secs(60), "the controller's role to count", async || {
        controller.kubectl(&may).await?.ok().map(|_| ())
    })
    .await?;
    for (version, kind) in [("example.com/v1", "Widget"), ("apps/v1", "ReplicaSet"), ("v1", "Node")] {
        let owner = json!({"apiVersion": version, "kind": kind, "name": "owner", "controller": true,
            "uid": "6a2e9d6c-4f1b-4f0e-8d5f-0c6f0a3b7e11"});
        let owned = |image: &str| {
            let pod = workload("Pod", &namespace, "one", &spec_with_image(image));
            patched(pod, &json!({"metadata": {"ownerReferences": [owner]}}))
        };
        let refused = dry(&controller, &owned(UNPINNED)).await?;
        refused_by(refused, "governed", &["image/digest-pinned"]).with_context(|| format!("a Pod of a {kind}"))?;
        dry(&controller, &owned(IMAGE)).await?.ok().with_context(|| format!("a Pod of a {kind}"))?;
    }
    Ok(())
}

/// A binding carries no spec: what it binds was judged when it was made, and so is what names its node itself.
async fn a10(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "a10").await?;
    let ready = e2e::nodes::ready(amanat.cluster().client()).await?;
    let node = ready.first().context("no node is Ready")?;
    let spec = |image: &str| patched(spec_with_image(image), &json!({"nodeName": node}));
    for kind in ["Pod", "Deployment"] {
        dry(&tenant, &workload(kind, &namespace, "one", &spec(IMAGE))).await?.ok()?;
        let refused = dry(&tenant, &workload(kind, &namespace, "one", &spec(UNPINNED))).await?;
        refused_by(refused, "governed", &["image/digest-pinned"]).with_context(|| kind)?;
        let nowhere = patched(spec(IMAGE), &json!({"nodeName": "of-an-attacker"}));
        let refused = dry(&tenant, &workload(kind, &namespace, "one", &nowhere)).await?;
        refused_by(refused, "governed", &["residency/in-country-scheduling", "of-an-attacker"])
            .with_context(|| kind)?;
    }
    Ok(())
}

async fn a11(suite: Arc<Suite>) -> Result<()> {
    let (amanat, namespace, tenant) = tenant_of(&suite, "a11").await?;
    let cluster = amanat.cluster();
    let nodes = amanat.tools().kubectl(&["get", "nodes", "-o", "json"]).await?.ok()?;
    let node = &serde_json::from_str::<Value>(&nodes)?["items"][0]["metadata"];
    let name = node["name"].as_str().context("there is no node")?;
    let annotations = json!({"kubernetes.io/config.mirror": "0", "kubernetes.io/config.source": "file"});
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["uid"], "controller": true});
    let pod = workload("Pod", &namespace, "one", &patched(spec_with_image(UNPINNED), &json!({"nodeName": name})));
    let mirror = patched(pod, &json!({"metadata": {"annotations": annotations, "ownerReferences": [owner]}}));
    for tools in [&tenant, &amanat.tools()] {
        refused_by(dry(tools, &mirror).await?, "governed", &["image/digest-pinned"])?;
    }
    // What a kubelet shows runs already: it is admitted as it is, and the audit log tells what is wrong with it.
    let kubelet = cluster.tools_as(&cluster.user(&format!("system:node:{name}"), &["system:nodes"])?);
    let mark = cluster.audit_mark()?;
    kubelet.create(&mirror.to_string()).await?.ok()?;
    let about = ("pods", namespace.as_str());
    let decision = annotation(cluster, mark, about, "governed", "decision").await?;
    ensure!(decision == "mirror-pod", "it is {decision}");
    says(&annotation(cluster, mark, about, "governed", "controls").await?, &["image/digest-pinned"])?;
    let get = ["get", "pod", "one", "-n", &namespace, "-o", "json"];
    let shown: Value = serde_json::from_str(&amanat.tools().kubectl(&get).await?.ok()?)?;
    let container = |pod: &Value| pod["spec"]["containers"][0]["securityContext"].clone();
    ensure!(container(&shown) == container(&mirror), "it was changed: {}", container(&shown));
    // It is no way in for others: what changes it is judged.
    let image = ["set", "image", "pod/one", &format!("app={UNPINNED}.1"), "-n", &namespace];
    refused_by(tenant.kubectl(&image).await?, "governed", &["image/digest-pinned"])
}

async fn a12(suite: Arc<Suite>) -> Result<()> {
    let (_, namespace, tenant) = tenant_of(&suite, "a12").await?;
    let good = patched(deployment(&namespace, "api"), &json!({"spec": {"replicas": 0}}));
    tenant.apply(&good.to_string()).await?.ok()?;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let template = |spec: Value| json!({"spec": {"template": {"spec": spec}}});
    let json_patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": UNPINNED}]);
    let merge = template(json!({"containers": [patched(container(), &json!({"image": UNPINNED}))]}));
    let strategic = template(json!({"containers": [{"name": "app", "image": UNPINNED}]}));
    let bad = patched(
        workload("Deployment", &namespace, "api", &spec_with_image(UNPINNED)),
        &json!({"spec": {"replicas": 0}}),
    );
    let fresh = patched(bad.clone(), &json!({"metadata": {"name": "fresh"}}));
    let patch = async |kind: &str, patch: &Value| {
        let patch = patch.to_string();
        tenant.kubectl(&["patch", "deployment", "api", "-n", &namespace, kind, "-p", &patch]).await
    };
    let with = async |arguments: &[&str], object: &Value| tenant.kubectl_with(arguments, &object.to_string()).await;
    let found = tenant.kubectl(&["get", "deployment", "api", "-n", &namespace, "-o", "json"]).await?.ok()?;
    let put = patched(serde_json::from_str(&found)?, &merge);
    let tried = [
        ("JSON patch", patch("--type=json", &json_patch).await?),
        ("merge patch", patch("--type=merge", &merge).await?),
        ("strategic merge patch", patch("--type=strategic", &strategic).await?),
        ("apply", with(&["apply", "-f", "-"], &bad).await?),
        ("server-side apply", with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &bad).await?),
        ("apply of what isn't there", with(&["apply", "--server-side", "-f", "-"], &fresh).await?),
        ("replace", with(&["replace", "-f", "-"], &bad).await?),
        ("PUT", with(&["replace", "--raw", &format!("{path}/api"), "-f", "-"], &put).await?),
        ("POST", with(&["create", "--raw", &path, "-f", "-"], &fresh).await?),
        (
            "set image",
            tenant.kubectl(&["set", "image", "deployment/api", &format!("app={UNPINNED}"), "-n", &namespace]).await?,
        ),
    ];
    for (how, output) in tried {
        refused_by(output, "governed", &["image/digest-pinned", UNPINNED]).with_context(|| how)?;
    }
    Ok(())
}

async fn a13(suite: Arc<Suite>) -> Result<()> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.cluster().namespace("a13", &[]).await?;
    let tenant = grant(&amanat, &namespace).await?;
    dry(&tenant, &cloud_workload(&namespace, "Restricted")).await?.ok()?;
    // One that came after it has been carried out.
    let (_, later, tenant) = tenant_of(&suite, "a13-later").await?;
    let found: Value =
        serde_json::from_str(&amanat.tools().kubectl(&["get", "namespace", &namespace, "-o", "json"]).await?.ok()?)?;
    let labels = &found["metadata"]["labels"];
    ensure!(labels[e2e::amanat::CLASS_LABEL].is_null(), "{labels}");
    let left =
        amanat.tools().kubectl(&["get", "cw,networkpolicies,limitranges", "-n", &namespace, "-o", "name"]).await?;
    let left = left.ok()?;
    ensure!(left.is_empty(), "a dry run left {left}");

    dry(&tenant, &deployment(&later, "api")).await?.ok()?;
    let bad = workload("Deployment", &later, "api", &spec_with_image(UNPINNED));
    refused_by(dry(&tenant, &bad).await?, "governed", &["image/digest-pinned"])?;
    for configuration in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
        let get = ["get", configuration, "amanat", "-o", "jsonpath={.webhooks[*].sideEffects}"];
        let effects = amanat.tools().kubectl(&get).await?.ok()?;
        ensure!(!effects.is_empty() && effects.split(' ').all(|effect| effect == "None"), "{effects}");
    }
    Ok(())
}

async fn a14(suite: Arc<Suite>) -> Result<()> {
    let (_, namespace, tenant) = tenant_of(&suite, "a14").await?;
    for kind in ["Pod", "Deployment", "Job"] {
        let unnamed = |image: &str, generate: Value| {
            let object = workload(kind, &namespace, "", &spec_with_image(image));
            let labels = json!({"metadata": {"generateName": generate, "labels": {"app": "one"}}});
            let template = match kind {
                "Deployment" => json!({"spec": {"selector": {"matchLabels": {"app": "one"}},
                    "template": {"metadata": {"labels": {"app": "one"}}}}}),
                _ => json!({}),
            };
            patched(patched(object, &labels), &template)
        };
        dry(&tenant, &unnamed(IMAGE, json!("one-"))).await?.ok().with_context(|| kind)?;
        let refused = dry(&tenant, &unnamed(UNPINNED, json!("one-"))).await?;
        refused_by(refused, "governed", &["image/digest-pinned"]).with_context(|| kind)?;
        dry(&tenant, &unnamed(UNPINNED, json!(""))).await?.refused().with_context(|| kind)?;
    }
    Ok(())
}

async fn a15(suite: Arc<Suite>) -> Result<()> {
    let (_, namespace, tenant) = tenant_of(&suite, "a15").await?;
    let idle = |name: &str, image: &str| {
        let object = workload("Deployment", &namespace, name, &spec_with_image(image));
        patched(object, &json!({"spec": {"replicas": 0}}))
    };
    let objects = [idle("first", IMAGE), idle("second", UNPINNED), idle("third", IMAGE)];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let nested = json!({"apiVersion": "apps/v1", "kind": "DeploymentList", "items": objects}).to_string();
    let documents = objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n");
    for (how, text) in [("List", &list), ("documents", &documents), ("manifest", &manifest(&objects))] {
        refused_by(tenant.apply(text).await?, "governed", &["image/digest-pinned", UNPINNED]).context(how)?;
        let names = tenant.kubectl(&["get", "deployments", "-n", &namespace, "-o", "name"]).await?.ok()?;
        ensure!(names.contains("first") && !names.contains("second"), "{how}: {names}");
    }
    for (how, text) in [("List", &list), ("DeploymentList", &nested), ("documents", &documents)] {
        let (status, told) = checked(text).await?;
        ensure!(status == Some(1), "{how}: {status:?}\n{told}");
        says(&told, &["image/digest-pinned", "second"]).context(how)?;
    }
    Ok(())
}
