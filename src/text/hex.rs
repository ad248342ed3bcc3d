//! Bytes as hexadecimal digits.

/// Two small digits for each byte.
pub fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(encode_hex(&[0, 9, 0xab]), "0009ab");
    }
}
