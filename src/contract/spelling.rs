//! "Did you mean": the known word nearest to a misspelt one.

/// The known words nearest to `word`, when they are near enough to be meant; several when equally near.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
    // A third of the word may be wrong; one slip is forgiven even in a short one.
    let most = (word.chars().count() / 3).max(1);
    let near = known.into_iter().map(|candidate| (distance(word, candidate), candidate));
    let near: Vec<(usize, &str)> = near.filter(|(distance, _)| *distance <= most).collect();
    let least = near.iter().map(|(distance, _)| *distance).min();
    near.into_iter().filter(|(distance, _)| Some(*distance) == least).map(|(_, word)| word).take(3).collect()
}

/// The cure for an unknown word: the nearest known ones, or all of them.
pub fn cure<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    let quoted = |words: &[&str], between: &str| {
        words.iter().map(|word| format!("`{word}`")).collect::<Vec<String>>().join(between)
    };
    let meant = nearest(word, known.clone());
    if !meant.is_empty() {
        return format!("did you mean {}?", quoted(&meant, " or "));
    }
    match known.into_iter().collect::<Vec<&str>>()[..] {
        [] => "none is known here".into(),
        ref known => format!("known here: {}", quoted(known, ", ")),
    }
}

/// Edits (insert, delete, replace, swap of neighbours) between two words, case ignored.
fn distance(a: &str, b: &str) -> usize {
    let letters = |word: &str| word.chars().take(64).flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (a, b) = (letters(a), letters(b));
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_words_are_meant() {
        let known = ["interval", "invariants", "key", "name", "optional"];
        for (word, meant) in [
            ("intervall", &["interval"][..]),
            ("Interval", &["interval"][..]),
            ("ky", &["key"][..]),
            ("kye", &["key"][..]),
            ("nmae", &["name"][..]),
            ("invariant", &["invariants"][..]),
            ("zzz", &[]),
            ("", &[]),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(cure("zzz", ["a", "b"]), "known here: `a`, `b`");
        assert_eq!(cure("XNSY", ["XNSE", "XNYS", "XLON"]), "did you mean `XNSE` or `XNYS`?");
        assert_eq!(cure("a", []), "none is known here");
    }
}
