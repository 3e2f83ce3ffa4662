//! What differs between control planes: each case starts one of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::case::{Case, Suite};
use e2e::cluster::{Cluster, NODES};
use e2e::controlplane::{Endpoints, NOBODYS, Options};
use e2e::nodes;
use e2e::waiting::until;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("options: no PodSecurity, published endpoints, a restarted API server", options).on_own_cluster()]
}

async fn options(_: Arc<Suite>) -> Result<()> {
    let options = Options {
        disable_admission_plugins: vec!["PodSecurity".to_owned()],
        endpoints: Endpoints::Lease(NOBODYS),
        ..Options::default()
    };
    let cluster = Cluster::own(&options).await?;
    let namespace = cluster.namespace("options", &[("pod-security.kubernetes.io/enforce", "restricted")]).await?;
    let privileged = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: one, namespace: {namespace}}}, spec: {{containers: \
         [{{name: one, image: registry.example/one, securityContext: {{privileged: true}}}}]}}}}"
    );
    cluster.tools().create(&privileged).await?.ok()?;

    let slices = Api::<EndpointSlice>::namespaced(cluster.client().clone(), "default");
    until(SOON, "the API server's published address", async || {
        let slice = slices.get("kubernetes").await?;
        let published = slice.endpoints.iter().flatten().flat_map(|endpoint| &endpoint.addresses);
        ensure!(published.eq(["192.0.2.10"]), "{:?}", slice.endpoints);
        Ok(())
    })
    .await?;

    cluster.control_plane().await?.restart_apiserver().await?;
    nodes::wait_ready(cluster.client(), NODES).await?;
    cluster.tools().kubectl(&["get", "pod", "one", "-n", &namespace]).await?.ok()?;
    Ok(())
}
