package embedded

import (
	"errors"
	"fmt"
)

// What callers branch on. Each is matched with [errors.Is].
var (
	// ErrPortInUse: somebody else listens there; another port may do.
	ErrPortInUse = errors.New("port in use")
	// ErrDirInUse: another process keeps its data there.
	ErrDirInUse = errors.New("directory in use")
	// ErrNotDurable: a sync failed, or the server was shut down, and nothing
	// that was written since the last good sync can be called durable, now or
	// later. The process should end: a new one reads from the disk what is there.
	ErrNotDurable = errors.New("not known to be durable")
	// ErrUsers: the file with the users cannot be read, or not be taken over.
	ErrUsers = errors.New("users file cannot be used")
	// ErrTLS: certificate, key or authorities cannot be used.
	ErrTLS = errors.New("certificate cannot be used")
)

// PortError names the address that is taken.
type PortError struct {
	Address string // HOST:PORT
	Reason  error
}

func (e *PortError) Error() string { return fmt.Sprintf("listen on %s: port in use", e.Address) }

// Unwrap makes the error match [ErrPortInUse] and its reason.
func (e *PortError) Unwrap() []error { return []error{ErrPortInUse, e.Reason} }

// DirError names the directory that another process uses.
type DirError struct {
	Dir string
	PID int // of the process that uses it, 0 if it could not be read
}

func (e *DirError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("directory %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("directory %s is in use by process %d", e.Dir, e.PID)
}

// Unwrap makes the error match [ErrDirInUse].
func (e *DirError) Unwrap() error { return ErrDirInUse }

// UsersError says what is wrong with the file of the users.
type UsersError struct {
	File   string
	Reason error
}

func (e *UsersError) Error() string { return fmt.Sprintf("users file %s: %v", e.File, e.Reason) }

// Unwrap makes the error match [ErrUsers] and its reason.
func (e *UsersError) Unwrap() []error { return []error{ErrUsers, e.Reason} }
