//go:build linux

package disk_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cairn-network/cairn/blocks/disk"
)

// The same as TestADiskThatTurnsReadOnlyIsStillRead, with a kernel that means it.
func TestAMountThatTurnsReadOnlyIsStillRead(t *testing.T) {
	mount := small(t, 48)
	dir := filepath.Join(mount, "store")
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", mount, "tmpfs", syscall.MS_REMOUNT|flags, "size=48m"); err != nil {
			t.Fatal(err)
		}
	}
	s, err := disk.Open(dir, disk.Config{Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b := block(1, 5000)
	if err := errors.Join(s.Put(t.Context(), b), s.Close()); err != nil {
		t.Fatal(err)
	}
	remount(syscall.MS_RDONLY)
	defer remount(0)
	if s, err := disk.Open(dir, disk.Config{}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("open for writing: got %v, want EROFS", err)
		if err == nil {
			_ = s.Close()
		}
	}
	if s, err = disk.Open(dir, disk.Config{ReadOnly: true}); err != nil {
		t.Fatalf("open to be read: %v", err)
	}
	defer s.Close()
	if _, err := s.Get(t.Context(), b.Cid()); err != nil {
		t.Error(err)
	}
}
