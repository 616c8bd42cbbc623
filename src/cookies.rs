//! The keys of SYN cookies: what they follow from, and their change in time.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ringroad_config::schema::{self, Shield, SynCookies};
use ringroad_engine::limits::COOKIE_PERIOD;
use ringroad_engine::shield::cookie::Keys;
use ringroad_engine::stage::{self, Command, Pressure, Thresholds};

use crate::admin::Admin;
use crate::secret;
use crate::unix_time;

/// When the lane has SYNs answered by cookies.
pub(crate) fn of_lane(shield: &Shield) -> stage::Cookies {
    let schema::Pressure { syn_per_second, half_open } = shield.pressure;
    match shield.syn_cookies {
        SynCookies::Off => stage::Cookies::Off,
        SynCookies::Always => stage::Cookies::Always,
        SynCookies::Auto => {
            stage::Cookies::UnderPressure(Pressure::new(Thresholds { syn_per_second, half_open }))
        }
    }
}

/// The secret of the cookies, if there are any.
#[derive(Debug)]
pub(crate) struct Cookies {
    master: [u8; 16],
}

impl Cookies {
    /// `None` if the configuration wants none.
    pub(crate) fn of(shield: &Shield) -> Result<Option<Self>> {
        if shield.syn_cookies == SynCookies::Off {
            return Ok(None);
        }
        let master = match &shield.cookie_secret {
            Some(path) => {
                read(path).with_context(|| format!("shield.cookie_secret: {}", path.display()))?
            }
            None => secret::draw()?,
        };
        Ok(Some(Cookies { master }))
    }

    /// The keys of this moment. Machines that share the secret share them, as far as their clocks
    /// agree.
    pub(crate) fn keys(&self) -> Keys {
        Keys::at(&self.master, unix_time::now().as_secs())
    }

    /// When the period began whose keys are those of this moment, since 1970 [s].
    pub(crate) fn keys_since() -> u64 {
        let now = unix_time::now().as_secs();
        now - now % COOKIE_PERIOD.as_secs()
    }

    /// Hands new keys out whenever their time has come; never ends.
    pub(crate) async fn change(&self, admin: &Admin) {
        let mut last = self.keys();
        loop {
            tokio::time::sleep(LOOK).await;
            let keys = self.keys();
            if keys == last {
                continue;
            }
            // A lane that has answered has taken what it was told before; only then may the shield
            // give out cookies that lead to it. One that is too busy is told again.
            let told = admin.crew.try_tell(|| Command::CookieKeys(keys));
            if told && admin.stats().await.is_ok() {
                admin.shield.set_cookie_keys(&keys);
                admin.set_key_since(Cookies::keys_since());
                last = keys;
            }
        }
    }
}

/// A secret of 32 hexadecimal digits.
fn read(path: &Path) -> Result<[u8; 16]> {
    let text = fs::read_to_string(path).context("cannot be read")?;
    let digits = text.trim();
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        bail!("is no secret; make one of 32 hexadecimal digits, with openssl rand -hex 16 say");
    }
    Ok(u128::from_str_radix(digits, 16)?.to_be_bytes())
}

/// How often the clock is looked at: keys last much longer.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_file_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read_of = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path)
        };
        assert_eq!(read_of("000102030405060708090a0b0c0d0e0F\n").unwrap()[14..], [14, 15]);
        for wrong in
            ["", "00", "+00102030405060708090a0b0c0d0e0f", "x00102030405060708090a0b0c0d0e0f"]
        {
            let error = read_of(wrong).unwrap_err().to_string();
            assert!(error.starts_with("is no secret; "), "{wrong}: {error}");
        }
    }

    #[test]
    fn machines_with_one_secret_have_the_same_keys() {
        let shield = |syn_cookies| Shield { syn_cookies, ..Shield::default() };
        assert!(Cookies::of(&shield(SynCookies::Off)).unwrap().is_none());
        let mine = Cookies::of(&shield(SynCookies::Always)).unwrap().unwrap();
        let alike = Cookies { master: mine.master };
        let (keys, same) = (mine.keys(), alike.keys());
        // A period may end between the two.
        assert!(keys == same || keys.slots != same.slots);
        let other = Cookies::of(&shield(SynCookies::Always)).unwrap().unwrap();
        assert_ne!(other.keys().slots, keys.slots);
    }
}
