//! Folders for temporary files.

use std::io;

use tempfile::{Builder, TempDir};

/// A new folder that only its owner may enter, which is removed together with the value.
///
/// # Errors
/// There is no place for one.
pub(crate) fn folder(prefix: &str) -> io::Result<TempDir> {
    let mut builder = Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    /// It had been believed that tempfile makes no others.
    #[test]
    fn nobody_else_may_enter() {
        let folder = super::folder("kubectl-gitops-").unwrap();
        let mode = folder.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
