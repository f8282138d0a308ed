package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
)

// dirToRead returns nil if there is a directory. The error matches [store.ErrNotFound] if there is nothing.
func dirToRead(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no directory %s", store.ErrNotFound, path)
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	return err
}

// noAccess is the failure for an error that the operating system made of a path, which time will not mend: it belongs
// to others, or a directory was meant and it is none. Nil: it is another.
func noAccess(err error) *Failure {
	path, is := errors.AsType[*fs.PathError](err)
	if !is || errors.Is(err, store.ErrUnknown) || !errors.Is(path, fs.ErrPermission) && !errors.Is(path, syscall.ENOTDIR) {
		return nil
	}
	return &Failure{
		Code: codeFiles, Exit: console.ExitFailure, What: path.Path + " cannot be used", Why: path.Error(), Err: err,
		Fix: "let the user who runs this read it, and write where something is to be kept; or name another place",
	}
}
