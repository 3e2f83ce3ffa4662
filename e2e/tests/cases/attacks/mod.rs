//! What is tried against Amanat, by who could try it: a case an attack, by the table of [`e2e::attacks`].

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::amanat::Amanat;
use e2e::attacks::{ATTACKS, GROUPS, Standing, Who, page};
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

/// What no user can try: the API servers of the tests would not ask about it.
const NOBODYS: [&str; 3] =
    ["a04_an_unknown_pod_subresource", "a06_older_versions_of_a_kind", "g58_names_and_users_that_steer_a_terminal"];

/// Holds that the function of a case tries it as the user that the table names, as far as its text tells.
fn tried_by(who: Who, case: &str) -> Result<()> {
    let words: &[&str] = match who {
        Who::Tenant => &["tenant", "controller"],
        Who::NamespaceAdmin => &["tenant"],
        Who::ClusterAdmin => &["cluster_admin(", "nearly-admins"],
        Who::Administrator | Who::Stranger | Who::Circumstance => return Ok(()),
    };
    let named = format!("Case::new(\"{case}\", ");
    let texts = sources()?;
    let text = texts.iter().find(|text| text.contains(&named)).with_context(|| format!("no file has {named}"))?;
    let function = text.split(&named).nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
    let body = text.split(&format!("async fn {function}(")).nth(1).and_then(|rest| rest.split("\n}\n").next());
    let body = body.with_context(|| format!("{case}: no function {function}"))?;
    ensure!(words.iter().any(|word| body.contains(word)), "{case}: {function} isn't tried by a {who:?}");
    Ok(())
}

/// The texts of all cases.
fn sources() -> Result<Vec<String>> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { texts.push(std::fs::read_to_string(path)?) }
        }
    }
    Ok(texts)
}

/// No cluster is needed for it.
async fn agree(_: Arc<Suite>) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cases: BTreeSet<_> = super::all().iter().map(|case| case.name().to_owned()).collect();
    let demanded: Vec<_> = GROUPS.iter().flat_map(|(group, _, numbers)| numbers.clone().map(|n| (*group, n))).collect();
    let listed: Vec<_> = ATTACKS.iter().copied().flatten().map(|attack| (attack.group, attack.number)).collect();
    ensure!(listed == demanded, "the table has {listed:?}");

    let mut named = BTreeSet::new();
    for attack in ATTACKS.iter().copied().flatten() {
        let what = format!("{}{:02}", attack.group, attack.number);
        let words = |test: &str| test.split(['_', ' ']).any(|word| word == what);
        let own: Vec<_> = attack.tests.iter().copied().filter(|test| words(test)).collect();
        ensure!(own.is_empty() == attack.tests.is_empty(), "no test of {:?} is called {what}_…", attack.tests);
        for case in own.into_iter().filter(|test| cases.contains(*test) && !NOBODYS.contains(test)) {
            tried_by(attack.who, case)?;
        }
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
