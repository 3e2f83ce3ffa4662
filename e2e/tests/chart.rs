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
use e2e::{amanat as installed, binary, chart, manifests, operator};
use serde_json::{Value, json};

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
        self.run_in(operator::NAMESPACE, verb, values).await
    }

    async fn run_in(&self, namespace: &str, verb: &[&str], values: &Value) -> Result<Output> {
        let file = self.folder.path().join("values.yaml");
        std::fs::write(&file, values.to_string())?;
        let (file, chart) = (file.to_string_lossy(), chart::folder());
        let chart = chart.to_string_lossy();
        let mut all = verb.to_vec();
        all.extend([&*chart, "--namespace", namespace, "--values", &file]);
        self.tools.helm(&all).await
    }

    async fn render(&self, values: &Value) -> Result<Output> {
        self.render_in(operator::NAMESPACE, values).await
    }

    async fn render_in(&self, namespace: &str, values: &Value) -> Result<Output> {
        self.run_in(namespace, &["template", chart::RELEASE], values).await
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
        (with(json!({"controls": {"pod/resource-bounds": {"params": {"qouta": {"cpu": 1}}}}})), "'qouta' not allowed"),
        (
            with(json!({"controls": {"pod/run-as-user": {"paramsByClass": {"Open": {"minUid": "high"}}}}})),
            "/Open/minUid",
        ),
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

/// The controls that the enforcer itself misses in its own upper class: that gives API tokens by exemption only.
const MISSED: [&str; 1] = ["pod/service-account-token"];

/// What Amanat demands of an upper class, it does itself: beside a Confidential CloudWorkload of its own namespace.
#[tokio::test]
async fn it_meets_its_own_upper_class() -> Result<()> {
    const NAMESPACE: &str = "guards";
    let helm = Helm::new()?;
    let amanat = tokio::task::spawn_blocking(operator::amanat_binary).await??;
    let declared = [
        manifests::entity(manifests::ENTITY),
        manifests::provider(manifests::PROVIDER),
        manifests::cloud_workload(NAMESPACE, "Confidential"),
    ];
    let beside = helm.folder.path().join("declared.yaml");
    std::fs::write(&beside, manifests::manifest(&declared))?;
    for (name, values) in chart::kept() {
        let file = helm.folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, helm.render_in(NAMESPACE, &values).await?.ok()?)?;
        let arguments = ["check", "--strict", "-o", "json"];
        let output = std::process::Command::new(&amanat).args(arguments).args([&beside, &file]).output()?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let findings = report["findings"].as_array().unwrap().iter();
        let controls: Vec<_> = findings.map(|finding| finding["control"].as_str().unwrap()).collect();
        assert_eq!(controls, MISSED, "{name}: {report:#}");
        for list in ["errors", "notAssessed"] {
            assert_eq!(report[list], json!([]), "{name}");
        }
        assert_eq!(output.status.code(), Some(i32::from(!MISSED.is_empty())), "{name}");
        // Its CloudWorkload and its Deployment are judged, not overlooked.
        assert!(report["summary"]["objects"].as_u64() >= Some(2), "{name}: {report:#}");
    }
    Ok(())
}

/// `UPDATE=1 cargo test -p e2e --test chart` writes them. The baseline isn't kept a second time: it is the shipped one.
#[tokio::test]
async fn renders_are_the_kept_ones() -> Result<()> {
    let helm = Helm::new()?;
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for (name, values) in chart::kept() {
        let file = chart::renders().join(format!("{name}.yaml"));
        let rendered = helm.render(&values).await?.ok()?;
        let documents = rendered.split("---\n").filter(|document| !document.contains("\nkind: SecurityBaseline\n"));
        let rendered = documents.collect::<Vec<_>>().join("---\n");
        if update {
            std::fs::create_dir_all(chart::renders())?;
            std::fs::write(&file, rendered)?;
        } else if std::fs::read_to_string(&file).unwrap_or_default() != rendered {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "run `UPDATE=1 cargo test -p e2e --test chart`; not current: {stale:?}");
    Ok(())
}

/// Replicas are kept apart and not ended all at once, and each has the time that its end takes.
#[tokio::test]
async fn replicas_outlive_nodes_and_upgrades() -> Result<()> {
    let helm = Helm::new()?;
    for replicas in [0, 1, 2, 5] {
        let mut values = installed::values();
        values["replicas"] = json!(replicas);
        let objects = objects(&helm.render(&values).await?.ok()?);
        let deployment = of(&objects, "Deployment")[0];
        let template = &deployment["spec"]["template"];
        let labels = &template["metadata"]["labels"];
        let selects = |selector: &Value| {
            selector["matchLabels"].as_object().unwrap().iter().all(|(key, value)| labels[key] == *value)
        };
        let budgets = of(&objects, "PodDisruptionBudget");
        // A budget over one replica would keep its node from ever being drained.
        assert_eq!(budgets.len(), usize::from(replicas > 1), "{replicas}");
        for budget in budgets {
            assert!(selects(&budget["spec"]["selector"]) && budget["spec"]["minAvailable"] == 1, "{budget}");
            assert_eq!(budget["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");
        }
        assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"], json!({"maxSurge": 1, "maxUnavailable": 0}));
        let spec = &template["spec"];
        let apart = &spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
        assert_eq!(apart["podAffinityTerm"]["topologyKey"], "kubernetes.io/hostname");
        assert!(selects(&apart["podAffinityTerm"]["labelSelector"]));
        let spread = &spec["topologySpreadConstraints"][0];
        assert_eq!(spread["topologyKey"], "topology.kubernetes.io/zone");
        assert!(selects(&spread["labelSelector"]) && spread["whenUnsatisfiable"] == "ScheduleAnyway");
        assert_eq!(spec["priorityClassName"], "system-cluster-critical");
        // Five seconds for new connections, ninety in which the API server lets go of its own, ten for the last requests.
        assert!(spec["terminationGracePeriodSeconds"].as_u64() > Some(5 + 90 + 10), "{spec}");
    }
    Ok(())
}

/// A control that only a newer release knows; so are its parameters.
const NEWER: &str = "pod/of-a-newer-release";

/// The places that may hold anything.
const OPEN: [&str; 3] = [
    "/global",
    "/baseline/controls/pod~1of-a-newer-release/params",
    "/baseline/controls/pod~1of-a-newer-release/paramsByClass/Open",
];

/// The places of a schema that are objects with names of their own, each with values that hold one more there. What may
/// hold any name is given by an example.
fn closed<'a>(
    schema: &'a Value,
    root: &'a Value,
    path: &str,
    places: &mut Vec<(String, Value)>,
    wrap: &dyn Fn(Value) -> Value,
) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let mut below = |name: &str, schema| {
        let path = format!("{path}/{}", name.replace('/', "~1"));
        closed(schema, root, &path, places, &|value| wrap(json!({name: value})));
    };
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        below(name, schema);
    }
    match &schema["additionalProperties"] {
        Value::Bool(false) => places.push((path.to_owned(), wrap(json!({"misspelt": true})))),
        more if more.is_object() => below(if path == "/baseline/controls" { NEWER } else { "Open" }, more),
        _ if schema["type"] == "object" => assert!(OPEN.contains(&path), "{path} is open"),
        _ => {}
    }
    if schema["items"].is_object() {
        closed(&schema["items"], root, &format!("{path}/0"), places, &|value| wrap(json!([value])));
    }
}

#[tokio::test]
async fn a_misspelt_value_is_refused_at_every_level() -> Result<()> {
    let helm = Helm::new()?;
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(chart::folder().join("values.schema.json"))?)?;
    let mut places = Vec::new();
    closed(&schema, &schema, "", &mut places, &|value| value);
    let of_controls = places.iter().filter(|(path, _)| path.starts_with("/baseline/controls/")).count();
    assert!(of_controls > 3 * amanat::catalogue::ALL.len() && places.len() > of_controls + 12, "{places:?}");
    for (path, values) in places {
        let output = helm.render(&values).await?;
        let says = format!("at '{path}': additional properties 'misspelt' not allowed");
        assert!(
            !output.status.success() && output.stderr.contains("'misspelt' not allowed"),
            "{path}: {}",
            output.stderr
        );
        assert!(output.stderr.contains(&says) || output.stderr.contains(&path), "{says}: {}", output.stderr);
    }
    Ok(())
}
