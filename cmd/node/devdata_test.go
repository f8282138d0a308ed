package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/annals-go/annals/cmd/node/console"
)

func TestDataDirectoryIsTriedFirst(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "data")} {
		err := devConfig{dir: dir}.makeDir()
		if f, is := errors.AsType[*Failure](err); !is || f.Code != console.CodeUsage || f.Fix == "" {
			t.Errorf("%s: %v, want a failure that says what to do", dir, err)
		}
	}
	fresh := filepath.Join(t.TempDir(), "deep", "data")
	if err := (devConfig{dir: fresh}).makeDir(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(fresh); err != nil || len(left) > 0 {
		t.Errorf("the trial left %v, %v", left, err)
	}
	if err := (devConfig{}).makeDir(); err != nil {
		t.Errorf("in memory: %v", err)
	}
}
