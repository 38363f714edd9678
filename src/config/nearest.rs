//! What was probably meant by a word that is none of the known ones.

/// Characters beyond which a word is no slip of the fingers; comparing takes time and memory with them.
const LONGEST: usize = 64;

/// Returns the known word nearest to `word`, when it is near enough to be what was meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let reach = (length / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        let known = ["libvirt_tick", "hyperv_tick", "deadline"];
        assert_eq!(
            nearest("libvirt_tik", known).as_deref(),
            Some("libvirt_tick")
        );
        assert_eq!(nearest("dedline", known).as_deref(), Some("deadline"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"libvirt_tick".repeat(6), ["libvirt_tick"]), None);
    }
}
