//! The golden table of YAML on the kubectl that it is about.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::case::{Case, Suite};
use e2e::tools::Tools;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

const AT_A_TIME: usize = 4;
const HEAD: &str = "apiVersion: e2e.example/v1\nkind: Golden\nmetadata: {name: golden}\n";

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("yaml: kubectl reads the golden table as it says", the_table)]
}

async fn the_table(suite: Arc<Suite>) -> Result<()> {
    let tools = suite.cluster().await?.tools();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/yaml/golden.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let rows: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let rows: Vec<_> = rows.into_iter().filter(|row| row.get("form").is_some_and(|form| form == "mapping")).collect();
    let tried = rows.len();
    let wrong: Vec<_> = futures::stream::iter(rows)
        .map(async |row| judged(&tools, &row).await)
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    ensure!(tried > 80, "the table has only {tried} rows");
    ensure!(wrong.is_empty(), "{} of {tried} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What kubectl reads that isn't what a row says, if so.
async fn judged(tools: &Tools, row: &Value) -> Result<Option<String>> {
    let text = |key: &str| row.get(key).and_then(Value::as_str).with_context(|| format!("{row} has no {key}"));
    let manifest = format!("{HEAD}{}", text("yaml")?);
    let label = ["label", "--local", "--output=json", "--filename=-", "golden=row"];
    let output = tools.kubectl_with(&label, &manifest).await?;
    let read = if output.status.success() { mapping(&output.stdout) } else { None };
    let expected = row.pointer("/json/0");
    Ok((read.as_ref() != expected).then(|| {
        let read = read.map_or_else(|| output.stderr.trim().to_owned(), |read| read.to_string());
        format!("{}: kubectl says {read}", row.get("name").unwrap_or(&Value::Null))
    }))
}

/// The object without what made it one.
fn mapping(printed: &str) -> Option<Value> {
    let mut object: Value = serde_json::from_str(printed).ok()?;
    let fields = object.as_object_mut()?;
    for head in ["apiVersion", "kind", "metadata"] {
        fields.remove(head)?;
    }
    Some(object)
}
