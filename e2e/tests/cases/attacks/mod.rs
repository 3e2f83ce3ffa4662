//! What is tried against Amanat, by who could try it: a case an attack, by the table of [`e2e::attacks`].

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::attacks::{ATTACKS, GROUPS, Standing, page};
use e2e::case::{Case, Suite};

mod lifecycle;
mod matching;
mod namespace;
mod server;
mod tampering;

/// An image that the test values approve, by tag: of all controls, those of images alone are against it.
const UNPINNED: &str = "registry.example.gov.pk/portal/api:1.4";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new("attacks: the table, its tests and docs/attacks.md agree", agree)];
    cases.extend(
        [matching::cases(), namespace::cases(), lifecycle::cases(), server::cases(), tampering::cases()]
            .into_iter()
            .flatten(),
    );
    cases
}

async fn restricted(suite: &Suite, prefix: &str) -> Result<(Arc<Amanat>, String)> {
    let amanat = suite.amanat().await?;
    let namespace = amanat.declared(prefix, "Restricted").await?;
    Ok((amanat, namespace))
}

/// Whether it is the name of the case of an attack: a letter, two digits and words.
fn of_an_attack(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_lowercase())
        && letters.by_ref().take(2).filter(char::is_ascii_digit).count() == 2
        && letters.next() == Some('_')
}

/// No cluster is needed for it.
async fn agree(_: Arc<Suite>) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cases: BTreeSet<_> = super::all().iter().map(|case| case.name().to_owned()).collect();
    let demanded: Vec<_> = GROUPS.iter().flat_map(|(group, _, numbers)| numbers.clone().map(|n| (*group, n))).collect();
    let listed: Vec<_> = ATTACKS.iter().map(|attack| (attack.group, attack.number)).collect();
    ensure!(listed == demanded, "the table has {listed:?}");

    let mut named = BTreeSet::new();
    for attack in ATTACKS {
        let what = format!("{}{:02}", attack.group, attack.number);
        let nothing = matches!(attack.standing, Standing::Later(_));
        ensure!(attack.tests.is_empty() == nothing, "{what}: {:?} with {:?}", attack.standing, attack.tests);
        for test in attack.tests {
            named.insert((*test).to_owned());
            if cases.contains(*test) {
                continue;
            }
            let (file, function) = test.split_once(": ").with_context(|| format!("{what}: no case {test}"))?;
            let text = std::fs::read_to_string(root.join(file)).with_context(|| format!("{what}: no case {test}"))?;
            ensure!(text.contains(&format!("fn {function}(")), "{what}: {file} has no {function}");
        }
    }
    let forgotten: Vec<_> = cases.iter().filter(|name| of_an_attack(name) && !named.contains(*name)).collect();
    ensure!(forgotten.is_empty(), "the table doesn't name {forgotten:?}");

    let (place, page) = (root.join("docs/attacks.md"), page());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&place, &page).with_context(|| format!("write {}", place.display()))?;
    }
    let found = std::fs::read_to_string(&place).unwrap_or_default();
    ensure!(found == page, "docs/attacks.md is stale: UPDATE=1 cargo test -p e2e --test cluster -- attacks:");
    Ok(())
}
