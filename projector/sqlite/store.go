package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Config says where read models are kept. Dir and Namespace are needed.
type Config struct {
	// Dir is the directory of the files, made if it is not there. It must be on a
	// file system of this machine: processes that share a file share memory.
	Dir string
	// Namespace is the application's: lower case letters, digits and hyphens.
	Namespace string
	// Readers is how many reads of one model run at once; more wait. Default 4:
	// each has a connection, with file handles and up to 8 MiB of pages.
	Readers int
	// CacheBytes is how much of each model its writer keeps in memory. Default
	// 64 MiB: what does not fit is read from the file again, by the page.
	CacheBytes int
	// MaxDocumentBytes is the largest document, note or checkpoint. Default 16 MiB.
	MaxDocumentBytes int
	// MaxLogBytes is how large the log of changes beside the file (-wal) may become
	// before a commit waits for readers, in order to empty it. Default 256 MiB: a
	// reader keeps what it may yet read from being overwritten.
	MaxLogBytes int64
	// ReadTimeout is how long a read may take, whatever its context allows. Default
	// 30 s, for the reason just given.
	ReadTimeout time.Duration
}

func (c Config) withDefaults() Config {
	defaulted := func(v *int, otherwise int) {
		if *v == 0 {
			*v = otherwise
		}
	}
	defaulted(&c.Readers, 4)
	defaulted(&c.CacheBytes, 64<<20)
	defaulted(&c.MaxDocumentBytes, 16<<20)
	if c.MaxLogBytes == 0 {
		c.MaxLogBytes = 256 << 20
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 30 * time.Second
	}
	return c
}

func (c Config) validate(m projector.Model) error {
	invalid := func(value, reason string) error {
		return &store.InvalidError{What: "sqlite config", Value: value, Reason: reason}
	}
	switch {
	case c.Dir == "":
		return invalid("Dir", "is missing")
	case c.Readers < 0, c.CacheBytes < 0, c.MaxDocumentBytes < 0, c.MaxLogBytes < 0, c.ReadTimeout < 0:
		return invalid("sizes", "must not be negative")
	case m.Version < 1, m.Build < 0:
		return &store.InvalidError{What: "model", Value: m.String(), Reason: "its version or its build is none"}
	}
	if err := store.ValidateName("namespace", c.Namespace); err != nil {
		return err
	}
	return store.ValidateName("view name", m.View)
}

// Store is a [projector.Store] on SQLite. [Store.Close] releases its files.
type Store struct {
	cfg Config

	turn   chan struct{} // held by the one who opens, drops or closes; guards what follows
	files  map[projector.Model]*file
	closed bool
}

// New returns a store. It touches nothing yet: what is wrong with the
// configuration is told by Open.
func New(cfg Config) *Store {
	return &Store{cfg: cfg.withDefaults(), turn: make(chan struct{}, 1), files: map[projector.Model]*file{}}
}

var errClosed = fmt.Errorf("the store is closed: %w", store.ErrUnavailable)

// take waits for the caller's turn; it ends with a receive from s.turn.
func (s *Store) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.closed {
		<-s.turn
		return errClosed
	}
	return nil
}

// Open implements [projector.Store]. The file <namespace>_<model>.db is made if it
// is not there, with the tables that the layout asks for. One that is there is
// refused with [store.ErrInvalid] if it is no database, if it is not a model's, if it
// is another model's, or if it was made with other tables. What the layout indexes
// and the file does not is indexed now; an index that the layout does not name stays.
func (s *Store) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	doing := "open view " + layout.View
	if err := s.cfg.validate(layout.Model); err != nil {
		return nil, err
	}
	if err := validateIndexes(layout.Indexes); err != nil {
		return nil, err
	}
	if err := s.take(ctx); err != nil {
		return nil, failed(doing, err)
	}
	defer func() { <-s.turn }()
	f, err := s.file(ctx, layout)
	if err == nil {
		err = f.suit(ctx, layout)
	}
	if err != nil {
		return nil, failed(doing, err)
	}
	return &view{file: f, name: layout.View}, nil
}

// file returns the open file of a model. One that was removed or replaced since
// it was opened is opened anew.
func (s *Store) file(ctx context.Context, layout projector.Layout) (*file, error) {
	if f := s.files[layout.Model]; f != nil {
		if !errors.Is(f.current(), errGone) {
			return f, nil
		}
		_ = f.close(errGone) // there is nothing left to lose
		delete(s.files, layout.Model)
	}
	f, err := openFile(ctx, s.cfg, layout)
	if err != nil {
		return nil, err
	}
	s.files[layout.Model] = f
	return f, nil
}

// Drop implements [projector.Store]. The file is marked before it is removed:
// whoever has it open, in this process or another, finds the mark in whatever he
// does next, and is refused: commits with [projector.ErrFenced], reads with
// [store.ErrUnavailable]. Reads that are going on end as if nothing had happened.
// A file that is not a model's is not removed but refused with [store.ErrInvalid].
func (s *Store) Drop(ctx context.Context, model projector.Model) error {
	doing := "drop view " + model.View
	if err := s.cfg.validate(model); err != nil {
		return err
	}
	if err := s.take(ctx); err != nil {
		return failed(doing, err)
	}
	defer func() { <-s.turn }()
	if err := dropFile(ctx, s.cfg, model, s.files[model]); err != nil {
		return failed(doing, err)
	}
	delete(s.files, model)
	return nil
}

// Close releases all files. Views that were opened answer no more, with
// [store.ErrUnavailable]. What a commit that is going on comes to, its caller learns.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.closed = true
	var errs []error
	for model, f := range s.files {
		errs = append(errs, f.close(errClosed))
		delete(s.files, model)
	}
	if err := errors.Join(errs...); err != nil {
		return failed("close views", err)
	}
	return nil
}

// Shared implements [projector.Store]. Each machine has files of its own, which no
// other one sees: all workers of a view have to run on one node. Where the view moves,
// the heir goes on from its own file, however old that is.
func (s *Store) Shared() bool { return false }
