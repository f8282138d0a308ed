package archive

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// maxOpen is how many files stay open, with their indexes, when nobody reads
// them.
const maxOpen = 32

// files opens files of commits and keeps the last ones open. The zero value
// needs a vault.
type files struct {
	vault segment.Vault

	mu     sync.Mutex
	kept   []*file // the last used comes first
	closed bool
}

// file is an open file of commits.
type file struct {
	of     *shelved
	data   segment.File
	reader *segment.Reader
	users  int // under files.mu
}

// open returns the file of a run. Whoever got it releases it.
func (fs *files) open(ctx context.Context, s *shelved) (*file, error) {
	if f := fs.use(s); f != nil {
		return f, nil
	}
	data, err := fs.vault.Open(ctx, s.Name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", s.Name, gone(s.Name, err))
	}
	f := &file{of: s, data: data, users: 1}
	if f.reader, err = segment.Open(data, data.Size()); err == nil && f.reader.Info().Sum != s.Sum {
		err = fmt.Errorf("%w: it is another file than the one that the run wrote", store.ErrDamaged)
	}
	if err != nil {
		_ = data.Close()
		return nil, fmt.Errorf("open %s: %w", s.Name, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.kept = slices.Insert(fs.kept, 0, f)
	fs.shrink()
	return f, nil
}

func (fs *files) use(s *shelved) *file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, f := range fs.kept {
		if f.of.Name == s.Name && f.of.Sum == s.Sum {
			f.users++
			copy(fs.kept[1:i+1], fs.kept[:i])
			fs.kept[0] = f
			return f
		}
	}
	return nil
}

func (fs *files) release(f *file) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.users--
	fs.shrink()
}

// shrink closes the longest unused files that are too many. It is called with
// the lock.
func (fs *files) shrink() {
	most := maxOpen
	if fs.closed {
		most = 0
	}
	for i := len(fs.kept) - 1; i >= 0 && len(fs.kept) > most; i-- {
		if f := fs.kept[i]; f.users == 0 {
			_ = f.data.Close() // it was only read
			fs.kept = slices.Delete(fs.kept, i, i+1)
		}
	}
}

// close closes what nobody uses, and the rest when it is released.
func (fs *files) close() error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.closed = true
	fs.shrink()
	return nil
}

// stream yields the commits of a stream that the file has after the head, and
// moves the head on. It reports whether more are wanted.
func (f *file) stream(ctx context.Context, id store.StreamID, head *store.Head, yield func(*store.Commit) bool) (bool, error) {
	for c, err := range f.reader.Stream(id, *head) {
		if err == nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", f.of.Name, err)
		}
		*head = c.Head()
		if !yield(c) {
			return false, nil
		}
	}
	return true, nil
}
