package ram

import (
	"math"
	"os"
	"testing"
)

// Temporary files lie where somebody said, else in memory if that has room.
func TestUse(t *testing.T) {
	t.Setenv("TMPDIR", "/elsewhere")
	if Use() || os.TempDir() != "/elsewhere" {
		t.Errorf("temporary files, which are to lie elsewhere, lie in %s", os.TempDir())
	}
	t.Setenv("TMPDIR", "")
	want := "/tmp"
	if fit(place, room) {
		want = place
	}
	if used := Use(); used != (want == place) || os.TempDir() != want {
		t.Errorf("used: %v; temporary files lie in %s, want %s", used, os.TempDir(), want)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for dir, free := range map[string]uint64{place: math.MaxUint64, "/proc": 0, "/nowhere": 0} {
		if fit(dir, free) {
			t.Errorf("%s fits for %d bytes", dir, free)
		}
	}
}
