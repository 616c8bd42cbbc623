//! DPDK's environment: its memory, its devices' buses, its threads.

#![allow(unsafe_code, reason = "calls DPDK")]

use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::fs;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Reason, last_errno};
use crate::{Error, Level, log, pci, process, raw};

#[derive(Clone, Debug)]
pub struct EalSettings {
    /// Where the threads may run that use DPDK. Nobody is pinned by it.
    pub cpus: Vec<usize>,
    pub memory: Memory,
    /// Addresses of the PCI devices that DPDK may take; no other is touched.
    pub pci: Vec<String>,
    /// Further arguments of the EAL, as on its command line.
    pub arguments: Vec<String>,
}

/// Where DPDK's memory comes from, and how much of it there is from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Anonymous, so that nothing stays behind in hugetlbfs. It grows as needed.
    Hugepages { megabytes: u32 },
    /// Pages as every process has them, for virtual devices only. It does not grow.
    Ordinary { megabytes: u32 },
}

/// The started environment. There is one in a process, and only once.
#[derive(Debug)]
pub struct Eal {
    pci: Vec<String>,
    /// DPDK may keep pointers into what it was started with.
    _arguments: Vec<CString>,
}

impl Eal {
    /// Starts DPDK. What it has to say, now and later, goes to `log` line by line, from whatever
    /// thread says it.
    ///
    /// While this runs, what any thread of the process writes to standard output or standard
    /// error goes there too.
    pub fn init(settings: &EalSettings, log: fn(Level, &str)) -> Result<Arc<Self>, Error> {
        static STARTED: AtomicBool = AtomicBool::new(false);
        for address in &settings.pci {
            pci::check(address)?;
        }
        let arguments = settings.command_line()?;
        if STARTED.swap(true, Ordering::Relaxed) {
            return Err(Error::Started);
        }
        log::send_to(log)?;
        process::outlive_lost_signals()?;
        let (started, complaint) =
            log::captured(|| process::silently(|| process::undisturbed(|| start(&arguments))));
        remove_runtime_directory();
        match started?? {
            Ok(()) => Ok(Arc::new(Eal { pci: settings.pci.clone(), _arguments: arguments })),
            Err(errno) => Err(settings.refused(&arguments, Reason::new(errno, complaint))),
        }
    }

    /// Gives this thread a number among DPDK's, by which drivers may keep things for it. The thread
    /// that started DPDK has one.
    pub fn register_thread(self: &Arc<Self>) -> Result<ThreadRegistration, Error> {
        // DPDK would give it a second number, and never take the first one back.
        // SAFETY: reads a variable of this thread.
        if unsafe { raw::rr_thread_is_registered() } {
            return Err(Error::ThreadRegistered);
        }
        // SAFETY: the EAL has been started.
        let (failed, complaint) = log::captured(|| unsafe { raw::rte_thread_register() });
        if failed != 0 {
            return Err(Error::Thread(Reason::new(last_errno(), complaint)));
        }
        Ok(ThreadRegistration { _eal: Arc::clone(self), _this_thread: PhantomData })
    }

    /// Whether a PCI device was named at the start.
    pub(crate) fn may_use(&self, address: &str) -> bool {
        self.pci.iter().any(|named| named == address)
    }
}

impl Drop for Eal {
    fn drop(&mut self) {
        // SAFETY: started once, and ended once: pools, devices and registrations each hold an
        // `Arc` of this, so none is left.
        unsafe { raw::rte_eal_cleanup() };
    }
}

/// Ends when dropped, on the thread that it was made on.
#[derive(Debug)]
pub struct ThreadRegistration {
    _eal: Arc<Eal>,
    /// Not to be sent to another thread.
    _this_thread: PhantomData<*const ()>,
}

impl Drop for ThreadRegistration {
    fn drop(&mut self) {
        // SAFETY: this thread was registered, and the EAL is still there.
        unsafe { raw::rte_thread_unregister() };
    }
}

impl EalSettings {
    fn command_line(&self) -> Result<Vec<CString>, Error> {
        let mut words = vec!["dpdk".to_owned(), "--no-telemetry".to_owned()];
        // The directory is ours alone by this, and can be removed.
        words.extend(["--file-prefix".to_owned(), format!("ringroad-{}", std::process::id())]);
        let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
        words.extend(["--lcores".to_owned(), format!("0@({})", cpus.join(","))]);
        match self.memory {
            Memory::Hugepages { megabytes } => {
                words.extend(["--in-memory".to_owned(), "-m".to_owned(), megabytes.to_string()]);
            }
            Memory::Ordinary { megabytes } => words.extend([
                "--no-huge".to_owned(),
                "--no-shconf".to_owned(),
                "-m".to_owned(),
                megabytes.to_string(),
            ]),
        }
        if self.pci.is_empty() {
            words.push("--no-pci".to_owned());
        }
        for address in &self.pci {
            words.extend(["-a".to_owned(), address.clone()]);
        }
        words.extend(self.arguments.iter().cloned());
        words.into_iter().map(|word| c_string("argument", &word)).collect()
    }

    /// What it means that DPDK did not start with these.
    fn refused(&self, arguments: &[CString], reason: Reason) -> Error {
        match self.memory {
            Memory::Hugepages { megabytes } if reason.is_lack_of_memory() => {
                Error::Hugepages { megabytes, reason }
            }
            _ => {
                let words: Vec<_> =
                    arguments.iter().skip(1).map(|word| word.to_string_lossy()).collect();
                Error::Start { arguments: words.join(" "), reason }
            }
        }
    }
}

/// Text for DPDK; `what` it is goes into the message if it cannot be given.
pub(crate) fn c_string(what: &'static str, text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::ZeroOctet { what, text: text.to_owned() })
}

/// DPDK makes one even when it has nothing to put there.
fn remove_runtime_directory() {
    // SAFETY: a zero-terminated string of DPDK's that does not change any more.
    let directory = unsafe { CStr::from_ptr(raw::rte_eal_get_runtime_dir()) };
    // There is none if the start failed early; one that is not empty is in use.
    let _ = fs::remove_dir(Path::new(OsStr::from_bytes(directory.to_bytes())));
}

fn start(arguments: &[CString]) -> Result<(), c_int> {
    let mut pointers: Vec<*mut c_char> =
        arguments.iter().map(|word| word.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    // SAFETY: as many zero-terminated strings as said, and a null pointer behind them; DPDK sorts
    // the pointers and writes to none of the strings. They live as long as the EAL.
    let parsed = unsafe { raw::rte_eal_init(arguments.len() as c_int, pointers.as_mut_ptr()) };
    if parsed < 0 { Err(last_errno()) } else { Ok(()) }
}
