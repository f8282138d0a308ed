package segment

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/annals-go/annals/store"
)

// Vault is a place where files are kept under names. A name is one or more
// parts of letters, digits, dots, hyphens and underscores, none beginning with a
// dot, joined by slashes; at most [MaxNameBytes] bytes. Another name is
// [store.ErrInvalid]. What cannot be asked is [store.ErrUnavailable]. All methods
// may be called from many goroutines.
type Vault interface {
	// Create begins a file. Nobody sees it before it is closed.
	Create(ctx context.Context, name string) (Draft, error)
	// Open opens a file. The error matches [store.ErrNotFound] if there is none.
	Open(ctx context.Context, name string) (File, error)
	// List returns the files whose name begins with prefix, in the order of their
	// names; all if it is empty.
	List(ctx context.Context, prefix string) ([]Entry, error)
	// Remove removes a file. Removing what is not there is no error.
	Remove(ctx context.Context, name string) error
	// String says which vault it is, for people.
	String() string
}

// Draft is a file that is being written. It belongs to one goroutine. The context
// that it was created with bounds it.
type Draft interface {
	io.Writer
	// Close gives the file its name, in one step, in the place of a file that had
	// the name. When it has returned nil the file is there and survives a crash of the
	// process that keeps it as much as anything that is kept there; otherwise the
	// draft is gone.
	Close() error
	// Abort throws the draft away. After Close it does nothing.
	Abort() error
}

// File is a file that is kept. It does not change while it is open.
type File interface {
	io.ReaderAt
	io.Closer
	// Size returns its size in bytes.
	Size() int64
}

// Entry is one file of a list.
type Entry struct {
	Name string
	Size int64 // in bytes
	// Time is when it was given its name, by the clock of whoever keeps it.
	Time time.Time
}

// MaxNameBytes is the longest name of a file.
const MaxNameBytes = 200

// ValidateName reports whether a vault takes the name. The error is a
// [*store.InvalidError].
func ValidateName(name string) error {
	reason := ""
	switch {
	case name == "" || len(name) > MaxNameBytes:
		reason = fmt.Sprintf("want 1 to %d bytes", MaxNameBytes)
	default:
		for part := range strings.SplitSeq(name, "/") {
			if part == "" || part[0] == '.' || strings.IndexFunc(part, foreign) >= 0 {
				reason = "want parts of letters, digits, dots, hyphens and underscores, none beginning with a dot"
			}
		}
	}
	if reason == "" {
		return nil
	}
	return &store.InvalidError{What: "name of a file", Value: name, Reason: reason}
}

func foreign(r rune) bool {
	own := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
	return !own
}

// ReadFile returns a file of a vault as a whole. A file of more than most bytes is
// [store.ErrTooLarge].
func ReadFile(ctx context.Context, v Vault, name string, most int) ([]byte, error) {
	f, err := v.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > int64(most) {
		return nil, &store.TooLargeError{What: "file " + name, Size: int(f.Size()), Limit: most}
	}
	data := make([]byte, f.Size())
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, f.Size()), data); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// WriteFile gives a vault a file as a whole, in the place of one that has the name.
func WriteFile(ctx context.Context, v Vault, name string, data []byte) error {
	d, err := v.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := d.Write(data); err != nil {
		_ = d.Abort()
		return err
	}
	return d.Close()
}
