//! Notes about the release that an upgrade leads to.

use crate::evolution::release::{Release, Requirement};

/// Notes on the release, a sentence each.
pub fn release_notes(target: Release) -> Vec<String> {
    let mut notes = Vec::new();
    if !target.is_stable() {
        let version = target.version().split('-').next().unwrap_or_default();
        notes.push(format!(
            "{target} is not a stable release: of {version} only release candidates are known; \
             the newest stable release is {}",
            Release::newest_stable()
        ));
    }
    if target.requirement() == Some(Requirement::Licence) {
        notes.push(LICENCE.to_owned());
    }
    notes
}

/// The effect on the API after an upgrade whose migrations succeed.
const LICENCE: &str = "after the upgrade every route of the API answers 503 LICENSE_REQUIRED until the \
                       server is activated in its manager (/manager); GET /license/status shows whether \
                       it is";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_candidate_has_notes_and_a_stable_release_has_none() {
        assert!(release_notes(Release::newest_stable()).is_empty());
        let notes = release_notes(Release::find("2.4.0-rc2").unwrap());
        assert!(
            notes[0].contains("of 2.4.0 only release candidates")
                && notes[1].contains("503 LICENSE_REQUIRED"),
            "{notes:?}"
        );
        assert_eq!(release_notes(Release::find("2.2.0-pre").unwrap()).len(), 1);
    }
}
