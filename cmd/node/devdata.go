package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// checkLayout refuses a directory that dev filled with another number of
// servers: its data would be there and not be found.
func (c devConfig) checkLayout() error {
	if c.dir == "" {
		return nil
	}
	one := isDir(filepath.Join(c.dir, "jetstream"))
	several := isDir(filepath.Join(c.dir, devClusterName+"-1"))
	f := &Failure{Code: codeData, Exit: console.ExitFailure, What: fmt.Sprintf("directory %s cannot be used", c.dir)}
	switch {
	case c.nodes == 1 && several:
		f.Why = "it has the data of three servers, which dev --nodes wrote"
		f.Fix = "add --nodes 3, or name another directory with --data"
	case c.nodes > 1 && one:
		f.Why = "it has the data of one server, which dev without --nodes wrote"
		f.Fix = "leave --nodes out, or name another directory with --data"
	default:
		return nil
	}
	return f
}

// makeDir makes the directory, and tries to write to it, before anything is looked for in it.
func (c devConfig) makeDir() error {
	if c.dir == "" {
		return nil
	}
	if err := writable(c.dir); err != nil {
		return &Failure{
			Code: console.CodeUsage, Exit: console.ExitUsage, What: fmt.Sprintf("data cannot be kept in %s", c.dir), Why: err.Error(),
			Fix: "name a directory that this user may make and write to: --data DIR", Err: err,
		}
	}
	return nil
}

func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	trial, err := os.CreateTemp(dir, ".trial-*")
	if err != nil {
		return err
	}
	return errors.Join(trial.Close(), os.Remove(trial.Name()))
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// hintAtOthers tells an operator who opens a directory under a new namespace
// that it has others. It creates nothing, and a look that fails says nothing:
// the log will say more.
func (s *Session) hintAtOthers(ctx context.Context, conn *nats.Conn) {
	if _, err := jetstream.Existing(ctx, conn, s.Namespace()); !errors.Is(err, store.ErrNotFound) {
		return
	}
	others, err := jetstream.Namespaces(ctx, conn)
	if err != nil || len(others) == 0 {
		return
	}
	s.Logger().Warn("the directory holds no events of this namespace, but of others",
		"namespace", s.Namespace(), "others", strings.Join(others, " "), "fix", "--ns "+others[0])
}
