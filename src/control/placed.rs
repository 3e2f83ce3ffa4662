//! A list that remembers the places of its items.

use serde::{Deserialize, Deserializer};

/// The items of a list, each with the place at which it stands in the object's text. What a supply takes out leaves the
/// places of the others as they were: the path of a finding leads into the text, which stays as its author wrote it.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    items: Vec<T>,
    /// The places of what was taken out, in ascending order.
    gone: Vec<usize>,
}

impl<T> Placed<T> {
    /// The items with their places.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        (0..).filter(move |place| self.gone.binary_search(place).is_err()).zip(&self.items)
    }

    /// Takes out the items that go. Each comes with its position among those that were there, as a patch counts it.
    pub fn take_out(&mut self, goes: impl Fn(&T) -> bool) -> Vec<(usize, T)> {
        let places: Vec<usize> = self.iter().map(|(place, _)| place).collect();
        let mut taken = Vec::new();
        for ((position, place), item) in places.into_iter().enumerate().zip(std::mem::take(&mut self.items)) {
            if goes(&item) {
                self.gone.push(place);
                taken.push((position, item));
            } else {
                self.items.push(item);
            }
        }
        self.gone.sort_unstable();
        taken
    }
}

impl<T> Default for Placed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), gone: Vec::new() }
    }
}

/// Two lists are the same by what is in them.
impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Self { items, gone: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_leaves_the_others_where_they_are() {
        let mut list: Placed<u32> = serde_json::from_str("[10, 11, 20, 12, 21]").unwrap();
        assert_eq!(list.take_out(|item| *item >= 20), [(2, 20), (4, 21)]);
        assert_eq!(list.take_out(|item| *item == 10), [(0, 10)]);
        assert_eq!(list.take_out(|item| *item == 12), [(1, 12)], "a patch counts what is there");
        assert_eq!(list.iter().collect::<Vec<_>>(), [(1, &11)]);
        assert!(list == serde_json::from_str("[11]").unwrap());
        assert!(Placed::<u32>::default() == serde_json::from_str("null").unwrap());
    }
}
