package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// Config says where an archive is kept. Vault and Namespace are required.
type Config struct {
	// Vault holds the files. It may hold those of other namespaces, too.
	Vault segment.Vault
	// Namespace is whose commits these are: all names begin with it.
	Namespace string
	// FileBytes is from how many uncompressed bytes of commits on a run begins the
	// next file. Default [segment.MaxBytes].
	FileBytes int64
	// Barrier returns when everything that the vault had acknowledged before the
	// call has reached the disk. A run waits for it before it takes anything out of
	// the log. Default nil: what is in the vault is on the disk, which is true of a
	// directory, and of an object store on servers that sync each write.
	Barrier func(context.Context) error
	// Logger receives what an operator may act on. Default [slog.Default].
	Logger *slog.Logger
}

// Archive is a [store.Archive] of segment files. What it holds in memory is
// bounded: a number of eight bytes for each stream in each file, the indexes of
// the files in use, and commits around where feeds read.
type Archive struct {
	config Config
	files  files

	mu        sync.Mutex
	catalogue *catalogue
	windows   []*window // the last used comes first
}

var _ store.Archive = (*Archive)(nil)

// Open reads the catalogue of an archive, which may be empty. Close releases its
// files. The error matches [store.ErrInvalid], [store.ErrDamaged] or [store.ErrUnavailable].
func Open(ctx context.Context, config Config) (*Archive, error) {
	if config.Vault == nil {
		return nil, &store.InvalidError{What: "archive", Reason: "it needs a vault"}
	}
	if err := store.ValidateName("namespace", config.Namespace); err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	if config.FileBytes <= 0 {
		config.FileBytes = segment.MaxBytes
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	a := &Archive{config: config, catalogue: &catalogue{}}
	a.files.vault = config.Vault
	if _, err := a.refresh(ctx, a.catalogue); err != nil {
		return nil, fmt.Errorf("open archive %s: %w", config.Vault, err)
	}
	return a, nil
}

// Close closes the files. Who still reads fails.
func (a *Archive) Close() error { return a.files.close() }

// Empty reports whether nothing of the namespace was archived there.
func (a *Archive) Empty() bool { return len(a.current().segments) == 0 }

// String says where the archive is kept, for people.
func (a *Archive) String() string { return a.config.Vault.String() }

func (a *Archive) current() *catalogue {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.catalogue
}

// refresh reads the catalogue again and reports whether it is another one than
// seen: another process may have added a run.
func (a *Archive) refresh(ctx context.Context, seen *catalogue) (bool, error) {
	if now := a.current(); now != seen {
		return true, nil
	}
	fresh, err := a.load(ctx, seen)
	if err != nil || fresh == seen {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.catalogue == seen { // else somebody was quicker, and may have seen more
		a.catalogue, a.windows = fresh, nil
	}
	return true, nil
}

// failed says of an error that it is the archive's. What is neither damage nor
// ctx's is a file that cannot be read now.
func (a *Archive) failed(err error) error {
	if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return fmt.Errorf("archive %s: %w", a, err)
}

// Stream implements [store.Archive].
func (a *Archive) Stream(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		err := a.stream(ctx, id, after, func(c *store.Commit) bool { return yield(c, nil) })
		if err != nil {
			yield(nil, a.failed(err))
		}
	}
}

func (a *Archive) stream(ctx context.Context, id store.StreamID, head store.Head, yield func(*store.Commit) bool) error {
	for {
		catalogue := a.current()
		for {
			f, err := a.next(ctx, catalogue, id, head.Version)
			if err != nil {
				return err
			}
			if f == nil {
				break
			}
			going, err := f.stream(ctx, id, &head, yield)
			a.files.release(f)
			if err != nil || !going {
				return err
			}
		}
		changed, err := a.refresh(ctx, catalogue)
		if err != nil || !changed {
			return err
		}
	}
}

// next returns a file that has the commit of the stream after a version, nil if
// none has it. The caller releases it.
func (a *Archive) next(ctx context.Context, c *catalogue, id store.StreamID, version uint64) (*file, error) {
	hash := hashOf(id)
	for _, s := range c.segments {
		if !s.mayHold(hash) {
			continue
		}
		f, err := a.files.open(ctx, s)
		if err != nil {
			return nil, err
		}
		span, ok := f.reader.Find(id)
		if ok && span.Before.Version <= version && version < span.Last.Version {
			return f, nil
		}
		a.files.release(f)
	}
	return nil, nil
}

// Last returns the head of the last commit of the stream that the archive holds
// with all before it, zero if it holds none. Errors are those of Stream.
func (a *Archive) Last(ctx context.Context, id store.StreamID) (head store.Head, err error) {
	c := a.current()
	for {
		f, err := a.next(ctx, c, id, head.Version)
		if err != nil || f == nil {
			return head, err
		}
		span, _ := f.reader.Find(id)
		a.files.release(f)
		head = span.Last
	}
}
