//! Files that are packed: gzip is read, of others the command is named that unpacks them.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// What files of a kind begin with, what they are, and what makes a text of them.
const OTHERS: [(&[u8], &str, &str); 7] = [
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "zstd -d"),
    (b"\xfd7zXZ\0", "packed with xz", "xz -d"),
    (b"BZh", "packed with bzip2", "bzip2 -d"),
    (b"\x04\x22\x4d\x18", "packed with lz4", "lz4 -d"),
    (b"PK\x03\x04", "a zip archive", "unzip"),
    (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
];

const GZIP: &[u8] = b"\x1f\x8b";

/// What is in `bytes`, if that is packed with gzip: never more than `most` bytes and one.
///
/// # Errors
///
/// If it cannot be unpacked, or is packed in another way.
pub(super) fn unpack(bytes: Vec<u8>, most: usize) -> io::Result<Vec<u8>> {
    let bytes = if bytes.starts_with(GZIP) {
        let mut unpacked = Vec::new();
        let decoder = MultiGzDecoder::new(&bytes[..]);
        let read = decoder.take(most as u64 + 1).read_to_end(&mut unpacked);
        read.map_err(|error| io::Error::other(format!("it is no whole gzip file: {error}")))?;
        unpacked
    } else {
        bytes
    };
    // The name of the form stands in the first header (POSIX.1-1988, ustar).
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    let other = OTHERS.iter().find(|(magic, ..)| bytes.starts_with(magic));
    match other.map(|(_, what, command)| (*what, *command)) {
        None if is_tar => Err(refused("a tar archive", "tar -x")),
        None => Ok(bytes),
        Some((what, command)) => Err(refused(what, command)),
    }
}

fn refused(what: &str, command: &str) -> io::Error {
    io::Error::other(format!("it is {what}: make a text of it with `{command}`"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::unpack;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_unpacked_to_a_bound() {
        assert_eq!(unpack(b"*nat\n".to_vec(), 9).unwrap(), b"*nat\n");
        assert_eq!(unpack(packed(b"*nat\n"), 9).unwrap(), b"*nat\n");
        let several = [packed(b"*nat\n"), packed(b"COMMIT\n")].concat();
        assert_eq!(unpack(several, 99).unwrap(), b"*nat\nCOMMIT\n");
        assert_eq!(unpack(packed(&vec![b'x'; 1_000_000]), 9).unwrap(), [b'x'; 10]);
    }

    #[test]
    fn what_is_packed_otherwise_names_the_command() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, why) in [
            (b"\x28\xb5\x2f\xfd1".to_vec(), "packed with zstd: make a text of it with `zstd -d`"),
            (b"\xfd7zXZ\0".to_vec(), "packed with xz: make a text of it with `xz -d`"),
            (b"BZh9".to_vec(), "packed with bzip2: make a text of it with `bzip2 -d`"),
            (b"\xff\xfe*\0".to_vec(), "UTF-16: make a text of it with `iconv -f UTF-16 -t UTF-8`"),
            (tar.clone(), "a tar archive: make a text of it with `tar -x`"),
            (packed(&tar), "a tar archive: make a text of it with `tar -x`"),
        ] {
            assert_eq!(unpack(bytes, 9999).unwrap_err().to_string(), format!("it is {why}"));
        }
        let mut cut = packed(b"*nat\n");
        cut.truncate(cut.len() - 3);
        let error = unpack(cut, 9).unwrap_err().to_string();
        assert!(error.starts_with("it is no whole gzip file: "), "{error}");
    }
}
