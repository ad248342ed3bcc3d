//! Client text that is safe to keep and print.

use crate::evolution::instances::InstanceDirectory;
use crate::redact;
use crate::text::escape::{escape_control, truncate};

/// Text of a client, fit to be kept and printed: known tokens masked, nothing a terminal would obey, and at most
/// `longest` bytes of it.
pub fn sanitize(text: &[u8], longest: usize, directory: Option<&InstanceDirectory>) -> String {
    let mut text = String::from_utf8_lossy(text).into_owned();
    let tokens = directory.map(|directory| directory.tokens_within(&text)).unwrap_or_default();
    // From the last to the first, so that the places of those before stay.
    for token in tokens.into_iter().rev() {
        let masked = redact::redact_secret(&text[token.clone()]);
        text.replace_range(token, &masked);
    }
    truncate(&escape_control(&redact::redact_text(&text)), longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::instances::Instance;

    #[test]
    fn tokens_are_masked_before_the_text_is_cut() {
        let token = Some("TOKEN-OF-ALPHA-1".to_owned());
        let directory = InstanceDirectory::new(vec![Instance { token, ..Instance::default() }]);
        let text = b"curl token-of-alpha-1 and TOKEN-OF-ALPHA-1";
        assert_eq!(sanitize(text, 99, Some(&directory)), "curl toke…-1 and TOKE…-1");
        assert_eq!(sanitize(text, 14, Some(&directory)), "curl toke…-1…");
        assert_eq!(sanitize(b"\xff\n", 99, None), "\u{fffd}\\n");
    }
}
