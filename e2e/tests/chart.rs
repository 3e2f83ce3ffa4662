//! The chart without a cluster: what it renders, and what it refuses to.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "values are given in files, and a test fails by panicking"
)]

use anyhow::Result;
use e2e::folder::Folder;
use e2e::tools::{Output, Tools};
use e2e::{amanat as installed, binary, chart, operator};
use serde_json::{Value, json};

const DIGEST: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

struct Helm {
    folder: Folder,
    tools: Tools,
}

impl Helm {
    fn new() -> Result<Self> {
        let folder = Folder::new()?;
        let tools = Tools::new(&binary::locate()?, &folder.path().join("none"), folder.path());
        Ok(Self { folder, tools })
    }

    async fn run(&self, verb: &[&str], values: &Value) -> Result<Output> {
        let file = self.folder.path().join("values.yaml");
        std::fs::write(&file, values.to_string())?;
        let (file, chart) = (file.to_string_lossy(), chart::folder());
        let chart = chart.to_string_lossy();
        let mut all = verb.to_vec();
        all.extend([&*chart, "--namespace", operator::NAMESPACE, "--values", &file]);
        self.tools.helm(&all).await
    }

    async fn render(&self, values: &Value) -> Result<Output> {
        self.run(&["template", chart::RELEASE], values).await
    }
}

fn objects(text: &str) -> Vec<Value> {
    let (documents, errors) = amanat::manifest::read(text, &amanat::manifest::Limits::default());
    assert!(errors.is_empty(), "{errors:?}");
    documents.iter().map(|document| document.root.to_value()).collect()
}

fn of<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[tokio::test]
async fn it_is_sound() -> Result<()> {
    let helm = Helm::new()?;
    helm.run(&["lint", "--strict"], &installed::values()).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn without_changes_it_renders_the_shipped_baseline() -> Result<()> {
    let helm = Helm::new()?;
    let registries = json!(["registry.example.gov.pk"]);
    let rendered = helm.render(&json!({"baseline": {"registries": registries}})).await?.ok()?;
    let objects = objects(&rendered);
    let [rendered] = of(&objects, "SecurityBaseline")[..] else { panic!("not one SecurityBaseline") };
    let rendered = amanat::baseline::load_value(rendered).unwrap();
    let mut shipped = amanat::baseline::shipped().unwrap();
    for control in &mut shipped.spec.controls {
        if control.id == "image/approved-registries" {
            control.params.insert("registries".to_owned(), registries.clone());
        }
        if control.id == "network/default-deny" {
            for param in ["apiServerCIDRs", "gateways", "scrapeFrom"] {
                control.params.insert(param.to_owned(), json!([]));
            }
        }
    }
    assert_eq!(rendered.spec, shipped.spec);
    let mode = amanat::baseline::Mode::Cluster;
    amanat::baseline::Effective::resolve("chart", &rendered.spec, mode).unwrap();
    assert_eq!(rendered.metadata.annotations.unwrap()["helm.sh/resource-policy"], "keep");
    Ok(())
}

#[tokio::test]
async fn values_reach_the_baseline() -> Result<()> {
    let helm = Helm::new()?;
    let cap = json!({"namespaces": ["legacy-*"], "effectCap": "Warn", "until": "2027-03-31T00:00:00Z", "reason": "r"});
    let rendered = helm
        .render(&json!({"baseline": {
            "registries": ["a.example"],
            "registriesByClass": {"Secret": ["a.example/secret"]},
            "administrators": ["root"], "restorers": ["velero"], "gateways": ["ingress"],
            "undeclared": "Deny", "graceOnRaise": "1h", "rollout": [cap],
            "dns": [{"namespace": "dns", "ports": [{"port": 53, "protocol": "UDP"}]}],
            "catalogue": "9.9.9",
            "controls": {
                "image/digest-pinned": {"effects": {"Public": "Deny"}, "paramsByClass": {"Public": {"demand": "digest"}}},
                "pod/of-a-newer-release": {"effects": {"Open": "Warn"}},
            },
        }}))
        .await?
        .ok()?;
    let objects = objects(&rendered);
    let spec = &of(&objects, "SecurityBaseline")[0]["spec"];
    assert_eq!(spec["administrators"]["groups"], json!(["root"]));
    assert_eq!(spec["restorers"]["groups"], json!(["velero"]));
    assert_eq!(spec["undeclared"], "Deny");
    assert_eq!(spec["graceOnRaise"], "1h");
    assert_eq!(spec["rollout"], json!([cap]));
    assert_eq!(spec["catalogue"], "9.9.9");
    let control = |id: &str| spec["controls"].as_array().unwrap().iter().find(|control| control["id"] == id).unwrap();
    assert_eq!(
        control("image/approved-registries")["paramsByClass"]["Secret"]["registries"],
        json!(["a.example/secret"])
    );
    assert_eq!(control("network/default-deny")["params"]["gateways"], json!(["ingress"]));
    assert_eq!(control("network/default-deny")["params"]["dns"].as_array().unwrap().len(), 1);
    let pinned = control("image/digest-pinned");
    assert_eq!((&pinned["effects"]["Public"], &pinned["effects"]["Open"]), (&json!("Deny"), &json!("Warn")));
    assert_eq!(pinned["paramsByClass"], json!({"Open": {"demand": "tag"}, "Public": {"demand": "digest"}}));
    assert_eq!(control("pod/of-a-newer-release")["effects"], json!({"Open": "Warn"}));
    Ok(())
}

#[tokio::test]
async fn wrong_values_are_refused_by_name() -> Result<()> {
    let helm = Helm::new()?;
    let with = |baseline: Value| {
        let mut values = json!({"baseline": {"registries": ["a.example"]}});
        for (key, value) in baseline.as_object().unwrap() {
            values["baseline"][key] = value.clone();
        }
        values
    };
    let table = [
        (json!({}), "baseline.registries is empty"),
        (json!({"replica": 1}), "'replica' not allowed"),
        (with(json!({"registry": ["b.example"]})), "'registry' not allowed"),
        (with(json!({"undeclared": "Refuse"})), "/baseline/undeclared"),
        (with(json!({"graceOnRaise": "1w"})), "/baseline/graceOnRaise"),
        (
            with(json!({"rollout": [{"namespaces": ["a"], "effectCap": "Warn", "until": "soon", "reason": "r"}]})),
            "/until",
        ),
        (with(json!({"controls": {"pod/sysctl": {"effects": {"Open": "Warn"}}}})), "there is no control pod/sysctl"),
        (with(json!({"controls": {"pod/sysctls": {"effects": {"Opn": "Warn"}}}})), "there is no class Opn"),
        (with(json!({"registriesByClass": {"Opn": ["b.example"]}})), "there is no class Opn"),
        (json!({"webhook": {"url": "http://a"}, "baseline": {"create": false}}), "/webhook/url"),
        (json!({"certificate": {"secret": "a"}, "baseline": {"create": false}}), "'secret' not allowed"),
        (json!({"certificate": {"leafValidity": "90d"}, "baseline": {"create": false}}), "/certificate/leafValidity"),
        (json!({"image": {"digest": "2c26b46b"}, "baseline": {"create": false}}), "/image/digest"),
    ];
    for (values, says) in table {
        let output = helm.render(&values).await?;
        assert!(!output.status.success() && output.stderr.contains(says), "{values}: {says}: {}", output.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_baseline_of_ones_own_is_left_alone() -> Result<()> {
    let helm = Helm::new()?;
    let rendered = helm.render(&json!({"baseline": {"create": false}})).await?.ok()?;
    assert!(of(&objects(&rendered), "SecurityBaseline").is_empty());
    Ok(())
}

#[tokio::test]
async fn rights_name_what_they_are_for() -> Result<()> {
    let helm = Helm::new()?;
    let rendered = helm.render(&installed::values()).await?.ok()?;
    let objects = objects(&rendered);
    for role in [of(&objects, "ClusterRole"), of(&objects, "Role")].concat() {
        let (kind, name) = (&role["kind"], &role["metadata"]["name"]);
        for rule in role["rules"].as_array().unwrap() {
            let words = |key: &str| rule[key].as_array().cloned().unwrap_or_default();
            let holds = |key: &str, word: &str| words(key).iter().any(|known| known == word);
            for key in ["apiGroups", "resources", "verbs"] {
                assert!(!words(key).is_empty() && !holds(key, "*"), "{kind} {name}: {rule}");
            }
            for right in ["escalate", "bind", "impersonate", "deletecollection"] {
                assert!(!holds("verbs", right), "{kind} {name}: {rule}");
            }
            for resource in ["pods/exec", "nodes/proxy", "serviceaccounts/token"] {
                assert!(!holds("resources", resource), "{kind} {name}: {rule}");
            }
            if holds("resources", "secrets") {
                assert!(*kind == "Role" && role["metadata"]["namespace"] == operator::NAMESPACE, "{name}: {rule}");
                let named = words("resourceNames") == [json!("amanat-webhook-tls")];
                assert!(named || words("verbs") == [json!("create")], "{name}: {rule}");
            }
        }
    }
    let anchor = objects.iter().find(|object| object["metadata"]["name"] == "amanat-anchor").unwrap();
    assert_eq!(anchor["rules"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_brought_is_mounted_and_no_secret_may_be_touched() -> Result<()> {
    let helm = Helm::new()?;
    let mut values = installed::values();
    values["certificate"] = json!({"secretName": "webhook-certificate"});
    let rendered = helm.render(&values).await?.ok()?;
    let objects = objects(&rendered);
    let pod = &of(&objects, "Deployment")[0]["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "webhook-certificate");
    let container = &pod["containers"][0];
    let mount = &container["volumeMounts"][0];
    assert_eq!((&mount["name"], &mount["readOnly"]), (&pod["volumes"][0]["name"], &json!(true)));
    let argument = json!(format!("--certificate-dir={}", mount["mountPath"].as_str().unwrap()));
    assert!(container["args"].as_array().unwrap().contains(&argument), "{container}");
    for role in [of(&objects, "ClusterRole"), of(&objects, "Role")].concat() {
        let rules = role["rules"].as_array().unwrap();
        assert!(rules.iter().all(|rule| !rule["resources"].to_string().contains("\"secrets\"")), "{role}");
    }
    Ok(())
}

/// What Amanat demands of the highest class, it does itself.
#[tokio::test]
async fn its_own_pods_pass_the_highest_class() -> Result<()> {
    let helm = Helm::new()?;
    let mut values = installed::values();
    values["image"] = json!({"repository": "registry.example.gov.pk/amanat", "digest": DIGEST});
    let rendered = helm.render(&values).await?.ok()?;
    let objects = objects(&rendered);
    let file = helm.folder.path().join("deployment.yaml");
    std::fs::write(&file, of(&objects, "Deployment")[0].to_string())?;
    let amanat = tokio::task::spawn_blocking(operator::amanat_binary).await??;
    let output = std::process::Command::new(amanat)
        .args(["check", "--class", "Secret", "--namespace", "demanding", "--strict"])
        .args(["--set", "image/approved-registries.registries=[registry.example.gov.pk]"])
        .arg(&file)
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
