//! The command as a user meets it: what it prints, where, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};

fn ringroad(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringroad"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Asserts how a command ends and what it says on standard error.
#[track_caller]
fn assert_ends(output: &Output, code: i32, said: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    assert_eq!(output.status.code(), Some(code));
}

mod check {
    use super::*;

    #[test]
    fn prints_all_settings_as_a_file_that_reads_back_the_same() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/lab.yaml");
        let first = ringroad(&["check", example]).output().unwrap();
        assert_ends(&first, 0, "");
        let printed = String::from_utf8(first.stdout).unwrap();
        assert!(printed.contains("  drain_timeout: 30s\n"), "{printed}");
        assert!(
            printed.contains("    listen: [\"10.10.1.1:80\", \"[fd00:1::1]:80\"]\n"),
            "{printed}"
        );

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("printed.yaml");
        std::fs::write(&file, &printed).unwrap();
        let second = ringroad(&["check", file.to_str().unwrap()]).output().unwrap();
        assert_ends(&second, 0, "");
        assert_eq!(String::from_utf8(second.stdout).unwrap(), printed);
    }

    #[test]
    fn tells_every_problem_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("edge.yaml"),
            "\
ports: [{ interface: wan0 }]
services:
  - name: web
    listen: [\"10.10.1.1\"]
    orgins: [\"10.10.2.2:80\"]
",
        )
        .unwrap();
        let output =
            ringroad(&["check", "edge.yaml"]).current_dir(directory.path()).output().unwrap();
        assert_ends(
            &output,
            2,
            "\
edge.yaml:3:5: service \"web\" lacks \"origins\"; add it, for example origins: [\"10.10.2.2:80\"]
edge.yaml:4:14: \"listen\" cannot be \"10.10.1.1\"; the port is missing: give 10.10.1.1:80, say
edge.yaml:5:5: unknown key \"orgins\" in service \"web\"; did you mean \"origins\"?
",
        );
        assert!(output.stdout.is_empty());
    }

    #[test]
    fn says_when_there_is_no_file() {
        let output = ringroad(&["check", "/nonexistent.yaml"]).output().unwrap();
        assert_ends(
            &output,
            2,
            "/nonexistent.yaml: cannot be read: No such file or directory (os error 2); check the \
             path and its rights\n",
        );
    }
}

mod usage {
    use super::*;

    #[test]
    fn version_and_help_are_for_standard_output() {
        for (argument, start) in [("--version", "ringroad 0."), ("--help", "A TCP edge appliance")]
        {
            let output = ringroad(&[argument]).output().unwrap();
            assert_ends(&output, 0, "");
            assert!(String::from_utf8(output.stdout).unwrap().starts_with(start));
        }
    }

    #[test]
    fn mistakes_are_one_line_and_exit_code_two() {
        for (arguments, said) in [
            (vec!["chek"], "unrecognized subcommand 'chek'; a similar subcommand exists: 'check'"),
            (vec!["check"], "the following required arguments were not provided: <FILE>"),
            (
                vec!["lab", "up", "--queues", "0"],
                "invalid value '0' for '--queues <QUEUES>': 0 is not in 1..=64",
            ),
            (
                vec!["lab", "down", "--prefix", "../x"],
                "invalid value '../x' for '--prefix <PREFIX>': give up to 64 letters, digits, \"-\" \
                 and \"_\", the first a letter or digit",
            ),
            (
                vec!["origin", "--listen", "80"],
                "invalid value '80' for '--listen <ADDR>': invalid socket address syntax",
            ),
            (
                vec!["sim", "--scenario", "unknown"],
                "invalid value 'unknown' for '--scenario <NAME>': there are mixed, lossy-mobile, \
                 satellite, flood, slow-origin, origin-flap, memory-pressure, middlebox, long-fat, \
                 million-idle",
            ),
            (
                vec!["histograms", "--out", "d", "--in", "d", "--from", "noon"],
                "invalid value 'noon' for '--from <TIME>': give a time as 2026-11-22T03:15:00Z \
                 (UTC), or seconds since 1970",
            ),
            (
                vec!["histograms", "--out", "d", "--to", "1"],
                "the following required arguments were not provided: --in <DIR>",
            ),
            (
                vec!["histograms", "--out", "d", "--socket", "s", "--from", "1"],
                "the argument '--socket <PATH>' cannot be used with '--from <TIME>'",
            ),
            (vec!["sim", "--seed", "-1"], "unexpected argument '-1' found"),
            (
                vec!["sim", "--seed", "seven"],
                "invalid value 'seven' for '--seed <N>': invalid digit found in string",
            ),
            (
                vec!["sim", "--scenario", "million-idle", "--connections", "0"],
                "invalid value '0' for '--connections <N>': there can be from 1 to 1048576",
            ),
        ] {
            let output = ringroad(&arguments).output().unwrap();
            assert_ends(&output, 2, &format!("ringroad: {said}; see ringroad --help\n"));
        }
    }
}

mod histograms {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_said_in_one_line() {
        let out = tempfile::tempdir().unwrap();
        let directory = out.path().to_str().unwrap();
        for (source, said) in [
            (
                ["--socket", "/nonexistent.sock"],
                "no engine answers at /nonexistent.sock; is one running, or is it at another \
                 --socket?: No such file or directory (os error 2)"
                    .to_owned(),
            ),
            (
                ["--in", "/nonexistent"],
                "cannot read /nonexistent; give the directory that telemetry.directory names: No \
                 such file or directory (os error 2)"
                    .to_owned(),
            ),
            (
                ["--in", directory],
                format!(
                    "{directory} holds no recording (ringroad-*.hlog); give the directory that \
                     telemetry.directory names"
                ),
            ),
        ] {
            let command = [&["histograms", "--out", directory], &source[..]].concat();
            let output = ringroad(&command).output().unwrap();
            assert_ends(&output, 1, &format!("ringroad: {said}\n"));
            assert!(output.stdout.is_empty());
            assert_eq!(out.path().read_dir().unwrap().count(), 0, "nothing is half done");
        }
    }
}

mod report {
    use super::*;

    #[test]
    fn without_a_recording_there_is_no_page() {
        let directory = tempfile::tempdir().unwrap();
        let page = directory.path().join("report.html");
        let missing = directory.path().join("missing");
        for (from, said) in [
            (
                &*missing,
                format!(
                    "ringroad: cannot read {}; give the directory that telemetry.directory names: \
                     No such file or directory (os error 2)\n",
                    missing.display()
                ),
            ),
            (
                directory.path(),
                format!(
                    "ringroad: {} holds no recording (ringroad-*.hlog); give the directory that \
                     telemetry.directory names\n",
                    directory.path().display()
                ),
            ),
        ] {
            let (from, out) = (from.to_str().unwrap(), page.to_str().unwrap());
            let output = ringroad(&["report", "--in", from, "--out", out]).output().unwrap();
            assert_ends(&output, 1, &said);
            assert!(!page.exists());
        }
    }
}

mod sim {
    use super::*;

    #[test]
    fn a_run_is_told_and_is_the_same_again() {
        let play =
            || ringroad(&["sim", "--scenario", "slow-origin", "--seed", "1"]).output().unwrap();
        let (first, second) = (play(), play());
        assert_ends(&first, 0, "");
        let said = String::from_utf8(first.stdout.clone()).unwrap();
        assert!(said.starts_with("slow-origin, seed 1: "), "{said}");
        assert!(said.contains("\n  connections   "), "{said}");
        assert_eq!(first.stdout, second.stdout);
    }

    #[test]
    fn every_scenario_is_listed_with_what_it_is_about() {
        let output = ringroad(&["sim", "--scenario", "list"]).output().unwrap();
        assert_ends(&output, 0, "");
        let said = String::from_utf8(output.stdout).unwrap();
        for name in ["mixed", "lossy-mobile", "memory-pressure", "million-idle"] {
            assert!(said.lines().any(|line| line.starts_with(&format!("{name} "))), "{said}");
        }
    }
}

mod run {
    use super::*;

    #[test]
    fn a_device_that_no_port_has_is_refused_in_one_line() {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/minimal.yaml");
        let output = ringroad(&["run", "--config", config, "--vdev", "net_tap0,iface=tap0"])
            .output()
            .unwrap();
        assert_ends(
            &output,
            2,
            "ringroad: --vdev net_tap0,iface=tap0: no port has the device net_tap0; give one \
             driver: dpdk and device: net_tap0\n",
        );
    }

    /// With a configuration that is valid, and starts on no host but the lab's edge.
    fn logging(filter: &str) -> Output {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/lab.yaml");
        let mut command = ringroad(&["run", "--config", example]);
        command.env("RINGROAD_LOG", filter).env_remove("NO_COLOR").output().unwrap()
    }

    #[test]
    fn a_log_filter_that_is_none_is_not_passed_over() {
        let said = "ringroad: RINGROAD_LOG: \"ringroad=loud\" is no filter; give one such as info or ringroad=debug\n";
        assert_ends(&logging("ringroad=loud"), 2, said);
    }

    #[test]
    fn the_log_has_colours_on_a_terminal_alone() {
        let output = logging("info");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(" INFO ") && !said.contains('\x1b'), "{said:?}");
    }
}

/// A running `ringroad origin`, ended with the test.
struct Origin {
    child: Child,
    addresses: Vec<SocketAddr>,
}

impl Origin {
    /// Starts it with `command` and waits until it listens on so many addresses.
    fn start(mut command: Command, count: usize) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let addresses = (0..count)
            .map(|_| {
                let line = lines.next().expect("the origin ended").unwrap();
                line.strip_prefix("listening on ").expect(&line).parse().unwrap()
            })
            .collect();
        Origin { child, addresses }
    }

    fn on_loopback() -> Self {
        Origin::start(ringroad(&["origin", "--listen", "127.0.0.1:0"]), 1)
    }

    /// Ends it with `signal`; returns its exit code.
    fn end(mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // After `end` there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Just enough of an HTTP client to see what is on the wire.
struct Client(BufReader<TcpStream>);

struct Reply {
    status: u16,
    body: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Client(BufReader::new(stream))
    }

    fn request(&mut self, head: &str, body: &[u8]) -> Reply {
        let request = format!("{head}\r\nHost: lab\r\nContent-Length: {}\r\n\r\n", body.len());
        self.0.get_mut().write_all(&[request.as_bytes(), body].concat()).unwrap();
        let (mut status, mut length) = (0, 0);
        for (index, line) in self.0.by_ref().lines().enumerate() {
            let line = line.unwrap().to_ascii_lowercase();
            if index == 0 {
                status = line.split(' ').nth(1).unwrap().parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        Reply { status, body }
    }

    fn get(&mut self, path: &str) -> Reply {
        self.request(&format!("GET {path} HTTP/1.1"), b"")
    }

    /// Whether the server has closed: nothing more, and no reset.
    fn closed(mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

mod origin {
    use super::*;

    #[test]
    fn bodies_have_the_hash_that_is_told_and_connections_are_kept() {
        let origin = Origin::on_loopback();
        let mut client = Client::connect(origin.addresses[0]);
        assert_eq!(client.get("/").body, b"ringroad origin\n");
        for octets in [0, 1, 1000, 65_536, 65_537, 5_000_000] {
            let reply = client.get(&format!("/bytes/{octets}"));
            assert_eq!((reply.status, reply.body.len()), (200, octets));
            let told = client.get(&format!("/sha256/{octets}")).body;
            assert_eq!(String::from_utf8(told).unwrap().trim_end(), sha256(&reply.body));
        }
    }

    #[test]
    fn uploads_are_counted_and_hashed() {
        let origin = Origin::on_loopback();
        let mut client = Client::connect(origin.addresses[0]);
        let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let reply = client.request("POST /upload HTTP/1.1", &body);
        assert_eq!(reply.status, 200);
        let expected = format!("{{\"octets\":3000000,\"sha256\":\"{}\"}}", sha256(&body));
        assert_eq!(String::from_utf8(reply.body).unwrap(), expected);
    }

    #[test]
    fn the_connection_is_closed_when_the_client_asks_for_it() {
        let origin = Origin::on_loopback();
        for head in ["GET / HTTP/1.1\r\nConnection: close", "GET / HTTP/1.0"] {
            let mut client = Client::connect(origin.addresses[0]);
            assert_eq!(client.request(head, b"").status, 200);
            assert!(client.closed(), "{head}");
        }
    }

    #[test]
    fn a_delay_is_kept_and_too_much_is_refused() {
        let origin = Origin::on_loopback();
        let mut client = Client::connect(origin.addresses[0]);
        let asked = Instant::now();
        assert_eq!(client.get("/delay/50").body, b"waited 50 ms\n");
        assert!(asked.elapsed() >= Duration::from_millis(50));
        let most =
            [("/delay/60001", "60000 milliseconds"), ("/bytes/68719476737", "68719476736 octets")];
        for (path, most) in most {
            let reply = client.get(path);
            assert_eq!(reply.status, 400);
            let said = String::from_utf8(reply.body).unwrap();
            assert_eq!(said, format!("too much: ask for at most {most}\n"));
        }
    }

    #[test]
    fn listens_on_several_addresses_and_ends_when_told() {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let command =
                ringroad(&["origin", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"]);
            let origin = Origin::start(command, 2);
            for address in &origin.addresses {
                assert_eq!(Client::connect(*address).get("/").status, 200);
            }
            assert_eq!(origin.end(signal), Some(0));
        }
    }

    #[test]
    fn an_address_in_use_is_told() {
        let origin = Origin::on_loopback();
        let address = origin.addresses[0].to_string();
        let output = ringroad(&["origin", "--listen", &address]).output().unwrap();
        let said =
            format!("ringroad: cannot listen on {address}: Address already in use (os error 98)\n");
        assert_ends(&output, 1, &said);
    }
}

mod lab {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A lab of a test's own, taken down with it.
    struct Lab(String);

    impl Lab {
        /// A name for a lab that is not up yet; `None`, and why, without root.
        fn new(test: &str) -> Option<Self> {
            if !nix::unistd::geteuid().is_root() {
                // For whoever counts what was not tested; `print!` would be captured.
                let _ = writeln!(std::io::stdout(), "SKIP network namespaces take root");
                return None;
            }
            Some(Lab(format!("rr-{test}-{}", std::process::id())))
        }

        fn command(&self, arguments: &[&str]) -> Command {
            let (action, rest) = arguments.split_first().unwrap();
            let mut command = ringroad(&["lab", "--prefix", &self.0, action]);
            command.args(rest);
            command
        }

        fn run(&self, arguments: &[&str]) -> Output {
            self.command(arguments).output().unwrap()
        }

        /// Its namespaces that exist.
        fn namespaces(&self) -> Vec<String> {
            let Ok(entries) = Path::new("/run/netns").read_dir() else {
                return Vec::new();
            };
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.starts_with(&self.0))
                .collect()
        }

        /// Asserts that a command on a host succeeds; returns what it prints.
        #[track_caller]
        fn exec(&self, host: &str, command: &[&str]) -> String {
            let output = self.run(&[&["exec", host], command].concat());
            assert_ends(&output, 0, "");
            String::from_utf8(output.stdout).unwrap()
        }
    }

    impl Drop for Lab {
        fn drop(&mut self) {
            self.run(&["down"]);
        }
    }

    #[test]
    fn traffic_flows_at_once_over_both_protocols() {
        let Some(lab) = Lab::new("flow") else { return };
        assert_ends(&lab.run(&["up", "--queues", "2", "--mtu", "3400"]), 0, "");
        let mut origin = lab.command(&["exec", "origin", env!("CARGO_BIN_EXE_ringroad")]);
        origin.args(["origin", "--listen", "10.10.2.2:80", "--listen", "[fd00:2::2]:80"]);
        let origin = Origin::start(origin, 2);
        // A thread that enters the client's namespace stays there, alone.
        let client = format!("/run/netns/{}-client", lab.0);
        let addresses = origin.addresses.clone();
        std::thread::spawn(move || {
            let namespace = std::fs::File::open(client).unwrap();
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            for address in addresses {
                assert_eq!(Client::connect(address).get("/bytes/100000").body.len(), 100_000);
            }
        })
        .join()
        .unwrap();
        // The process is the command itself, so that signals and exit codes are its own.
        assert_eq!(origin.end(Signal::SIGTERM), Some(0));

        let device = lab.exec("edge", &["ip", "-d", "link", "show", "wan0"]);
        assert!(device.contains("mtu 3400") && device.contains("numrxqueues 2"), "{device}");
        let queues = lab.exec("edge", &["ethtool", "-l", "lan0"]);
        assert!(queues.contains("RX:\t\t2\nTX:\t\t2\n"), "{queues}");
        for host in ["client", "origin"] {
            let offloads = lab.exec(host, &["ethtool", "-k", "eth0"]);
            assert!(offloads.contains("\ntx-checksumming: off\n"), "{offloads}");
            assert!(offloads.contains("\ngeneric-receive-offload: on\n"), "{offloads}");
        }
    }

    #[test]
    fn nothing_passes_a_wire_by_itself() {
        let Some(lab) = Lab::new("wire") else { return };
        assert_ends(&lab.run(&["up", "--wire"]), 0, "");
        let devices = lab.exec("wire", &["ip", "-br", "link"]);
        assert!(devices.contains("c0@") && devices.contains("e0@"), "{devices}");
        let output = lab.run(&["exec", "client", "ip", "neigh", "show", "10.10.1.1"]);
        assert!(output.stdout.is_empty());
        let ping = ["ping", "-c", "1", "-W", "1", "10.10.1.1"];
        let output = lab.run(&[&["exec", "client"][..], &ping].concat());
        assert_eq!(output.status.code(), Some(1), "the wire was bridged");
    }

    #[test]
    fn exec_passes_the_exit_code_through() {
        let Some(lab) = Lab::new("exec") else { return };
        let output = lab.run(&["exec", "client", "true"]);
        let said = format!(
            "ringroad: there is no host {0}-client; set the lab up first (ringroad lab up --prefix \
             {0}): No such file or directory (os error 2)\n",
            lab.0
        );
        assert_ends(&output, 1, &said);
        assert_ends(&lab.run(&["up"]), 0, "");
        assert_ends(&lab.run(&["exec", "client", "sh", "-c", "exit 7"]), 7, "");
        let said = "ringroad: cannot run no-such-thing: No such file or directory (os error 2)\n";
        assert_ends(&lab.run(&["exec", "client", "no-such-thing"]), 1, said);
    }

    #[test]
    fn down_removes_what_up_made_and_no_more() {
        let Some(lab) = Lab::new("down") else { return };
        let Some(neighbour) = Lab::new("down2") else { return };
        assert_ends(&lab.run(&["up"]), 0, "");
        assert_ends(&neighbour.run(&["up"]), 0, "");
        let said = format!(
            "ringroad: namespace {0}-client already exists; take the lab down first (ringroad lab \
             down --prefix {0}), or choose another --prefix\n",
            lab.0
        );
        assert_ends(&lab.run(&["up"]), 1, &said);
        assert_ends(&lab.run(&["down"]), 0, "");
        assert!(!lab.namespaces().iter().any(|name| !name.starts_with(&neighbour.0)));
        assert_eq!(neighbour.namespaces().len(), 3);
        assert_ends(&lab.run(&["down"]), 0, "");
    }

    #[test]
    fn down_cleans_up_after_an_up_that_was_killed() {
        let Some(lab) = Lab::new("kill") else { return };
        let mut up = lab.command(&["up"]).spawn().unwrap();
        while lab.namespaces().is_empty() && up.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        up.kill().unwrap();
        up.wait().unwrap();
        // A command that was under way may still finish: repeat until nothing comes back.
        while !lab.namespaces().is_empty() {
            assert_eq!(lab.run(&["down"]).status.code(), Some(0));
        }
        assert_ends(&lab.run(&["up"]), 0, "");
    }

    /// The programs of the lab, but `ethtool` is the given script.
    fn tools(ethtool: Option<&str>) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        for tool in ["ip", "sysctl"] {
            let found =
                std::env::split_paths(&path).map(|d| d.join(tool)).find(|p| p.exists()).unwrap();
            symlink(found, directory.path().join(tool)).unwrap();
        }
        if let Some(script) = ethtool {
            let file = directory.path().join("ethtool");
            std::fs::write(&file, script).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        }
        directory
    }

    #[test]
    fn a_step_that_fails_undoes_all() {
        let Some(lab) = Lab::new("undo") else { return };
        let tools = tools(Some("#!/bin/sh\necho no such feature >&2\nexit 1\n"));
        let output = lab.command(&["up"]).env("PATH", tools.path()).output().unwrap();
        let said = format!(
            "ringroad: the lab is not up, and what was made of it is gone again: \"ip netns exec \
             {}-client ethtool -K eth0 tx off gro on\" failed: no such feature\n",
            lab.0
        );
        assert_ends(&output, 1, &said);
        assert_eq!(lab.namespaces(), Vec::<String>::new());
    }

    #[test]
    fn a_missing_program_is_told_before_anything_is_made() {
        let Some(lab) = Lab::new("tool") else { return };
        let tools = tools(None);
        let output = lab.command(&["up"]).env("PATH", tools.path()).output().unwrap();
        let said =
            "ringroad: there is no ethtool in the search path; install the package ethtool\n";
        assert_ends(&output, 1, said);
        assert_eq!(lab.namespaces(), Vec::<String>::new());
    }

    #[test]
    fn print_shows_the_commands_and_runs_none() {
        let output = ringroad(&["lab", "up", "--print", "--prefix", "shown"]).output().unwrap();
        assert_ends(&output, 0, "");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.starts_with("ip netns add shown-client\n"), "{printed}");
        assert!(!Path::new("/run/netns/shown-client").exists());
    }
}
