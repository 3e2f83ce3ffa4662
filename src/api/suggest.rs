//! The word that was probably meant.

/// The candidate nearest to a word, if one is near enough to be what was meant: by the number of letters to change,
/// upper and lower case being one, at most one and a quarter of the word.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = 1 + word.chars().count() / 4;
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete or replace to make one word of the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.to_lowercase().chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, (other, above)) in to.iter().zip(row.windows(2)).enumerate() {
            let [diagonal, above] = above else { continue };
            let left = next.get(column).copied().unwrap_or(usize::MAX - 1);
            next.push((diagonal + usize::from(letter != *other)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        let words = ["image/digest-pinned", "image/approved-registries", "pod/privileged"];
        assert_eq!(nearest("image/digest-pined", words), Some("image/digest-pinned"));
        assert_eq!(nearest("Pod/Privileged", words), Some("pod/privileged"));
        assert_eq!(nearest("network/default-deny", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest("denny", ["Deny", "Warn"]), Some("Deny"));
    }
}
