//! The manifests of the demo, as a reader would write them.

/// Who owns workloads, and who keeps them.
pub(super) const REGISTRY: &str = "\
apiVersion: amanat.dev/v1alpha1
kind: PublicSectorEntity
metadata: {name: fbr}
spec: {displayName: Federal Board of Revenue, jurisdiction: Federal}
---
apiVersion: amanat.dev/v1alpha1
kind: CloudServiceProvider
metadata: {name: ntc}
spec:
  displayName: National Telecommunication Corporation
  grade: Accredited
  state: Active
  validFrom: \"2026-01-01T00:00:00Z\"
  validUntil: \"2126-01-01T00:00:00Z\"
  maxDataClass: Secret
  models: [Government, Public]
  services: [IaaS, PaaS]
  sites: [{name: isb-1, country: PK}]
";

/// The namespace and what it declares.
pub(super) const PORTAL: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: fbr-portal}
---
apiVersion: amanat.dev/v1alpha1
kind: CloudWorkload
metadata: {name: workload, namespace: fbr-portal}
spec:
  owner: fbr
  dataClass: Restricted
  provider: ntc
  model: Government
  service: PaaS
";

/// What the class forbids.
pub(super) const DEBUG: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: debug, namespace: fbr-portal}
spec:
  selector: {matchLabels: {app: debug}}
  template:
    metadata: {labels: {app: debug}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: shell
        image: docker.io/library/busybox:1.37
        securityContext:
          privileged: true
          capabilities: {drop: [ALL]}
";
