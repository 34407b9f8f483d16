//! The libraries that programs under test are compiled against, built once for all of them.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

/// Where they lie.
#[derive(Debug)]
pub(crate) struct Artifacts {
    /// `--extern` and `-L` arguments.
    pub(crate) arguments: Vec<String>,
}

const EXTERNS: [&str; 4] = ["steadfast", "async_trait", "tokio", "tracing"];

/// Checks the dependencies of the silence fixture, in a target directory of its own: the one in use may
/// be locked, or lie elsewhere.
pub(crate) fn artifacts() -> &'static Artifacts {
    static ARTIFACTS: OnceLock<Artifacts> = OnceLock::new();
    ARTIFACTS.get_or_init(|| {
        let mut command = cargo("check");
        command.args(["--message-format=json", "--quiet"]);
        let output = command.output().expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let libraries: Vec<(String, PathBuf)> = said.lines().filter_map(library).collect();
        let directory = libraries
            .iter()
            .find_map(|(_, path)| path.parent())
            .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let mut arguments = vec!["-L".into(), format!("dependency={}", directory.display())];
        for (name, path) in &libraries {
            arguments.push("--extern".into());
            arguments.push(format!("{name}={}", path.display()));
        }
        Artifacts { arguments }
    })
}

/// `cargo <verb>` on the silence fixture.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .arg(verb)
        .args(["--offline", "--package", "steadfast-fixture-silence"])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .arg("--target-dir")
        .arg(scratch().join("target"))
        .env_remove("RUSTFLAGS");
    command
}

/// A directory for what these tests write.
pub(crate) fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("diagnostics")
}

/// A tool of the toolchain that runs these tests.
pub(crate) fn tool(name: &str) -> PathBuf {
    let beside_cargo = env::var_os("CARGO").and_then(|cargo| {
        let tool = Path::new(&cargo).with_file_name(name);
        tool.exists().then_some(tool)
    });
    beside_cargo.unwrap_or_else(|| name.into())
}

/// Whether clippy is installed; if it is not, says so.
pub(crate) fn has_clippy() -> bool {
    let output = Command::new(tool("clippy-driver"))
        .arg("--version")
        .output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("not checked: clippy is not installed");
    }
    is_there
}

fn library(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let name = message["target"]["name"].as_str()?.replace('-', "_");
    if !EXTERNS.contains(&name.as_str()) {
        return None;
    }
    let files = message["filenames"].as_array()?;
    let file = files.iter().filter_map(Value::as_str).find(|file| {
        let extension = Path::new(file).extension().and_then(|e| e.to_str());
        matches!(extension, Some("rmeta" | "so" | "dylib" | "dll"))
    })?;
    Some((name, file.into()))
}
