//! Quantities by resource, as parameters of controls.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::Amount;

/// Characters that a quantity has at most.
const LONGEST: usize = 64;

/// A quantity with its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// Its value.
    pub amount: Amount,
    /// As it is written.
    pub text: String,
}

impl Bound {
    /// Reads a quantity. None for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { amount: Amount::parse(text)?, text: text.to_owned() })
    }

    /// The lower of two.
    #[must_use]
    pub fn lower(self, other: &Self) -> Self {
        if other.amount < self.amount { other.clone() } else { self }
    }
}

/// Quantities by resource.
pub type Bounds = BTreeMap<&'static str, Bound>;

/// Reads quantities by resource; a `positive` one is more than zero. The error ends "wants …".
pub(super) fn read(resources: &'static [&'static str], positive: bool, value: &Value) -> Result<Bounds, String> {
    let map = value.as_object().ok_or_else(|| format!("quantities by resource: {}", resources.join(", ")))?;
    let mut bounds = Bounds::new();
    for (name, quantity) in map {
        let Some(resource) = resources.iter().find(|known| **known == name.as_str()) else {
            return Err(format!("no other resources than {}", resources.join(", ")));
        };
        let text = match quantity {
            Value::String(text) if text.len() <= LONGEST => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let fits = |amount: Amount| amount.is_positive() || !(positive || amount.is_negative());
        let bound = Bound::parse(&text).filter(|bound| fits(bound.amount)).ok_or_else(|| {
            let least = if positive { "above zero" } else { "not below zero" };
            format!("for {name} a quantity {least}, such as 500m or 64Gi")
        })?;
        bounds.insert(resource, bound);
    }
    Ok(bounds)
}

/// What either bounds, by the lower.
pub(super) fn all(a: &Bounds, b: &Bounds) -> Bounds {
    let mut all = a.clone();
    for (resource, bound) in b {
        let lower = all.remove(resource).map_or_else(|| bound.clone(), |known| known.lower(bound));
        all.insert(resource, lower);
    }
    all
}

/// What both give, by the lower.
pub(super) fn common(a: &Bounds, b: &Bounds) -> Bounds {
    let lower = |(resource, bound): (&&'static str, &Bound)| Some((*resource, bound.clone().lower(b.get(resource)?)));
    a.iter().filter_map(lower).collect()
}
