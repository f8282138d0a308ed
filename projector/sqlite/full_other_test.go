//go:build !linux

package sqlite_test

import (
	"context"
	"errors"
	"time"

	"github.com/annals-go/annals/projector/sqlite"
)

func fillDisk(context.Context, *sqlite.Store) error {
	return errors.New("only Linux has file systems of a process's own")
}

// cpuTime is not known.
func cpuTime() time.Duration { return 0 }
