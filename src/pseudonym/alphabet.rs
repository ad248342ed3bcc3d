//! The alphabets that characters are replaced within. Each is closed: a pseudonym's characters are of the same alphabets, take
//! as many bytes, and have the same case.

use super::permutation::Symbol;

/// Letters of a script, as ranges of code points: the lower-case ones and how far below them their upper-case ones are (0 where
/// the script has no case). A block of 32 code points that has letters and no part of these ranges is an alphabet of its own.
const SCRIPTS: &[(u32, u32, u32)] = &[
    (0x61, 0x7a, 0x20),   // Latin
    (0xe0, 0xf6, 0x20),   // Latin with accents
    (0xf8, 0xfe, 0x20),   // the same, behind the division sign
    (0x100, 0x17f, 0),    // Latin of Central Europe and Turkey
    (0x3b1, 0x3c1, 0x20), // Greek
    (0x3c3, 0x3c9, 0x20), // Greek, behind the final sigma
    (0x430, 0x44f, 0x20), // Cyrillic
    (0x5d0, 0x5ea, 0),    // Hebrew
    (0x621, 0x63a, 0),    // Arabic
    (0x641, 0x64a, 0),    // Arabic
    (0x904, 0x939, 0),    // Devanagari
    (0xe01, 0xe2e, 0),    // Thai
    (0x3041, 0x3096, 0),  // Hiragana
    (0x30a1, 0x30fa, 0),  // Katakana
    (0x3400, 0x4db5, 0),  // Chinese, rare
    (0x4e00, 0x9fcc, 0),  // Chinese
    (0xac00, 0xd7a3, 0),  // Korean
    (0xff21, 0xff3a, 0),  // Latin of full width
    (0xff41, 0xff5a, 0),  // the same, small
];

/// Decimal digits: the first of ten.
const DIGITS: &[u32] = &[0x30, 0x660, 0x6f0, 0x966, 0xff10];

/// The number of code points a block has.
const BLOCK: u32 = 32;

/// Where a character stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The code point of the alphabet's first character, in the case of this one.
    first: u32,
    /// Its place and the alphabet's size.
    pub symbol: Symbol,
}

impl Place {
    /// Of a letter or a digit; `None` for everything else, which stays as it is. `is_hex` knows `a` to `f` only.
    pub fn find(character: char, is_hex: bool) -> Option<Self> {
        let code = u32::from(character);
        if let Some(first) = DIGITS.iter().find(|first| (**first..**first + 10).contains(&code)) {
            return Some(Self::within(code, *first, 10));
        }
        if is_hex && character.is_ascii_hexdigit() {
            return Some(Self::within(code, if code >= 0x61 { 0x61 } else { 0x41 }, 6));
        }
        if let Some((first, size)) = alphabet_in(code) {
            return Some(Self::within(code, first, size));
        }
        let block = code - code % BLOCK;
        let meets = |first: u32, last: u32| first < block + BLOCK && last >= block;
        let is_shared = SCRIPTS.iter().any(|(first, last, down)| meets(first - down, *last))
            || DIGITS.iter().any(|first| meets(*first, first + 9));
        // All of the block or nothing of it: what stays as it is may not stand in the place of a letter.
        let has_letters = || (block..block + BLOCK).filter_map(char::from_u32).any(char::is_alphabetic);
        (code >= 0x100 && !is_shared && has_letters()).then(|| Self::within(code, block, BLOCK))
    }

    fn within(code: u32, first: u32, size: u32) -> Self {
        Self { first, symbol: Symbol { value: code - first, size } }
    }

    /// The character of the same alphabet that is at `value`.
    pub fn character(self, value: u32) -> char {
        char::from_u32(self.first + value).expect("alphabets hold code points only")
    }
}

/// The first character and the size of the script's alphabet that holds a code point, in its case.
fn alphabet_in(code: u32) -> Option<(u32, u32)> {
    SCRIPTS.iter().find_map(|(first, last, down)| {
        let size = last - first + 1;
        let has = |first: u32| (first..first + size).contains(&code).then_some((first, size));
        has(*first).or_else(|| if *down == 0 { None } else { has(first - down) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alphabet_is_closed() {
        for is_hex in [false, true] {
            for character in (0..0x1_f000).filter_map(char::from_u32) {
                // A hexadecimal number has no other letters.
                if is_hex && !character.is_ascii_hexdigit() {
                    continue;
                }
                let Some(place) = Place::find(character, is_hex) else { continue };
                for value in [0, place.symbol.size / 2, place.symbol.size - 1] {
                    let other = place.character(value);
                    let found = Place::find(other, is_hex).map(|found| (found.first, found.symbol.size));
                    assert_eq!(found, Some((place.first, place.symbol.size)), "{character:?} -> {other:?}");
                    assert_eq!(other.len_utf8(), character.len_utf8(), "{character:?} -> {other:?}");
                }
            }
        }
    }

    #[test]
    fn other_characters_stay() {
        for character in "/@._-+ %?#\n{}[]\"'\\ß÷×🙂\u{303}".chars() {
            assert_eq!(Place::find(character, false), None, "{character:?}");
        }
    }
}
