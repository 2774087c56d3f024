//! Who may read and write a file that replaces another.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

/// The owner, the group, the mode and the access control list of a file.
#[derive(Debug)]
pub(crate) struct Rights {
    metadata: Metadata,
    acl: Option<Vec<u8>>,
}

impl Rights {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self {
            metadata: file.metadata()?,
            acl: acl::of(file)?,
        })
    }

    /// Gives a file the same rights. The owner and the group are the same where the system permits
    /// that; the bits setuid, setgid and sticky are dropped, as a write drops them.
    pub(crate) fn give_to(&self, file: &File) -> io::Result<()> {
        let (owner, group) = (self.metadata.uid(), self.metadata.gid());
        // Only root gives files away, but a member of the group may keep that.
        if fchown(file, Some(owner), Some(group)).is_err() {
            let _ = fchown(file, None, Some(group));
        }
        acl::give_to(self.acl.as_deref(), file)?;
        let mut mode = self.metadata.mode() & 0o777;
        // Another group may do what everybody may, since its members could do no more before.
        if file.metadata()?.gid() != group {
            mode &= !0o070 | (mode & 0o007) << 3;
        }
        file.set_permissions(Permissions::from_mode(mode))
    }
}

/// Access control lists as Linux keeps them. Where a file has one, the group's bits of the mode are
/// the most that anyone on the list gets, so the mode alone would let others in.
#[cfg(target_os = "linux")]
mod acl {
    use std::fs::File;
    use std::io;

    use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
    use rustix::io::Errno;

    const NAME: &str = "system.posix_acl_access";

    pub(super) fn of(file: &File) -> io::Result<Option<Vec<u8>>> {
        // No attribute is longer.
        let mut acl = vec![0; 1 << 16];
        match fgetxattr(file, NAME, &mut acl[..]) {
            Ok(len) => {
                acl.truncate(len);
                Ok(Some(acl))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn give_to(acl: Option<&[u8]>, file: &File) -> io::Result<()> {
        let given = match acl {
            Some(acl) => fsetxattr(file, NAME, acl, XattrFlags::empty()),
            // The folder may have given the new file one.
            None => fremovexattr(file, NAME),
        };
        match given {
            Err(Errno::NODATA | Errno::OPNOTSUPP) if acl.is_none() => Ok(()),
            given => Ok(given?),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod acl {
    use std::fs::File;
    use std::io;

    pub(super) fn of(_: &File) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(super) fn give_to(_: Option<&[u8]>, _: &File) -> io::Result<()> {
        Ok(())
    }
}
