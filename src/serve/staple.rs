//! The word of the certificate's issuer that it is not revoked (an OCSP response, RFC 6960), handed over with the
//! certificate so that clients need not ask for it (RFC 6066, section 8). It comes from a file that somebody else
//! fetches; this server asks nobody. Only what no client could use is held back: signatures and dates are the
//! client's to look at.

use std::path::Path;

use thiserror::Error;

use crate::private_file::{self, PrivateFileError};

/// Ceiling of a response in bytes; usual ones have one or two thousand.
const MAX_RESPONSE: u64 = 64 * 1024;

/// Why a response is not handed over.
#[derive(Debug, Error)]
pub(super) enum NoStaple {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// It is none, or says that the issuer could not tell.
    #[error("it holds no successful OCSP response in DER")]
    Unusable,
    /// It is about another certificate; the one for this one may be on its way.
    #[error("the OCSP response in it is not about the certificate in use")]
    OtherCertificate,
}

/// Reads the response to hand over with a certificate.
pub(super) fn read(path: &Path, certificate: &[u8]) -> Result<Vec<u8>, NoStaple> {
    let response = private_file::read_public(path, MAX_RESPONSE)?.to_vec();
    if !is_successful(&response) {
        return Err(NoStaple::Unusable);
    }
    // The serial number stands in it as an integer of DER, tag and length before it.
    let named = serial(certificate)
        .is_some_and(|serial| response.windows(serial.len()).any(|bytes| bytes == serial));
    if named {
        Ok(response)
    } else {
        Err(NoStaple::OtherCertificate)
    }
}

/// Says whether it is `OCSPResponse { responseStatus successful (0), .. }`.
fn is_successful(response: &[u8]) -> bool {
    element(response).is_some_and(|outer| {
        outer.tag == SEQUENCE && outer.rest.is_empty() && outer.content.starts_with(&[0x0a, 1, 0])
    })
}

/// Returns the serial number of a certificate with its tag and length (RFC 5280, section 4.1).
fn serial(certificate: &[u8]) -> Option<&[u8]> {
    let signed = element(element(certificate)?.content)?.content;
    let first = element(signed)?;
    // The version stands before it, but in certificates of the first one.
    let at = if first.tag == VERSION {
        first.rest
    } else {
        signed
    };
    let serial = element(at).filter(|found| found.tag == INTEGER)?;
    at.get(..at.len() - serial.rest.len())
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;

/// One element of DER, and what is behind it.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (tag, bytes) = bytes.split_first()?;
    let (first, bytes) = bytes.split_first()?;
    let (length, bytes) = if *first < 0x80 {
        (usize::from(*first), bytes)
    } else {
        // Three bytes of length are sixteen mebibytes; nothing here is larger.
        let count = usize::from(*first & 0x7f);
        let (length, bytes) = bytes
            .split_at_checked(count)
            .filter(|_| (1..=3).contains(&count))?;
        let length = length
            .iter()
            .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        (length, bytes)
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some(Element {
        tag: *tag,
        content,
        rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(serial: u64) -> Vec<u8> {
        let mut wanted = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        wanted.serial_number = Some(serial.into());
        let key = rcgen::KeyPair::generate().unwrap();
        wanted.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn only_a_response_about_the_certificate_is_handed_over() {
        let certificate = certificate(0x0123_4567_89ab);
        let serial = serial(&certificate).unwrap().to_vec();
        assert_eq!(serial.first(), Some(&INTEGER));
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("response.der");
        let put = |bytes: &[u8]| private_file::write_atomic(&path, bytes).unwrap();
        let response = |status: u8, serial: &[u8]| {
            let mut content = vec![0x0a, 1, status];
            content.extend(serial);
            let length = u8::try_from(content.len()).unwrap();
            [&[SEQUENCE, length], content.as_slice()].concat()
        };
        assert!(matches!(read(&path, &certificate), Err(NoStaple::File(_))));
        put(&response(0, &serial));
        assert_eq!(read(&path, &certificate).unwrap(), response(0, &serial));
        put(&response(0, &[INTEGER, 1, 7]));
        let other = read(&path, &certificate);
        assert!(
            matches!(other, Err(NoStaple::OtherCertificate)),
            "{other:?}"
        );
        let whole = response(0, &serial);
        for unusable in [
            &response(6, &serial),
            &whole[..whole.len() - 1],
            &[whole.as_slice(), b"x"].concat(),
            b"-----BEGIN OCSP RESPONSE-----",
            b"",
            &[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            put(unusable);
            let read = read(&path, &certificate);
            assert!(matches!(read, Err(NoStaple::Unusable)), "{read:?}");
        }
    }

    #[test]
    fn no_bytes_are_too_broken_to_be_read() {
        let certificate = certificate(7);
        for end in 0..certificate.len() {
            let cut = certificate.get(..end).unwrap();
            assert!(serial(cut).is_none(), "{end}");
        }
    }
}
