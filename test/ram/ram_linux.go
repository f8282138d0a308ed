package ram

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	place = "/dev/shm"
	// room is what has to be free: the suites fill a quarter of it.
	room = 2 << 30
)

// Use has temporary files of this process, and of those that it starts, lie in memory from
// now on, and reports whether they do. Call it first, in TestMain.
func Use() bool {
	if os.Getenv("TMPDIR") != "" || !fit(place, room) {
		return false
	}
	return os.Setenv("TMPDIR", place) == nil
}

// fit reports whether a directory is in memory, may be written to, and has so many bytes free.
func fit(dir string, free uint64) bool {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil || s.Type != unix.TMPFS_MAGIC {
		return false
	}
	return s.Bavail*uint64(s.Bsize) >= free && unix.Access(dir, unix.W_OK) == nil
}
