// Package crashfs is a disk in memory that remembers every operation and can be
// crashed after any of them, and file systems that fail on purpose. It is how a
// store shows that what it acknowledged is on the disk.
//
//	Disk: create, write, sync, rename … → tape → Crashes → the Disks a power cut may leave
//
// A [Disk] is a [vfs.FS]. What it loses in a crash is what the worst of the file
// systems in use may lose:
//
//   - a write is on the disk once its file was synced, and not before;
//   - a name (created, renamed, linked, removed, a directory too) is as it was
//     before until its directory was synced; syncing the file does not do it;
//   - a rename happens or does not, as a whole;
//   - between two syncs nothing is ordered: see [Reorder].
//
// [Disk.Crashes] goes through the prefixes of the tape, and gives for each what
// the disk may hold under each [Model].
//
// [Faulty] is a decorator of any file system: disks that are full, that fail a
// read, a write or a sync, write half, may only be read, or say that they
// synced and did not.
//
// It is for tests only; no program imports it. It keeps all bytes ever written,
// knows neither permissions nor times, and starts no goroutine.
package crashfs
