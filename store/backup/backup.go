package backup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// Backup is a namespace as it was when a backup was made: that backup and all
// that it goes on from. Its methods may be called from many goroutines.
type Backup struct {
	vault segment.Vault
	// parts are the manifests, the full one first.
	parts []*Manifest
}

// Open opens a backup of a namespace, the last one if id is empty. It reads the
// manifests, and nothing else. Errors: [store.ErrNotFound] if there is no such
// backup, [store.ErrDamaged] if a manifest is not what was written or the
// backup that it goes on from is gone or another.
func Open(ctx context.Context, v segment.Vault, namespace, id string) (*Backup, error) {
	if err := store.ValidateName("namespace", namespace); err != nil {
		return nil, err
	}
	if id == "" {
		complete, _, err := ids(ctx, v, namespace)
		if err != nil {
			return nil, fmt.Errorf("open backup: %w", err)
		}
		if len(complete) == 0 {
			return nil, fmt.Errorf("open backup: %w: %s has no backup of %s", store.ErrNotFound, v, namespace)
		}
		id = complete[len(complete)-1]
	}
	b := &Backup{vault: v}
	for next := id; next != ""; {
		m, err := read(ctx, v, namespace, next)
		if err == nil && len(b.parts) > 0 {
			err = b.parts[len(b.parts)-1].goesOn(m)
		}
		if err != nil {
			if len(b.parts) > 0 && errors.Is(err, store.ErrNotFound) {
				err = gone(fmt.Errorf("backup %s goes on from another: %w", b.parts[len(b.parts)-1].ID, err))
			}
			return nil, fmt.Errorf("open backup: %w", err)
		}
		b.parts = append(b.parts, m)
		next = m.Parent
	}
	slices.Reverse(b.parts)
	return b, nil
}

// goesOn checks that m is what the backup goes on from.
func (m *Manifest) goesOn(from *Manifest) error {
	if from.sum != m.ParentSum || from.Sequence != m.After || from.Codec != m.Codec {
		return fmt.Errorf("%w: backup %s does not go on from the %s that is there", store.ErrDamaged, m.ID, from.ID)
	}
	return nil
}

// Manifest returns the backup's own manifest.
func (b *Backup) Manifest() *Manifest { return b.parts[len(b.parts)-1] }

// Parts returns the manifests of all that it is made of, the full one first.
func (b *Backup) Parts() []*Manifest { return slices.Clone(b.parts) }

// Codec returns how the namespace encodes values.
func (b *Backup) Codec() (store.Codec, error) { return store.CodecByName(b.Manifest().Codec) }

// gone turns "not found" into damage: a manifest says that it was there.
func gone(err error) error { return fmt.Errorf("%w: %s", store.ErrDamaged, err.Error()) }

// place is a file of commits and whose it is.
type place struct {
	manifest *Manifest
	file     *LogFile
}

func (b *Backup) files() []place {
	var all []place
	for _, m := range b.parts {
		for i := range m.Log {
			all = append(all, place{m, &m.Log[i]})
		}
	}
	return all
}

// FileError says which file of a backup is not what was written, and where.
type FileError struct {
	// File is its name in the vault.
	File   string
	Reason error
}

func (e *FileError) Error() string { return fmt.Sprintf("file %s: %v", e.File, e.Reason) }

// Unwrap makes the error match [store.ErrDamaged] if the reason does.
func (e *FileError) Unwrap() error { return e.Reason }

// Commits yields the commits with a sequence after one and before another, in
// order, without a gap; before 0 means to the end. The last pair has the error, if
// any: a [*FileError] that names the file.
func (b *Backup) Commits(ctx context.Context, after, before uint64) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		all := b.files()
		first := sort.Search(len(all), func(i int) bool { return all[i].file.Last.Sequence() > after })
		for _, p := range all[first:] {
			if before != 0 && p.file.First.Sequence() >= before {
				return
			}
			if !b.yieldFile(ctx, p, after, before, yield) {
				return
			}
		}
	}
}

// yieldFile yields the commits of a file, and reports whether to go on.
func (b *Backup) yieldFile(ctx context.Context, p place, after, before uint64, yield func(*store.Commit, error) bool) bool {
	failed := func(err error) bool {
		yield(nil, &FileError{File: p.manifest.file(p.file.Name), Reason: err})
		return false
	}
	r, f, err := b.open(ctx, p)
	if err != nil {
		return failed(err)
	}
	defer f.Close()
	for c, err := range r.All(after, before) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return failed(err)
		}
		if !yield(c, nil) {
			return false
		}
	}
	return true
}

// open opens a file of commits and compares it with what the manifest says.
func (b *Backup) open(ctx context.Context, p place) (*segment.Reader, segment.File, error) {
	f, err := b.vault.Open(ctx, p.manifest.file(p.file.Name))
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = gone(err)
		}
		return nil, nil, err
	}
	r, err := segment.Open(f, f.Size())
	if err == nil && (r.Info().Sum != p.file.Sum || r.Codec().Name() != p.manifest.Codec) {
		err = fmt.Errorf("%w: its check sum is %s, the manifest names %s", store.ErrDamaged, r.Info().Sum, p.file.Sum)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return r, f, nil
}

// At returns the commit at a sequence, nil if the backup has none there.
func (b *Backup) At(ctx context.Context, sequence uint64) (*store.Commit, error) {
	for c, err := range b.Commits(ctx, sequence-1, sequence+1) {
		return c, err
	}
	return nil, nil //nolint:nilnil // none is an answer
}

// values yields what a file of values has.
func (b *Backup) values(ctx context.Context, m *Manifest, v *ValueFile) iter.Seq2[segment.Value, error] {
	if v == nil {
		return func(func(segment.Value, error) bool) {}
	}
	return readValues(ctx, b.vault, m.file(v.Name), v)
}

// readValues yields what a file of values in a vault has.
func readValues(ctx context.Context, vault segment.Vault, name string, v *ValueFile) iter.Seq2[segment.Value, error] {
	return func(yield func(segment.Value, error) bool) {
		failed := func(err error) { yield(segment.Value{}, &FileError{File: name, Reason: err}) }
		f, err := vault.Open(ctx, name)
		if errors.Is(err, store.ErrNotFound) {
			err = gone(err)
		}
		if err != nil {
			failed(err)
			return
		}
		defer f.Close()
		count := uint64(0)
		for value, err := range segment.Values(f, f.Size(), v.Sum) {
			if err != nil {
				failed(err)
				return
			}
			count++
			if !yield(value, nil) {
				return
			}
		}
		if count != v.Values {
			failed(fmt.Errorf("%w: it has %d values, the manifest names %d", store.ErrDamaged, count, v.Values))
		}
	}
}
