//! Files that gzip or zstd may have packed, read as they were before. What they are is seen in their first bytes:
//! names lie.

use std::io::{self, BufRead, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// The compression of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// By gzip, in one member or several.
    Gzip,
    /// By zstd, in one frame or several.
    Zstd,
}

impl Compression {
    /// Of a file that begins with these bytes; four tell.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// The source as it was before it was packed, and how it was packed.
///
/// A source that ends too early gives [`io::ErrorKind::UnexpectedEof`] when its end is read.
pub fn decompress_reader<'a>(
    mut source: impl BufRead + Send + 'a,
) -> io::Result<(Box<dyn Read + Send + 'a>, Compression)> {
    let mut head = Vec::with_capacity(4);
    source.by_ref().take(4).read_to_end(&mut head)?;
    let packing = Compression::detect(&head);
    let whole = Cursor::new(head).chain(source);
    let reader: Box<dyn Read + Send + 'a> = match packing {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(whole)?),
    };
    Ok((reader, packing))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<(Vec<u8>, Compression)> {
        let (mut reader, packing) = decompress_reader(bytes)?;
        let mut text = Vec::new();
        reader.read_to_end(&mut text)?;
        Ok((text, packing))
    }

    #[test]
    fn compressed_or_not_the_text_is_the_same() {
        let zstd = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        for (bytes, packing) in [
            (b"one\ntwo\n".to_vec(), Compression::None),
            ([gzip(b"one\n"), gzip(b"two\n")].concat(), Compression::Gzip),
            ([zstd(b"one\n"), zstd(b"two\n")].concat(), Compression::Zstd),
        ] {
            assert_eq!(read(&bytes).unwrap(), (b"one\ntwo\n".to_vec(), packing));
        }
        for short in [&b""[..], b"x", b"\x1f", b"\x28\xb5"] {
            assert_eq!(read(short).unwrap(), (short.to_vec(), Compression::None));
        }
    }

    #[test]
    fn a_truncated_file_is_an_error() {
        for whole in [gzip(&[7; 4096]), zstd::encode_all(&[7_u8; 4096][..], 1).unwrap()] {
            let error = read(&whole[..whole.len() - 3]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
        }
    }
}
