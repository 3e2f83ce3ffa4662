//! What is tried against Amanat, by whom, and which test holds it: the table behind `docs/attacks.md`.

mod table;

pub use table::ATTACKS;

/// Who tries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody with rights in a namespace, but none on the Namespace itself.
    Tenant,
    /// Somebody who may write a namespace too, by every path, and all that is in it.
    NamespaceAdmin,
    /// Somebody who may do everything in the cluster, and isn't an administrator of Amanat.
    ClusterAdmin,
    /// An administrator of Amanat.
    Administrator,
    /// Whoever reaches the webhook's port.
    Stranger,
    /// Nobody: it happens.
    Circumstance,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Tests show that it fails.
    Held,
    /// Tests show as much as can be held; the rest, and why it is not.
    Partly(&'static str),
    /// Nothing of it is held yet, or by nobody; why.
    Later(&'static str),
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its group, lower case.
    pub group: char,
    /// Its number, in all groups.
    pub number: u8,
    /// What is tried.
    pub tried: &'static str,
    /// By whom, at the most.
    pub who: Who,
    /// The cluster cases that try it, or `FILE: FUNCTION` of the library's tests.
    pub tests: &'static [&'static str],
    /// What became of it.
    pub standing: Standing,
}

/// The groups that the table is about: letter, heading, and the numbers in them.
pub const GROUPS: &[(char, &str, std::ops::RangeInclusive<u8>)] = &[
    ('a', "Matching: what the webhook is asked about", 1..=15),
    ('b', "Namespaces: what governs one", 16..=25),
    ('c', "Lifecycle: what is old, and what ends", 26..=32),
    ('f', "The server", 47..=52),
    ('g', "Tampering with Amanat itself", 53..=58),
];

impl Who {
    fn in_words(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::NamespaceAdmin => "namespace admin",
            Self::ClusterAdmin => "cluster admin",
            Self::Administrator => "administrator of Amanat",
            Self::Stranger => "stranger",
            Self::Circumstance => "nobody",
        }
    }
}

/// `docs/attacks.md`.
pub fn page() -> String {
    let mut page = "# Attacks\n\n\
        What is tried against Amanat, by the user who could most easily try it, and the test that shows what becomes of \
        it. Tests are cases of the cluster tests (`cargo test -p e2e --test cluster -- NAME`), or functions of the \
        library's own tests with their file. This page is generated from the table that the tests are checked against.\n"
        .to_owned();
    for (group, heading, _) in GROUPS {
        page.push_str(&format!("\n## {heading}\n\n| | Tried | By | Held | Tests |\n|---|---|---|---|---|\n"));
        for attack in ATTACKS.iter().copied().flatten().filter(|attack| attack.group == *group) {
            let held = match attack.standing {
                Standing::Held => "yes".to_owned(),
                Standing::Partly(why) => format!("partly: {why}"),
                Standing::Later(why) => format!("no: {why}"),
            };
            let tests: Vec<_> = attack.tests.iter().map(|test| format!("`{test}`")).collect();
            let (number, tried, who) = (attack.number, attack.tried, attack.who.in_words());
            page.push_str(&format!("| {group}{number:02} | {tried} | {who} | {held} | {} |\n", tests.join("<br>")));
        }
    }
    page
}
