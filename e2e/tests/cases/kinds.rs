//! The table of accepted and rejected objects of the kinds, on the API server alone.

use std::path::Path;
use std::sync::Arc;

use amanat::manifest::{Limits, read};
use anyhow::{Context, Result, bail, ensure};
use e2e::case::{Case, Suite};
use e2e::cluster::Cluster;
use e2e::controlplane::Options;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::says::created_dry;

const AT_A_TIME: usize = 8;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("kinds: the API server accepts and rejects what the table says", the_table).on_own_cluster()]
}

/// A cluster of its own, since the webhook would judge beyond the schema what it is asked about.
async fn the_table(_: Arc<Suite>) -> Result<()> {
    let cluster = Cluster::own(&Options::default()).await?;
    let tools = cluster.tools();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crds = folder.join("crds");
    tools.kubectl(&["apply", "--server-side", "-f", &crds.to_string_lossy()]).await?.ok()?;
    tools.kubectl(&["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"]).await?.ok()?;
    tools.kubectl(&["create", "namespace", "fbr-portal"]).await?.ok()?;

    let mut files = Vec::new();
    for kind in std::fs::read_dir(folder.join("tests/kinds")).context("list tests/kinds")? {
        let entries = std::fs::read_dir(kind?.path())?.map(|entry| entry.map(|entry| entry.path()));
        files.extend(entries.collect::<Result<Vec<_>, _>>()?);
    }
    files.sort();
    let tried = files.len();
    let wrong: Vec<_> = futures::stream::iter(files)
        .map(async |file| {
            anyhow::Ok(tried_file(&cluster, &file).await?.map(|what| format!("{}: {what}", shown(&file))))
        })
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    ensure!(tried > 80, "the table has only {tried} rows");
    ensure!(wrong.is_empty(), "{} of {tried} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

fn shown(file: &Path) -> String {
    let parts: Vec<_> = file.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// What is wrong about the answer to the object of a file, if something is.
async fn tried_file(cluster: &Cluster, file: &Path) -> Result<Option<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let rejected = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rejected-"));
    let place =
        rejected.then(|| text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default().trim());
    let (documents, errors) = read(&text, &Limits::default());
    let [document] = documents.as_slice() else { bail!("{} isn't one document: {errors:?}", file.display()) };
    let value = document.root.to_value();
    let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str);
    let within = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
    let plural = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let answer = created_dry(cluster, &format!("/apis/amanat.dev/v1alpha1/{within}{plural}"), &value).await?;
    Ok(match (place, answer) {
        (None, Ok(())) => None,
        (None, Err(status)) => Some(format!("rejected: {}", status.message)),
        (Some(_), Ok(())) => Some("accepted".to_owned()),
        (Some(place), Err(status)) => {
            let causes = status.details.map(|details| details.causes).unwrap_or_default();
            let named = |field: &str| field == place || place.starts_with(field) || field.starts_with(place);
            // A rule about the metadata can only stand at the root, and the API server then names no field.
            let at_root = place.starts_with("metadata.") && status.message.contains("<nil>: ");
            let fits = at_root
                || status.message.contains(place)
                || causes.iter().any(|cause| !cause.field.is_empty() && named(&cause.field));
            (!fits).then(|| format!("not rejected for {place}: {}", status.message))
        }
    })
}
