use bytesize::ByteSize;
use serde::Serializer;

/// Serialises a size with nothing rounded off: in the largest unit that it is a whole number of.
///
/// # Errors
/// The serializer's.
pub fn exact_size<S: Serializer>(size: &ByteSize, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = size.as_u64();
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units
        .into_iter()
        .find(|(power, _)| bytes > 0 && bytes.trailing_zeros() >= *power);
    match whole {
        Some((power, unit)) => serializer.collect_str(&format_args!("{} {unit}", bytes >> power)),
        None => serializer.collect_str(&format_args!("{bytes} B")),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Sized {
        #[serde(serialize_with = "exact_size")]
        size: ByteSize,
    }

    #[test]
    fn sizes_are_read_back_to_the_byte() {
        for (bytes, text) in [
            (0, "0 B"),
            (1, "1 B"),
            (1_000_000_007, "1000000007 B"),
            (1 << 20, "1 MiB"),
            (3 << 29, "1536 MiB"),
            (u64::MAX, "18446744073709551615 B"),
        ] {
            let toml = toml::to_string(&Sized {
                size: ByteSize(bytes),
            })
            .unwrap();
            assert_eq!(toml, format!("size = \"{text}\"\n"));
            // 64-bit floats hold 53 bits: what bytesize reads, it reads through one.
            if bytes < 1 << 53 {
                assert_eq!(toml::from_str::<Sized>(&toml).unwrap().size.as_u64(), bytes);
            }
        }
    }
}
