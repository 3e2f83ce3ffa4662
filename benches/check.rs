//! `amanat check` of ten thousand Deployments: `cargo bench --bench check`.

use std::fmt::Write as _;

use amanat::cli::check::{CheckArgs, check};
use amanat::cli::inputs::Inputs;

fn main() {
    divan::main();
}

const DECLARATION: &str = "apiVersion: amanat.dev/v1alpha1
kind: CloudWorkload
metadata: {name: workload, namespace: fbr-portal}
spec: {owner: fbr, dataClass: Restricted, provider: ntc, model: Government, service: IaaS}
";

/// Every third has a finding.
fn manifests(count: usize) -> String {
    let mut text = DECLARATION.to_owned();
    let digest = "0".repeat(64);
    for index in 0..count {
        let user = if index % 3 == 0 { "" } else { "\n          runAsNonRoot: true" };
        let _ = write!(
            text,
            "---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{index}
  namespace: fbr-portal
  labels: {{app: app-{index}}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: app-{index}}}
  template:
    metadata:
      labels: {{app: app-{index}}}
    spec:
      containers:
      - name: app
        image: registry.example.gov.pk/team/app@sha256:{digest}
        ports: [{{containerPort: 8080}}]
        env:
        - {{name: PORT, value: \"8080\"}}
        resources:
          requests: {{cpu: 100m, memory: 128Mi}}
          limits: {{cpu: 500m, memory: 128Mi}}
        securityContext:
          allowPrivilegeEscalation: false{user}
          capabilities: {{drop: [ALL]}}
          seccompProfile: {{type: RuntimeDefault}}
"
        );
    }
    text
}

/// Reading, judging and writing the answer as JSON.
#[divan::bench(args = [10_000], sample_count = 5, sample_size = 1)]
fn deployments(bencher: divan::Bencher<'_, '_>, count: usize) {
    let text = manifests(count);
    let mut args = CheckArgs::default();
    args.regime.set = vec!["image/approved-registries.registries=[registry.example.gov.pk]".to_owned()];
    args.now = "2027-01-01T00:00:00Z".parse().ok();
    bencher.bench(|| {
        let outcome = check(&args, &Inputs::of_text("all.yaml", &text)).map_err(|error| error.to_string());
        let report = outcome.map(|outcome| outcome.report).unwrap_or_default();
        assert_eq!(report.objects, count + 1);
        amanat::report::json::render(&report).map(|json| json.len()).unwrap_or_default()
    });
}
