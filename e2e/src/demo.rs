//! The demo: the main job on real input, in one command.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::nodes;

/// Starts a cluster, installs the kinds and shows what is there; with `keep` it stays until Ctrl-C.
pub async fn run(keep: bool) -> Result<()> {
    let cluster = start().await?;
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    if crds.is_dir() {
        let applied = cluster.tools().kubectl(&["apply", "--server-side", "-f", &crds.to_string_lossy()]).await?;
        print!("{}", applied.ok()?);
    }
    print!("{}", cluster.tools().kubectl(&["get", "nodes"]).await?.ok()?);
    if keep { stay(&cluster).await } else { Ok(()) }
}

/// Starts a cluster and nothing in it, and stays until Ctrl-C.
pub async fn up() -> Result<()> {
    let cluster = start().await?;
    stay(&cluster).await
}

async fn start() -> Result<Cluster> {
    eprintln!("e2e: starting a control plane on this machine");
    let cluster = Cluster::start().await?;
    let ready = nodes::ready(cluster.client()).await?.len();
    eprintln!("e2e: {ready} nodes are Ready at {}", cluster.endpoint().server);
    Ok(cluster)
}

async fn stay(cluster: &Cluster) -> Result<()> {
    let tools = link_tools(cluster)?;
    println!(
        "\nThe cluster stays up until Ctrl-C. In another terminal:\n  export KUBECONFIG={}\n  {}/kubectl get namespaces",
        cluster.admin().display(),
        tools.display()
    );
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")
}

/// A folder with `kubectl` and `helm`, for readers who have neither.
fn link_tools(cluster: &Cluster) -> Result<PathBuf> {
    let folder = cluster.folder().join("bin");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for tool in ["kubectl", "helm"] {
        let path = folder.join(tool);
        std::os::unix::fs::symlink(cluster.binary(), &path).with_context(|| format!("link {}", path.display()))?;
    }
    Ok(folder)
}
