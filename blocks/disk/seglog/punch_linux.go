package seglog

import (
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	keepSize  = 1 // FALLOC_FL_KEEP_SIZE
	punchHole = 2 // FALLOC_FL_PUNCH_HOLE
)

// punch gives the bytes from off on back to the disk, if f is a file of the system.
func punch(f vfs.File, off, n int64) error {
	if f.Fd() == vfs.InvalidFd {
		return nil
	}
	return os.NewSyscallError("fallocate", syscall.Fallocate(int(f.Fd()), keepSize|punchHole, off, n))
}

// trim gives back what was allocated ahead behind size.
func trim(f vfs.File, size int64) error {
	if f.Fd() == vfs.InvalidFd {
		return nil
	}
	return os.NewSyscallError("ftruncate", syscall.Ftruncate(int(f.Fd()), size))
}

// allocated is how many bytes of the disk a file takes.
func allocated(fi os.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return fi.Size()
}
