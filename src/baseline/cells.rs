//! The placement matrix, decided cell by cell: what each class may do in each model, country and grade.

use std::collections::BTreeSet;

use crate::api::cloud_service_provider::Grade;
use crate::api::{CloudModel, PlacementRow};
use crate::catalogue::placement::first_fit;

pub(super) const MODELS: [CloudModel; 4] =
    [CloudModel::Public, CloudModel::Government, CloudModel::Private, CloudModel::Hybrid];
pub(super) const GRADES: [Grade; 2] = [Grade::Registered, Grade::Accredited];

/// What becomes of a placement, the strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decision {
    /// Refused.
    Refused,
    /// Admitted with an approval.
    Approval,
    /// Admitted.
    Admitted,
}

impl Decision {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Approval => "admitted with an approval",
            Self::Admitted => "admitted",
        }
    }
}

/// The countries that rows name, and for all others the empty word, which only `*` takes.
pub(super) fn countries<'a>(rows: impl IntoIterator<Item = &'a PlacementRow>) -> BTreeSet<&'a str> {
    let mut countries = BTreeSet::from([""]);
    let named = rows.into_iter().flat_map(|row| &row.countries).map(String::as_str);
    countries.extend(named.filter(|country| *country != "*"));
    countries
}

/// What several lists of rows make of a placement: the strictest answer of all.
pub(super) fn decide(
    lists: &[Vec<PlacementRow>],
    class: &str,
    model: CloudModel,
    country: &str,
    grade: Grade,
) -> Decision {
    let one = |rows: &Vec<PlacementRow>| {
        let of_class = rows.iter().filter(|row| row.class == class);
        match first_fit(of_class, model, country, grade) {
            None => Decision::Refused,
            Some(row) if row.approval => Decision::Approval,
            Some(_) => Decision::Admitted,
        }
    };
    lists.iter().map(one).min().unwrap_or(Decision::Refused)
}

/// A place in words.
pub(super) fn describe(model: CloudModel, countries: &[&str], all: &BTreeSet<&str>, grades: &[Grade]) -> String {
    let place = if countries.len() == all.len() {
        "any country".to_owned()
    } else {
        let word = |country: &&str| if country.is_empty() { "other countries" } else { *country }.to_owned();
        let (others, mut named): (Vec<&str>, Vec<&str>) = countries.iter().partition(|country| country.is_empty());
        named.extend(others);
        named.iter().map(word).collect::<Vec<_>>().join(", ")
    };
    let grade = match grades {
        [only] => format!("grade {only:?}"),
        _ => "any grade".to_owned(),
    };
    format!("{model:?} in {place}, {grade}")
}
