//! The program that fuzzes: every target, libFuzzer, AddressSanitizer.

use std::path::{Path, PathBuf};
use std::process::Command;

use daedalus_tests::process;

use super::targets::{self, Target};
use crate::{cargo, project};

/// Megabytes that an input may take. A sanitizer takes its share.
const MEMORY: usize = 4096;

/// Seconds after which an input counts as hanging.
const PATIENCE: usize = 60;

/// Links gcc's AddressSanitizer.
const GCC_RUNTIME: &str = "-Zpre-link-arg=-Wl,--push-state,--no-as-needed,-lasan,--pop-state";

/// The built program.
pub struct Program(PathBuf);

impl Program {
    /// Builds it. A stable compiler takes the sanitizer's flag if it is told to be another.
    pub fn build() -> Result<Self, String> {
        let compiler = Compiler::ask()?;
        eprintln!("x: building the targets with AddressSanitizer (some minutes the first time)");
        let mut build = cargo::command("build");
        build.args(["--package", "daedalus-fuzz", "--bin", "libfuzzer", "--profile", "fuzz"]);
        build.args(["--features", "libfuzzer", "--target", &compiler.host]);
        build.args(cargo::daemon_features());
        build.arg("--target-dir").arg(targets::folder().join("build"));
        build.env("RUSTC_BOOTSTRAP", "1");
        build.env("RUSTFLAGS", compiler.sanitizer().join(" "));
        build.env_remove("CARGO_ENCODED_RUSTFLAGS");
        // dav1d, where it is linked in. It is gcc that calls the sanitizer there, whoever's is linked in the end.
        build.env("CFLAGS", "-O2 -g -fno-omit-frame-pointer -fsanitize=address");
        build.env("LDFLAGS", "-fsanitize=address");
        build.env("RUSTC_WORKSPACE_WRAPPER", project::root().join("fuzz/instrument.sh"));
        cargo::check(&mut build)?;
        let built = targets::folder().join("build").join(&compiler.host).join("fuzz/libfuzzer");
        Ok(Self(built))
    }

    /// A command that runs `target`, with what all runs have in common.
    pub fn command(&self, target: &Target) -> Command {
        let mut command = process::command(&self.0);
        command.env("DAEDALUS_FUZZ_TARGET", target.name);
        // An allocation that a client's numbers ask for may fail, as it does elsewhere.
        command.env("ASAN_OPTIONS", "allocator_may_return_null=1:detect_stack_use_after_return=1");
        command.arg(format!("-max_len={}", target.longest));
        command.arg(format!("-rss_limit_mb={MEMORY}"));
        command.arg(format!("-timeout={PATIENCE}"));
        command.arg(format!("-artifact_prefix={}/", target.artifacts().display()));
        command
    }
}

/// The compiler that builds.
struct Compiler {
    host: String,
    libraries: PathBuf,
}

impl Compiler {
    fn ask() -> Result<Self, String> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let ask = |words: &[&str]| {
            let output = process::command(&rustc)
                .args(words)
                .current_dir(project::root())
                .output()
                .map_err(|e| format!("cannot run rustc: {e}"))?;
            Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let version = ask(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or("rustc does not say what it compiles for")?.to_owned();
        let libraries = ask(&["--print", "target-libdir"])?;
        Ok(Self { host, libraries: Path::new(libraries.trim()).to_owned() })
    }

    /// Flags for AddressSanitizer. Distributions leave its library out of Rust (Debian); gcc's does as well.
    fn sanitizer(&self) -> Vec<&'static str> {
        let mut flags = vec!["-Zsanitizer=address", "-Cforce-frame-pointers=yes"];
        let files = std::fs::read_dir(&self.libraries).into_iter().flatten().flatten();
        let own = files
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .any(|name| name.starts_with("librustc") && name.ends_with("_rt.asan.a"));
        if !own {
            eprintln!("x: this Rust has no AddressSanitizer of its own: taking gcc's");
            // It has to come before all other libraries.
            flags.extend(["-Zexternal-clangrt", GCC_RUNTIME]);
        }
        flags
    }
}
