//! Encodings and streams.

use std::io::Read;
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;

use crate::sim::powershell::codepage;
use crate::sim::powershell::error::Exception;
use crate::sim::powershell::native::{Cursor, Encoding, Native, lock};
use crate::sim::powershell::value::Value;

use super::collections::Answer;

/// Bytes an inflated stream may have; a script is never that long.
const MAX_INFLATED: u64 = 16 * 1024 * 1024;

pub(super) const fn web_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Utf8 { .. } => "utf-8",
        Encoding::Utf16 => "utf-16",
        Encoding::Ascii => "us-ascii",
        Encoding::Page(437) => "IBM437",
        Encoding::Page(850) => "ibm850",
        Encoding::Page(_) => "windows-1252",
    }
}

pub(super) const fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Utf8 { .. } => "Unicode (UTF-8)",
        Encoding::Utf16 => "Unicode",
        Encoding::Ascii => "US-ASCII",
        Encoding::Page(437) => "OEM United States",
        Encoding::Page(850) => "Western European (DOS)",
        Encoding::Page(_) => "Western European (Windows)",
    }
}

/// Makes bytes of a text.
pub(super) fn encode(encoding: Encoding, text: &str) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 { .. } => text.as_bytes().to_vec(),
        Encoding::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Encoding::Ascii => text
            .chars()
            .map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?'))
            .collect(),
        Encoding::Page(page) => codepage::encode(page, text),
    }
}

/// Makes a text of bytes; what is no character of the encoding becomes a replacement.
pub(super) fn decode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Utf8 { .. } => String::from_utf8_lossy(bytes).into_owned(),
        Encoding::Utf16 => {
            let units: Vec<u16> = bytes
                .chunks(2)
                .map(|pair| match pair {
                    [low, high] => u16::from_le_bytes([*low, *high]),
                    _ => 0xfffd,
                })
                .collect();
            String::from_utf16_lossy(&units)
        }
        Encoding::Ascii => bytes
            .iter()
            .map(|byte| {
                if byte.is_ascii() {
                    char::from(*byte)
                } else {
                    '?'
                }
            })
            .collect(),
        Encoding::Page(page) => codepage::decode(page, bytes),
    }
}

fn as_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        Value::Array(array) => array
            .items()
            .iter()
            .map(|item| item.as_integer().and_then(|byte| u8::try_from(byte).ok()))
            .collect(),
        _ => None,
    }
}

/// Calls a method of an encoding.
pub(super) fn encoding_method(encoding: Encoding, name: &str, arguments: &[Value]) -> Answer {
    Some(Ok(match (name, arguments) {
        ("getbytes", [Value::Str(text)]) => Value::Bytes(Arc::from(encode(encoding, text))),
        ("getbytes" | "getstring", [Value::Null]) => {
            return Some(Err(Exception::new(
                "System.ArgumentNullException",
                "Value cannot be null.\r\nParameter name: s",
            )));
        }
        ("getbytes", [Value::Native(chars), start, count]) => {
            let whole = |value: &Value| usize::try_from(value.as_integer()?).ok();
            super::program::bytes_of(encoding, chars, (whole(start)?, whole(count)?))?
        }
        ("getbytecount", [Value::Str(text)]) => super::int(encode(encoding, text).len()),
        ("getstring", [value, rest @ ..]) => {
            let bytes = as_bytes(value)?;
            let number = |place: usize| {
                rest.get(place)
                    .and_then(Value::as_integer)
                    .and_then(|number| usize::try_from(number).ok())
            };
            let start = number(0).unwrap_or(0);
            let count = number(1).unwrap_or(bytes.len().saturating_sub(start));
            let part = bytes.get(start..start.saturating_add(count))?;
            Value::from(decode(encoding, part))
        }
        ("getpreamble", []) => Value::Bytes(match encoding {
            Encoding::Utf8 { marked: true } => Arc::from([0xef, 0xbb, 0xbf]),
            Encoding::Utf16 => Arc::from([0xff, 0xfe]),
            _ => Arc::from([]),
        }),
        _ => return None,
    }))
}

/// Makes a `MemoryStream`.
pub(super) fn memory(arguments: &[Value]) -> Option<Value> {
    let bytes = match arguments {
        [] => Vec::new(),
        [value, ..] => as_bytes(value)?,
    };
    Some(Value::Native(Arc::new(Native::Memory(Mutex::new(
        Cursor { bytes, read: 0 },
    )))))
}

/// Makes a `GzipStream` that inflates a memory stream.
pub(super) fn inflated(arguments: &[Value]) -> Option<Result<Value, Exception>> {
    let [Value::Native(stream), mode, ..] = arguments else {
        return None;
    };
    let (Native::Memory(cursor), Value::Enum(mode)) = (stream.as_ref(), mode) else {
        return None;
    };
    if !mode.name.eq_ignore_ascii_case("Decompress") {
        return Some(Err(Exception::new(
            "System.NotSupportedException",
            "The simulated GzipStream does not compress.",
        )));
    }
    let mut cursor = lock(cursor);
    let rest = cursor.bytes.get(cursor.read..).unwrap_or_default().to_vec();
    cursor.read = cursor.bytes.len();
    let mut bytes = Vec::new();
    let read = GzDecoder::new(rest.as_slice())
        .take(MAX_INFLATED)
        .read_to_end(&mut bytes);
    Some(match read {
        Ok(_) => Ok(Value::Native(Arc::new(Native::Inflated(Mutex::new(
            Cursor { bytes, read: 0 },
        ))))),
        Err(_) => Err(Exception::new(
            "System.IO.InvalidDataException",
            "The magic number in GZip header is not correct. Make sure you are passing in a GZip \
             stream.",
        )),
    })
}

/// Makes a `StreamReader` of a stream.
pub(super) fn reader(arguments: &[Value]) -> Option<Value> {
    let [Value::Native(stream), rest @ ..] = arguments else {
        return None;
    };
    if matches!(stream.as_ref(), Native::StandardInput) {
        return Some(Value::Native(Arc::new(Native::InputReader)));
    }
    let (Native::Memory(cursor) | Native::Inflated(cursor)) = stream.as_ref() else {
        return None;
    };
    let encoding = rest
        .iter()
        .find_map(|value| match value {
            Value::Native(native) => match native.as_ref() {
                Native::Encoding(encoding) => Some(*encoding),
                _ => None,
            },
            _ => None,
        })
        .unwrap_or(Encoding::Utf8 { marked: true });
    let mut cursor = lock(cursor);
    let bytes = cursor.bytes.get(cursor.read..).unwrap_or_default();
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    let text = decode(encoding, bytes);
    cursor.read = cursor.bytes.len();
    Some(Value::Native(Arc::new(Native::Reader(Mutex::new(text)))))
}

/// Calls a method of a stream or a reader.
pub(super) fn stream_method(native: &Native, name: &str, arguments: &[Value]) -> Answer {
    Some(Ok(match (native, name, arguments) {
        (_, "dispose" | "close" | "flush", []) => Value::Void,
        (Native::Reader(text), "readtoend", []) => Value::from(std::mem::take(&mut *lock(text))),
        (Native::Reader(text), "readline", []) => {
            let mut text = lock(text);
            if text.is_empty() {
                return Some(Ok(Value::Null));
            }
            let (line, rest) = match text.split_once('\n') {
                Some((line, rest)) => (line.trim_end_matches('\r').to_owned(), rest.to_owned()),
                None => (text.clone(), String::new()),
            };
            *text = rest;
            Value::from(line)
        }
        (Native::Memory(cursor) | Native::Inflated(cursor), "toarray", []) => {
            Value::Bytes(Arc::from(lock(cursor).bytes.clone()))
        }
        (Native::Memory(cursor), "write", [bytes, ..]) => {
            let bytes = as_bytes(bytes)?;
            lock(cursor).bytes.extend(bytes);
            Value::Void
        }
        (Native::Inflated(from) | Native::Memory(from), "copyto", [Value::Native(to)]) => {
            let Native::Memory(to) = to.as_ref() else {
                return None;
            };
            let mut from = lock(from);
            let rest = from.bytes.get(from.read..).unwrap_or_default().to_vec();
            from.read = from.bytes.len();
            drop(from);
            lock(to).bytes.extend(rest);
            Value::Void
        }
        _ => return None,
    }))
}
