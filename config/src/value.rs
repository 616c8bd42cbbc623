//! What the text of a value means. Each function returns what it expected if it is given
//! something else, as advice to follow `"key" cannot be "text"; `.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use crate::fields::Expected;
use crate::limits::{
    INTERFACE_NAME_MAX, NAME_MAX, SOCKET_PATH_MAX, SOURCE_PORT_MIN, SOURCE_PORTS_MIN,
};
use crate::schema::Word;

/// A whole number in `range`.
pub(crate) fn integer<T: Copy + Display + FromStr + PartialOrd>(
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, Expected> {
    digits(text)
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("give a whole number from {} to {}", range.start(), range.end()))
}

/// Digits alone: no sign, which `FromStr` would take.
pub(crate) fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// One of the words that there are for it.
pub(crate) fn word<T: Word>(text: &str) -> Result<T, Expected> {
    T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        format!("give one of {}", words.join(", "))
    })
}

/// What `read` reads, or `nothing` for the word that stands for none.
pub(crate) fn or_word<T>(
    text: &str,
    nothing: &str,
    read: impl FnOnce(&str) -> Result<T, Expected>,
) -> Result<Option<T>, Expected> {
    if text == nothing {
        return Ok(None);
    }
    read(text).map(Some).map_err(|expected| format!("{expected}, or {nothing}"))
}

/// Units of time with their microseconds, longest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// A time with its unit, such as `100ms`.
///
/// # Errors
/// What is expected instead.
pub fn duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, Expected> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    digits::<u64>(number)
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .map(Duration::from_micros)
        .filter(|duration| range.contains(duration))
        .ok_or_else(|| {
            format!(
                "give a time with its unit (us, ms, s, m or h) from {} to {}",
                show_duration(*range.start()),
                show_duration(*range.end())
            )
        })
}

/// A duration in the largest unit that is exact.
pub(crate) fn show_duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let exact = TIME_UNITS.iter().find(|(_, factor)| micros != 0 && micros % factor == 0);
    match exact {
        Some((unit, factor)) => format!("{}{unit}", micros / factor),
        None => "0s".to_owned(),
    }
}

/// Units of size with their octets, largest first.
const SIZE_UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A size with its unit, such as `64MiB` [octets].
pub(crate) fn size(text: &str, range: RangeInclusive<u64>) -> Result<u64, Expected> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    digits::<u64>(number)
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .filter(|size| range.contains(size))
        .ok_or_else(|| {
            format!(
                "give a size with its unit (KiB, MiB or GiB) from {} to {}",
                show_size(*range.start()),
                show_size(*range.end())
            )
        })
}

/// A size of whole kibibytes in the largest unit that is exact.
pub(crate) fn show_size(octets: u64) -> String {
    let exact = SIZE_UNITS.iter().find(|(_, unit)| octets != 0 && octets.is_multiple_of(*unit));
    match exact {
        Some((unit, factor)) => format!("{}{unit}", octets / factor),
        None => octets.to_string(),
    }
}

/// A name of a port or service: it labels metrics, so letters, digits and a few marks.
pub(crate) fn name(text: &str) -> Result<String, Expected> {
    let good = text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && text != "auto";
    good.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "give up to {NAME_MAX} letters, digits, \"-\", \"_\" and \".\", the first a letter or \
             digit, and not \"auto\""
        )
    })
}

/// The name of a Linux interface, by the kernel's own rules (`dev_valid_name`).
pub(crate) fn interface(text: &str) -> Result<String, Expected> {
    let good = (1..=INTERFACE_NAME_MAX).contains(&text.len())
        && text != "."
        && text != ".."
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
    good.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "give the name of an interface as \"ip link\" shows it, up to {INTERFACE_NAME_MAX} \
             characters"
        )
    })
}

/// The name of a DPDK device.
pub(crate) fn device(text: &str) -> Result<String, Expected> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| text.to_owned())
        .ok_or_else(|| "give a device such as net_tap0 or 0000:3b:00.0".to_owned())
}

/// An absolute path that a Unix socket can have.
pub(crate) fn socket_path(text: &str) -> Result<PathBuf, Expected> {
    let good = text.starts_with('/')
        && text.len() <= SOCKET_PATH_MAX
        && !text.ends_with('/')
        && !text.contains(char::is_control);
    good.then(|| PathBuf::from(text))
        .ok_or_else(|| format!("give an absolute path of up to {SOCKET_PATH_MAX} characters"))
}

/// An absolute path of a file.
pub(crate) fn file_path(text: &str) -> Result<PathBuf, Expected> {
    let good = text.starts_with('/') && !text.ends_with('/') && !text.contains(char::is_control);
    good.then(|| PathBuf::from(text)).ok_or_else(|| "give an absolute path".to_owned())
}

/// An address with its port.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, Expected> {
    let address: SocketAddr = text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => format!("the port is missing: give {address}:80, say"),
        Ok(IpAddr::V6(address)) => {
            format!("an IPv6 address with a port takes brackets: give [{address}]:80, say")
        }
        Err(_) => {
            "give an address with its port, such as 10.10.1.1:80 or \"[fd00:1::1]:80\"".to_owned()
        }
    })?;
    if address.port() == 0 {
        return Err("port 0 is none: give one from 1 to 65535".to_owned());
    }
    Ok(address)
}

/// An address with its port that packets on a wire can carry to or from this host.
pub(crate) fn endpoint(text: &str) -> Result<SocketAddr, Expected> {
    let address = socket_address(text)?;
    unicast(address.ip())?;
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            Err("link-local addresses with a zone are not supported: give a routed one".to_owned())
        }
        _ => Ok(address),
    }
}

/// An address alone.
pub(crate) fn address(text: &str) -> Result<IpAddr, Expected> {
    let address = text
        .parse()
        .map_err(|_| "give an address without a port, such as 10.10.2.1 or fd00:2::1".to_owned())?;
    unicast(address)?;
    Ok(address)
}

fn unicast(address: IpAddr) -> Result<(), Expected> {
    let (multicast, mapped) = match address {
        IpAddr::V4(v4) => (v4.is_multicast() || v4.is_broadcast(), None),
        IpAddr::V6(v6) => (v6.is_multicast(), v6.to_ipv4_mapped()),
    };
    if address.is_unspecified() {
        return Err("it stands for any address: give each one by itself".to_owned());
    }
    if address.is_loopback() {
        return Err("a loopback address is never on a port: give another of the host".to_owned());
    }
    if multicast {
        return Err("TCP has no multicast: give the address of one host".to_owned());
    }
    match mapped {
        Some(v4) => Err(format!("give it as IPv4, {v4}")),
        None => Ok(()),
    }
}

/// A prefix, or an address that stands for itself.
pub(crate) fn prefix(text: &str) -> Result<IpNet, Expected> {
    let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let prefix = parsed.map_err(|_| "give a prefix such as 192.0.2.0/24 or 2001:db8::/32")?;
    if prefix.addr() != prefix.network() {
        return Err(format!("bits are set behind the prefix: give {}", prefix.trunc()));
    }
    // No packet comes from a mapped address: IPv4 has its own.
    if let IpAddr::V6(v6) = prefix.addr()
        && let Some(v4) = v6.to_ipv4_mapped()
        && let Some(len) = prefix.prefix_len().checked_sub(96)
    {
        return Err(format!("give it as IPv4, {v4}/{len}"));
    }
    Ok(prefix)
}

/// A range of source ports, low to high.
pub(crate) fn source_ports(text: &str) -> Result<RangeInclusive<u16>, Expected> {
    let (low, high) = text
        .split_once('-')
        .and_then(|(low, high)| Some((digits::<u16>(low)?, digits::<u16>(high)?)))
        .ok_or("give two ports, low to high, such as 20000-59999")?;
    if low > high {
        return Err(format!("the first is the lower one: give {high}-{low}"));
    }
    if low < SOURCE_PORT_MIN {
        return Err(format!("ports below {SOURCE_PORT_MIN} are for servers: start higher"));
    }
    if u32::from(high - low) + 1 < SOURCE_PORTS_MIN {
        return Err(format!(
            "these come round again too soon: give at least {SOURCE_PORTS_MIN} ports"
        ));
    }
    Ok(low..=high)
}
