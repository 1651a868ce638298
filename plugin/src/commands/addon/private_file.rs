//! Files with secrets: what is kept before something is taken away.

use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes a file that only its owner may read, wholly or not at all. One that is there stays.
///
/// # Errors
/// It cannot be written.
pub(super) fn keep(path: &Path, text: &str) -> io::Result<()> {
    match written(path, text)?.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// The same, in the place of one that is there.
///
/// # Errors
/// It cannot be written.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let file = written(path, text)?.persist(path);
    file.map(drop).map_err(|error| error.error)
}

/// It is made so that only its owner may read it.
fn written(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_backup_is_for_its_owner_and_never_overwritten_by_chance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("before.tfstate");
        keep(&path, "one").unwrap();
        keep(&path, "other").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        replace(&path, "more").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "more");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
