//! pg_restore reads a dump that somebody else may have made. It may read the dump and its own programs and libraries, write
//! nothing, and connect to nothing but the throwaway server's socket, so that neither a table of contents that names other files
//! nor a fault in pg_restore reaches anything else.
//!
//! Landlock is Linux's. It restricts a thread and what that thread starts, so a thread is made for each start, and nothing else of
//! evodoctor is restricted. Where the kernel has no Landlock, pg_restore runs as any program does: what a dump names is checked
//! before in any case (see [`super::archive_contents`]).

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Libraries of the system, also where each package has a directory of its own.
const LIBRARIES: &[&str] = &["/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"];

/// What the loader and the libraries read before a program's own work.
const SETTINGS: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/dev/urandom",
];

/// What a program may reach.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux can restrict a program"))]
#[derive(Debug, Clone)]
pub struct Confinement {
    /// Directories whose files may be read and executed.
    programs: Vec<PathBuf>,
    /// Files and directories that may be read.
    read: Vec<PathBuf>,
    /// The directory of the socket that it may connect to.
    socket: PathBuf,
    /// Whether it is of use: the program runs with it.
    is_used: bool,
}

impl Confinement {
    /// The confinement of a program that reads a dump and fills the server whose socket is in a directory.
    pub fn new(program: &Path, dump: &Path, socket: &Path) -> Self {
        let mut programs: Vec<PathBuf> = LIBRARIES.iter().map(PathBuf::from).collect();
        // As it is called, and where a link leads.
        let real = program.canonicalize().ok();
        for directory in [Some(program), real.as_deref()].into_iter().flatten().filter_map(Path::parent) {
            programs.push(directory.to_owned());
            programs.extend(["lib", "lib64", "share"].map(|name| directory.join("..").join(name)));
        }
        if let Some(libraries) = std::env::var_os("LD_LIBRARY_PATH") {
            programs.extend(std::env::split_paths(&libraries).filter(|path| path.is_absolute()));
        }
        let mut read: Vec<PathBuf> = SETTINGS.iter().map(PathBuf::from).collect();
        read.push(dump.to_owned());
        Self { programs, read, socket: socket.to_owned(), is_used: true }
    }

    /// The same where the program runs with it; else one that restricts nothing, for a program whose libraries are in an unusual
    /// place. No dump is read to find out.
    #[must_use]
    pub fn tried_on(mut self, program: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = self.spawn(&mut command).and_then(Child::wait_with_output);
        if let Err(said) = output.map_err(|error| error.to_string()).and_then(|output| {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if output.status.success() { Ok(()) } else { Err(said) }
        }) {
            tracing::debug!(program = %program.display(), said, "does not run confined, and is not confined");
            self.is_used = false;
        }
        self
    }

    /// Starts a program that is confined from its first instruction on, as far as the kernel can.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        if !self.is_used {
            return command.spawn();
        }
        let started = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let outcome = self.restrict_this_thread();
                tracing::debug!(program = ?command.get_program(), "{outcome}");
                command.spawn()
            });
            thread.join()
        });
        started.unwrap_or_else(|_| Err(io::Error::other("the thread that starts it has failed")))
    }

    /// Restricts this thread and what it starts; how far, in words.
    #[cfg(target_os = "linux")]
    fn restrict_this_thread(&self) -> &'static str {
        use landlock::RulesetStatus;

        match self.landlock().map(|status| status.ruleset) {
            Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => "confined by Landlock",
            Ok(RulesetStatus::NotEnforced) => "not confined: this kernel has no Landlock",
            Err(error) => {
                tracing::debug!(%error, "Landlock");
                "not confined: this kernel refuses it"
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn restrict_this_thread(&self) -> &'static str {
        "not confined: only Linux has Landlock"
    }

    #[cfg(target_os = "linux")]
    fn landlock(&self) -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
        use landlock::{
            ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
            path_beneath_rules,
        };

        // What an older kernel does not know of this is left out.
        let abi = ABI::V10;
        let (execute, read) =
            (AccessFs::Execute | AccessFs::ReadFile, AccessFs::ReadFile | AccessFs::ReadDir);
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            // Paths that do not exist are passed over.
            .add_rules(path_beneath_rules(&self.programs, execute | AccessFs::ReadDir))?
            .add_rules(path_beneath_rules(&self.read, read))?
            .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
            .add_rules(path_beneath_rules([&self.socket], AccessFs::ResolveUnix))?;
        ruleset.restrict_self()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::net::TcpListener;
    use std::process::Output;

    use landlock::LandlockStatus;

    use super::*;

    /// The version of the kernel's Landlock; 0 where there is none.
    fn kernel() -> i32 {
        let nothing = Confinement::new(Path::new("/"), Path::new("/"), Path::new("/"));
        // It restricts a thread that ends at once.
        let status = std::thread::spawn(move || nothing.landlock()).join().unwrap();
        match status.unwrap().landlock {
            LandlockStatus::Available { effective_abi, .. } => effective_abi as i32,
            _ => 0,
        }
    }

    fn bash(confinement: &Confinement, script: &str) -> Output {
        let mut command = Command::new("/bin/bash");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        confinement.spawn(&mut command).and_then(Child::wait_with_output).unwrap()
    }

    #[test]
    fn a_confined_program_reads_the_dump_writes_nothing_and_calls_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("dump"), "the dump").unwrap();
        fs::write(path("other"), "another file").unwrap();
        let confinement = Confinement::new(Path::new("/bin/bash"), &path("dump"), Path::new("/nowhere"));
        let confinement = confinement.tried_on(Path::new("/bin/bash"));
        assert!(confinement.is_used);
        let run = |script: &str| {
            let output = bash(&confinement, &script.replace("DIR", folder.path().to_str().unwrap()));
            (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
        };
        assert_eq!(run("cat DIR/dump; echo x >/dev/null"), ("the dump".to_owned(), true));
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        // The version of Landlock that forbids it.
        for (version, script) in [
            (1, "cat DIR/other".to_owned()),
            (1, "ls DIR".to_owned()),
            (1, "cat /etc/passwd".to_owned()),
            (1, "echo x >DIR/new".to_owned()),
            (1, "echo x >>DIR/dump".to_owned()),
            (1, "rm DIR/other".to_owned()),
            (4, format!("exec 3<>/dev/tcp/127.0.0.1/{port}")),
            (6, format!("kill -0 {}", std::process::id())),
        ] {
            let is_forbidden = kernel() >= version;
            assert_eq!(run(&script).1, !is_forbidden, "{script}, Landlock {}", kernel());
        }
        // This thread and its other programs are what they were.
        fs::write(path("new"), "x").unwrap();
    }

    #[test]
    fn a_program_that_does_not_run_confined_is_not_confined() {
        let folder = tempfile::tempdir().unwrap();
        let (program, settings) = (folder.path().join("bin/program"), folder.path().join("settings"));
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(&settings, "").unwrap();
        fs::write(&program, format!("#!/bin/sh\n. {}\n", settings.display())).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let confinement = Confinement::new(&program, &folder.path().join("dump"), Path::new("/nowhere"));
        assert_eq!(confinement.clone().tried_on(&program).is_used, kernel() == 0);
    }
}
