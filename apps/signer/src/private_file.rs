//! Files that are for this signer alone. It refuses to work with what others may read, or may change.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The bits that a file with secrets or records must not have.
const OTHERS_ANYTHING: u32 = 0o077;
/// The bits that a file with settings must not have: it may be read, but decides what this signer trusts.
const OTHERS_WRITE: u32 = 0o022;
/// The largest setting file that is read, in bytes. A governance of sixteen signers has a few kilobytes.
const SETTING_BYTES_MAX: u64 = 4 << 20;

/// Why a file of the signer's directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// Others may read or change it.
    #[error("{path} is open to others (mode {mode:04o}): {cure}", path = path.display())]
    OpenToOthers {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What to do.
        cure: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl PrivateFileError {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Refuses a directory that others may look into.
///
/// # Errors
/// [`PrivateFileError`] for permissions wider than 0700, and whatever the disk refuses.
pub fn check_directory(directory: &Path) -> Result<(), PrivateFileError> {
    let opened = File::open(directory).map_err(disk("open", directory))?;
    let mode = mode_of(&opened, directory)?;
    if mode & OTHERS_ANYTHING != 0 {
        let cure = format!(
            "run `chmod 700 {0}`; if somebody else may have read the keys in it, enrol this signer anew",
            directory.display()
        );
        return Err(PrivateFileError::OpenToOthers { path: directory.to_owned(), mode, cure });
    }
    Ok(())
}

/// Opens a file with records or secrets for reading and writing, and makes it (mode 0600) if it is missing.
///
/// # Errors
/// [`PrivateFileError`] for permissions wider than 0600, and whatever the disk refuses.
pub fn open_records(path: &Path) -> Result<File, PrivateFileError> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(disk("open", path))?;
    refuse_readers(&file, path)?;
    Ok(file)
}

/// Opens a file with records or secrets for reading.
///
/// # Errors
/// As [`open_records`], and when it is missing.
pub fn open_to_read(path: &Path) -> Result<File, PrivateFileError> {
    let file = File::open(path).map_err(disk("open", path))?;
    refuse_readers(&file, path)?;
    Ok(file)
}

/// Reads a secret of exactly `N` bytes; none if the file has another length.
///
/// # Errors
/// As [`open_to_read`].
pub fn read_secret<const N: usize>(path: &Path) -> Result<Option<Zeroizing<[u8; N]>>, PrivateFileError> {
    let mut file = open_to_read(path)?;
    let length = file.metadata().map_err(disk("inspect", path))?.len();
    let mut secret = Zeroizing::new([0; N]);
    if length != N as u64 {
        return Ok(None);
    }
    file.read_exact(&mut *secret).map_err(disk("read", path))?;
    Ok(Some(secret))
}

/// Reads a file that says what this signer trusts: others may read it, but not change it.
///
/// # Errors
/// [`PrivateFileError`] when others may write it, it is missing, too large, or the disk refuses.
pub fn read_setting(path: &Path) -> Result<Vec<u8>, PrivateFileError> {
    let file = File::open(path).map_err(disk("open", path))?;
    let mode = mode_of(&file, path)?;
    if mode & OTHERS_WRITE != 0 {
        let cure = format!("run `chmod go-w {}` and check that its content is what you want", path.display());
        return Err(PrivateFileError::OpenToOthers { path: path.to_owned(), mode, cure });
    }
    let mut content = Vec::new();
    file.take(SETTING_BYTES_MAX + 1).read_to_end(&mut content).map_err(disk("read", path))?;
    if content.len() as u64 > SETTING_BYTES_MAX {
        let source = io::Error::other(format!("it has more than {SETTING_BYTES_MAX} bytes"));
        return Err(PrivateFileError::Disk { action: "use", path: path.to_owned(), source });
    }
    Ok(content)
}

fn refuse_readers(file: &File, path: &Path) -> Result<(), PrivateFileError> {
    let mode = mode_of(file, path)?;
    if mode & OTHERS_ANYTHING != 0 {
        let cure = format!(
            "run `chmod 600 {}`; if somebody else may have read it, enrol this signer anew",
            path.display()
        );
        return Err(PrivateFileError::OpenToOthers { path: path.to_owned(), mode, cure });
    }
    Ok(())
}

fn mode_of(file: &File, path: &Path) -> Result<u32, PrivateFileError> {
    Ok(file.metadata().map_err(disk("inspect", path))?.permissions().mode() & 0o7777)
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrivateFileError {
    move |source| PrivateFileError::Disk { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};

    #[test]
    fn what_others_may_read_or_change_is_not_used() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("file");
        drop(open_records(&path).expect("made"));
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        for (mode, secret_is_fine, setting_is_fine) in
            [(0o600, true, true), (0o640, false, true), (0o604, false, true), (0o620, false, false)]
        {
            set_permissions(&path, Permissions::from_mode(mode)).expect("set");
            assert_eq!(open_records(&path).is_ok(), secret_is_fine, "{mode:o}");
            assert_eq!(open_to_read(&path).is_ok(), secret_is_fine, "{mode:o}");
            assert_eq!(read_setting(&path).is_ok(), setting_is_fine, "{mode:o}");
        }
        set_permissions(place.path(), Permissions::from_mode(0o750)).expect("set");
        let refusal = check_directory(place.path()).expect_err("refused").to_string();
        assert!(refusal.contains("open to others") && refusal.contains("chmod 700"), "{refusal}");
    }

    #[test]
    fn a_torn_secret_is_no_secret() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("key");
        drop(open_records(&path).expect("made"));
        for length in [0, 31, 33] {
            std::fs::write(&path, vec![7; length]).expect("written");
            assert!(read_secret::<32>(&path).expect("read").is_none(), "{length}");
        }
        std::fs::write(&path, [7; 32]).expect("written");
        assert_eq!(*read_secret::<32>(&path).expect("read").expect("a secret"), [7; 32]);
    }
}
